"""Many prompts: a line each in, a sealed video each in one folder, in order, and from where a kill left off.

The folder's ``batch.jsonl`` gets a line before each video is begun and one when it is sealed, refused or has failed. A
rerun makes what has no result yet and tries again what failed. Where a kill came between a video and its line, the
video is found in the store and not made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from countermark.errors import (
    BadKey,
    BadSettings,
    CountermarkError,
    OutputFailed,
    PromptRefused,
    StoreError,
    UsageError,
    WeightsMissing,
)
from countermark.generate.models import Request, VideoModel
from countermark.generate.pipeline import Gate, produce, slug
from countermark.media import open_source, sha256_of
from countermark.moderation.lines import read_batches, to_line
from countermark.outputs import LineFile, finished, output_error
from countermark.provenance import Sealed, Store
from countermark.report import SCHEMA
from countermark.settings import Settings, load_settings

__all__ = ["LOG", "Batch", "action_of"]

LOG: Final = "batch.jsonl"
FIELDS: Final = {"seed": int, "negative": str, "style": str, "output": str}  # what a JSON line may add to its prompt
FATAL: Final = (BadKey, BadSettings, OutputFailed, StoreError, WeightsMissing)  # what would befall every prompt
REFUSALS: Final = ("PromptRefused", "UnsafeOutput")
OURS: Final = ("begun", "error", "number", "path")  # fields that a line cannot have of its own
WHAT: Final = "videos of these prompts"  # what the log holds
CUT_OFF: Final = "it was sealed by an earlier run, which was cut off before it could say so"

Outcome = tuple[dict[str, Any], Sealed | None]


class Batch:
    """Prompts of a stream (UTF-8; plain lines, or JSON lines with ``prompt`` and any of ``FIELDS``) and a folder.

    ``options``: what holds for all of them; a line's own fields come first. ``seed``: of the first line, from where
    they count up; None gives each one of its prompt and its place, the same in each run. ``load`` gives the model, and
    is called once, if there is something to do. Raises UsageError where the folder's log is of other prompts, and
    OutputFailed where there can be no folder.
    """

    def __init__(
        self,
        stream: IO[bytes],
        folder: Path,
        options: Request,
        load: Callable[[], VideoModel],
        *,
        seed: int | None = None,
        settings: Settings | None = None,
        noise_mark: bool = False,
        progress: bool = False,
    ) -> None:
        self.folder, self._options, self._load, self._seed = folder, options, load, seed
        self._noise_mark, self._progress = noise_mark, progress
        self._gate = Gate(settings or load_settings(), "generate")
        self._prompts = list(chain.from_iterable(read_batches(stream)))
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from None
        self._begun: set[int] = set()  # lines whose video a kill has cut off
        self._done: dict[int, dict[str, Any]] = {}
        for entry in finished(folder / LOG, WHAT):
            try:
                self._recall(entry)
            except (KeyError, TypeError):
                raise UsageError(f"{folder / LOG} is not a file of {WHAT}") from None
        self._names = {Path(entry["path"]).name for entry in self._done.values() if "path" in entry}

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def earlier(self) -> list[dict[str, Any]]:
        """The objects of earlier runs that stand: what was sealed, and what was refused."""
        return list(self._done.values())

    def run(self) -> Iterator[Outcome]:
        """Makes what is still to be made: each prompt's object, as it is logged, and its Sealed, None if there is none.

        An object has the number of its line, the line's own fields and those of Sealed, or ``error``. What would befall
        every prompt (a full disk, a broken store, a model that cannot be loaded) ends the run instead.
        """
        lines = enumerate(self._prompts, 1)
        left = [(number, *line) for number, line in lines if number not in self._done]
        if not left:
            return
        model = self._load()
        with LineFile(self.folder / LOG) as log:
            for number, fields, prompt in left:
                own = {name: value for name, value in fields.items() if name not in OURS or prompt is None}
                entry: dict[str, Any] = {"schema": SCHEMA} | own | {"schema": SCHEMA, "number": number}
                sealed, failure = None, fields.get("error")
                if prompt is not None:
                    begun = {"schema": SCHEMA, "number": number, "prompt": prompt, "begun": True}
                    sealed, failure = self._outcome(number, fields, prompt, model, partial(log.write, to_line(begun)))
                entry |= {"error": failure} if sealed is None else sealed.to_json()
                log.write(to_line(entry))
                yield entry, sealed

    def _outcome(
        self, number: int, fields: dict[str, Any], prompt: str, model: VideoModel, begin: Callable[[], object]
    ) -> tuple[Sealed | None, dict[str, Any]]:
        """A prompt's Sealed, or what went wrong with it alone; ``begin`` is called before the model is."""
        try:
            self._gate.admit([prompt])
        except (PromptRefused, UsageError) as error:
            return None, _told(error)
        try:
            return self._make(number, fields, prompt, model, begin), {}
        except FATAL:
            raise
        except CountermarkError as error:
            return None, _told(error)

    def _make(
        self, number: int, fields: dict[str, Any], prompt: str, model: VideoModel, begin: Callable[[], object]
    ) -> Sealed:
        given = _checked(fields)
        seed = given.pop("seed", _seed(prompt, number) if self._seed is None else self._seed + number - 1)
        name = given.pop("output", f"{number:04d}-{slug(prompt)}-{seed}.mp4")
        request = replace(self._options, prompt=prompt, seed=seed, **given)
        if name in self._names:
            raise UsageError(f"an earlier line has the output {name}")
        self._names.add(name)
        out = self.folder / name
        if out.exists():
            known = self._known(out, seed, model) if number in self._begun else None
            if known is None:
                raise UsageError(f"{out} exists already")
            return known
        begin()
        return produce(request, out, model, self._gate, noise_mark=self._noise_mark, progress=self._progress)

    def _known(self, out: Path, seed: int, model: VideoModel) -> Sealed | None:
        """What was sealed there by this model; None for any other file."""
        with Store(self._gate.settings.store) as store:
            entry = store.by_sha256(sha256_of(out))
        if entry is None or entry.path != str(out.absolute()) or entry.model != model.name[:200]:
            return None
        seconds = round(open_source(out).facts.seconds or 0.0, 3)
        return Sealed(str(out), entry.manifest_id, entry.payload, model.name, seed, seconds, True, (CUT_OFF,))

    def _recall(self, entry: dict[str, Any]) -> None:
        """Takes in a line of the log."""
        number: Any = entry.get("number")
        known = type(number) is int and 1 <= number <= len(self._prompts)
        if not known or entry.get("prompt") != self._prompts[number - 1][0].get("prompt"):
            raise UsageError(f"{self.folder / LOG} is not a file of {WHAT}")
        self._begun.discard(number)
        if "begun" in entry:
            self._begun.add(number)
        elif "error" not in entry or entry["error"]["type"] in REFUSALS:
            self._done[number] = entry


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """What a line says of its own video. Raises UsageError for values that cannot be."""
    given = {name: fields[name] for name in FIELDS if fields.get(name) is not None}
    for name, value in given.items():
        if type(value) is not FIELDS[name]:
            raise UsageError(f"{name} must be {'a whole number' if FIELDS[name] is int else 'text'}, not {value!r}")
    name = given.get("output", "video.mp4")
    if Path(name).name != name or Path(name).suffix.lower() not in (".mp4", ".m4v"):
        raise UsageError(f"output must be the name of an mp4, without a folder, not {name!r}")
    return given


def _seed(prompt: str, number: int) -> int:
    """A seed that a rerun finds again, and that differs between equal prompts."""
    digest = hashlib.sha256(f"{number} {prompt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) >> 1


def _told(error: CountermarkError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": str(error), **error.details()}


def action_of(entry: dict[str, Any]) -> str | None:
    """What moderation did with a prompt of a batch's log: "allow", "review", "refuse"; None where something failed."""
    if "error" in entry:
        return "refuse" if entry["error"].get("type") in REFUSALS else None
    return "review" if any(warning.startswith("for review") for warning in entry["warnings"]) else "allow"
