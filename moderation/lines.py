"""Many prompts: lines in, one JSON object a line out, in order, in constant memory, and from where a kill left off."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final

from countermark.errors import UsageError
from countermark.moderation.categories import ACTIONS
from countermark.moderation.decision import SCHEMA, Decision, printable
from countermark.moderation.moderator import BATCH, Moderator
from countermark.outputs import finished

__all__ = ["FAIL_ON", "Tally", "judge", "moderate_lines", "read_batches", "read_prompts", "skip_finished", "to_line"]

DECISIONS: Final = "decisions about these prompts"  # what a file of --out holds
FAIL_ON: Final = {"refuse": ("refuse",), "review": ("refuse", "review"), "never": ()}  # what --fail-on counts
LONGEST: Final = 16 << 20  # bytes of a line; longer ones are errors, so that no input takes all memory
DEEPEST: Final = 100  # lists and objects inside each other in one line
_BLOCK: Final = 1 << 16  # bytes

Prompt = tuple[dict[str, Any], str | None]
Judged = tuple[dict[str, Any], Decision | None]


@dataclass
class Tally:
    """What a run has seen: how many lines, whether some were bad, and which actions decisions had."""

    lines: int = 0
    bad: bool = False
    actions: set[str] = field(default_factory=set)

    def add(self, action: str | None) -> None:
        """Counts one line; None is a bad one."""
        self.lines += 1
        if action is None:
            self.bad = True
        else:
            self.actions.add(action)

    def fails(self, on: str) -> bool:
        """Whether a decision was seen that counts as a failure; ``on`` is one of ``FAIL_ON``."""
        return not self.actions.isdisjoint(FAIL_ON[on])


def read_prompts(stream: Iterable[str] | IO[str]) -> Iterator[Prompt]:
    """``(fields, prompt)`` of each line that is not blank.

    A line that begins with ``{`` is a JSON object with ``prompt``, and ``fields`` is that object; any other line is a
    prompt itself. For a JSON line that is malformed or has no text in ``prompt``, the prompt is None and ``fields`` is
    ``{"error": {"type", "message"}}`` beside whatever could be read.
    """
    return (found for number, line in enumerate(stream, 1) if (found := _read(line, number)) is not None)


def read_batches(stream: IO[bytes]) -> Iterator[list[Prompt]]:
    """Prompts as :func:`read_prompts` has them, of UTF-8 lines, in batches as they come in.

    What has come in of a pipe is read at once and never waited for, so that a program which sends a line and waits for
    the answer gets it. Lines over ``LONGEST`` bytes are errors.
    """
    number = 0
    for burst in _bursts(stream):
        lines = enumerate(burst, number + 1)
        yield [found for at, line in lines if (found := _read(line, at)) is not None]
        number += len(burst)


def judge(batches: Iterable[Sequence[Prompt]], moderator: Moderator) -> Iterator[Judged]:
    """Each prompt's object and its decision, None for a bad line, whose object has ``error``."""
    for batch in batches:
        decisions = moderator.check_all([prompt for _, prompt in batch if prompt is not None])
        for fields, prompt in batch:
            decision = None if prompt is None else next(decisions)
            yield {"schema": SCHEMA, **fields, **(decision.to_json() if decision else {})}, decision


def moderate_lines(lines: Iterable[str], moderator: Moderator, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """One object for each line of prompts: its own fields, then the decision's. Bad lines give ``error`` instead.

    At most ``batch`` lines are read ahead of the object that is asked for.
    """
    prompts = read_prompts(lines)
    batches = iter(lambda: list(islice(prompts, batch)), [])
    return (entry for entry, _ in judge(batches, moderator))


def skip_finished(
    batches: Iterator[list[Prompt]], out: Path, seen: Callable[[str | None], object]
) -> Iterator[list[Prompt]]:
    """The prompts that an earlier run has not written to ``out`` yet; ``seen`` is told the action of each that it has.

    A torn last line of ``out`` is cut off. Raises UsageError where ``out`` does not begin with the decisions about
    these very prompts.
    """
    batch: deque[Prompt] = deque()
    for entry in finished(out, DECISIONS):
        while not batch:
            more = next(batches, None)
            if more is None:
                raise UsageError(f"{out} holds more decisions than there are prompts")
            batch.extend(more)
        fields, prompt = batch.popleft()
        action = None if prompt is None else entry.get("action")
        told = "error" in entry if prompt is None else action in ACTIONS
        if not told or entry.get("prompt") != fields.get("prompt"):
            raise UsageError(f"{out} is not a file of {DECISIONS}")
        seen(action)
    return chain([list(batch)], batches)


def to_line(fields: dict[str, Any]) -> str:
    """One JSON line that can always be encoded as UTF-8; lone surrogates stay as ``\\ud800`` escapes."""
    line = json.dumps(fields, ensure_ascii=False)
    return line if printable(line) == line else json.dumps(fields)


def _bursts(stream: IO[bytes]) -> Iterator[list[str | None]]:
    """The lines that each read of a stream completes, None for one that is too long."""
    rest: list[bytes] = []
    size = 0  # of the line that is not complete yet
    read = getattr(stream, "read1", stream.read)
    while block := read(_BLOCK):
        *lines, last = block.split(b"\n")
        if lines:
            whole = _decoded([*rest, lines[0]], size + len(lines[0]))
            yield [whole, *(line.decode("utf-8", "surrogateescape") for line in lines[1:])]
            rest, size = [], 0
        if size <= LONGEST:
            rest.append(last)
        size += len(last)
    if size:
        yield [_decoded(rest, size)]


def _decoded(parts: list[bytes], size: int) -> str | None:
    return b"".join(parts).decode("utf-8", "surrogateescape") if size <= LONGEST else None


def _read(line: str | None, number: int) -> Prompt | None:
    if line is None:
        return _error({}, f"line {number} is longer than {LONGEST} bytes"), None
    text = line.removeprefix("\ufeff") if number == 1 else line
    text = text.rstrip("\r\n")
    if not text.strip():
        return None
    if not text.lstrip().startswith("{"):
        return {"prompt": text}, text
    try:
        fields = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if text.count("{") + text.count("[") > DEEPEST and _too_deep(fields):
            raise ValueError("it is nested too deeply")
    except (ValueError, RecursionError) as error:
        return _error({}, f"line {number} is not valid JSON: {error}"), None
    prompt = fields.get("prompt")
    if isinstance(prompt, str):
        return fields, prompt
    return _error(fields, f"line {number} has no text in its field prompt"), None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    """A number that can be written out again."""
    number = float(digits)
    return number if math.isfinite(number) else _no_number("one too large")


def _too_deep(value: Any) -> bool:
    """Whether writing ``value`` could take more calls inside each other than Python allows."""
    level = [value]
    for _ in range(DEEPEST):
        level = [child for one in level for child in _children(one)]
    return bool(level)


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _error(fields: dict[str, Any], message: str) -> dict[str, Any]:
    return {**fields, "error": {"type": "BadPromptLine", "message": " ".join(message.split())}}
