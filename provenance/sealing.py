"""``seal``: the one way out for generated media.

Order: choose manifest id and payload; mark and encode to a temporary file beside the output; sign it; read both marks
back; commit the store's entry; rename into place. A kill at any point leaves at most a temporary file, which the next
seal in that folder removes, and never a signed file that the store does not know.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, CountermarkError, SealFailed, UsageError
from countermark.media import MIME, Source, Timed, open_source, sha256_of
from countermark.outputs import output_error
from countermark.provenance.clip import Clip
from countermark.provenance.credentials import inspect
from countermark.provenance.fingerprint import Fingerprint, FingerprintMaker
from countermark.provenance.identity import Identity, ensure_identity
from countermark.provenance.keyring import keys_of
from countermark.provenance.manifest import Maker, definition, new_manifest_id
from countermark.provenance.signing import sign_file
from countermark.provenance.stills import Still
from countermark.provenance.store import Entry, Store
from countermark.report import SCHEMA
from countermark.settings import Settings, load_settings
from countermark.watermark import Embedder, Key, Reader, best_payload, resemblance

__all__ = ["Medium", "Sealed", "seal", "seal_clip"]

ENOUGH = 24  # frames from which the payload is read back first
GLIMPSES, APART = 12, 0.25  # frames, and seconds between them, that payload and mark are fitted to
TEMPORARY = re.compile(r"\.countermark-(\d+)-[0-9a-f]+\.(raw|signed|text)\.\w+$")
Frame = npt.NDArray[np.uint8]
Medium = Clip | Still


@dataclass(frozen=True)
class Sealed:
    """A sealed file. ``payload``: 16 hexadecimal digits; ``seconds``: its length, 0 for a picture; ``verified``: the
    manifest read back as trusted and the payload was read from the encoded frames."""

    path: str
    manifest_id: str
    payload: str
    model: str
    seed: int | None
    seconds: float
    verified: bool
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contract's object."""
        return {"schema": SCHEMA, **self.__dict__, "warnings": list(self.warnings)}


@dataclass
class _Job:
    """What one seal carries along: names, keys and what has been learnt of the frames."""

    out: Path
    settings: Settings
    maker: Maker
    key: Key
    identity: Identity
    like: list[Frame]
    payload: int
    variant: int = 0
    manifest_id: str = field(default_factory=new_manifest_id)
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    fingerprint: Fingerprint | None = None
    seconds: float = 0.0

    def temporary(self, kind: str) -> Path:
        return self.out.parent / f".countermark-{os.getpid()}-{self.tag}.{kind}{self.out.suffix.lower()}"

    @property
    def mime(self) -> str:
        return MIME[self.out.suffix.lower()]

    @property
    def hex(self) -> str:
        return f"{self.payload:016x}"


def seal_clip(
    clip: Medium,
    out: str | Path,
    maker: Maker,
    *,
    settings: Settings | None = None,
    identity: Identity | None = None,
    parent: Path | None = None,
    model: str | None = None,
    seed: int | None = None,
    warnings: tuple[str, ...] = (),
    progress: Callable[[], object] = lambda: None,
) -> Sealed:
    """Marks, encodes, signs, verifies, stores and puts a clip in place as an H.264 mp4, or a picture as its kind.

    ``identity`` overrides the settings' signer, e.g. with a callback. ``parent``: a file whose credentials become an
    ingredient. ``progress`` is called once a frame. Raises SealFailed, BadMedia, BadKey, OutputFailed or StoreError;
    then nothing is left at ``out`` that was not there before.
    """
    settings = settings or load_settings()
    out = _checked_output(Path(out), clip)
    key, identity, like = keys_of(settings, create=True)[0], identity or ensure_identity(settings), _glimpses(clip)
    job = _Job(out, settings, maker, key, identity, like, best_payload(resemblance(like, key)))
    with Store(settings.store) as store:
        _sweep(out.parent, store)
        try:
            for strength in dict.fromkeys((settings.strength, "strong")):
                _mark_and_encode(job, clip, strength, progress)
                if _payload_reads_back(job):
                    break
            else:
                raise SealFailed(f"the watermark cannot be read back from {out.name}: too small, short or plain")
            manifest = _sign(job, parent)
            _publish(job, manifest, store, model or maker.name)
        except OSError as error:
            raise output_error(out, error) from None
        finally:
            for kind in ("raw", "signed"):
                with contextlib.suppress(OSError):
                    job.temporary(kind).unlink()
    return Sealed(str(out), job.manifest_id, job.hex, model or maker.name, seed, round(job.seconds, 3), True, warnings)


def seal(
    src: str | Path,
    dst: str | Path,
    *,
    source: str = "generated",
    settings: Settings | None = None,
    identity: Identity | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Sealed:
    """Seals a video or a picture that another generator made; ``src`` is never touched, its audio is copied.

    ``source`` is ``generated`` or ``edited``. Earlier credentials are kept as an ingredient; a file whose credentials
    do not fit it is refused.
    """
    if source not in ("generated", "edited"):
        raise UsageError(f"source must be generated or edited, not {source!r}")
    src, dst, settings = Path(src), Path(dst), settings or load_settings()
    media = open_source(src)
    if dst.exists() and src.samefile(dst):
        raise UsageError("the output must be another file than the input")
    if media.truncated:
        raise BadMedia(f"{src.name}: the file is cut off")
    medium, losses = _medium(media, dst)
    ensure_identity(settings)  # before judging, so that files sealed here are known
    earlier = inspect(src, settings)
    if earlier.state in ("tampered", "unreadable"):
        raise SealFailed(f"{src.name}: its credentials do not fit it ({', '.join(earlier.codes)}); remove them first")
    maker = Maker("unnamed generator", None, "edited" if source == "edited" else "generated")
    parent = src if earlier.state != "none" else None
    return seal_clip(
        medium,
        dst,
        maker,
        settings=settings,
        identity=identity,
        parent=parent,
        model=earlier.generator or maker.name,
        warnings=losses,
        progress=progress,
    )


def _medium(media: Source, dst: Path) -> tuple[Medium, tuple[str, ...]]:
    """What a file holds, and what sealing it into ``dst`` loses."""
    if media.facts.kind == "image":
        still, losses = Still.of_file(media).fit_for(dst)
        return still, (*(loss for loss in media.losses if "transparency" not in loss), *losses)
    rate = Fraction(media.facts.fps or 25.0).limit_denominator(1001)
    audio = media if media.has_audio else None
    return Clip(media.frames, media.facts.width, media.facts.height, rate, audio), media.losses


def _checked_output(out: Path, medium: Medium) -> Path:
    if out.suffix.lower() not in medium.suffixes:
        *most, last = medium.suffixes
        raise UsageError(f"{medium.kind} is sealed into {', '.join(most)} or {last}, not into {out.name}")
    if out.is_dir():
        raise UsageError(f"{out} is a folder")
    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist")
    return out


def _glimpses(clip: Medium) -> list[Frame]:
    """A few frames of a clip's beginning."""
    found: list[Frame] = []
    for timed in clip.frames():
        if timed.time >= len(found) * APART:
            found.append(timed.rgb)
        if len(found) == GLIMPSES:
            break
    return found


def _mark_and_encode(job: _Job, clip: Medium, strength: str, progress: Callable[[], object]) -> None:
    moving = isinstance(clip, Clip)
    embedder = Embedder(clip.width, clip.height, job.payload, job.key, strength, like=job.like, opens=moving)
    job.variant = embedder.variant
    prints = FingerprintMaker()

    def marked() -> Iterator[Timed]:
        for timed in clip.frames():
            if timed.rgb.shape != (clip.height, clip.width, 3):
                raise BadMedia("the frame size changes within the video")
            prints.add(timed.time, timed.rgb)
            yield Timed(timed.time, embedder.mark(timed.rgb, timed.time))
            job.seconds = timed.time + clip.lasts
            progress()

    try:
        clip.write(job.temporary("raw"), marked())
    except (CountermarkError, OSError):
        raise
    except Exception as error:
        raise SealFailed(f"{job.out.name} cannot be encoded: {error}") from None
    job.fingerprint = prints.finish()


def _payload_reads_back(job: _Job) -> bool:
    """Whether the payload is read from the encoded frames: from the first second or two, else from all of them."""
    reader = Reader()
    for count, timed in enumerate(open_source(job.temporary("raw")).frames(), start=1):
        reader.add(timed.rgb, timed.time)
        if count == ENOUGH and reader.read(job.key).payload == job.payload:
            return True
    return reader.read(job.key).payload == job.payload


def _sign(job: _Job, parent: Path | None) -> bytes:
    """Signs the encoded file into a second temporary file, and reads it back; returns the manifest's bytes."""
    raw, signed = job.temporary("raw"), job.temporary("signed")
    made = definition(job.manifest_id, job.hex, job.out.name, job.maker, job.mime, parent=parent is not None)
    try:
        manifest = sign_file(raw, signed, made, job.identity, job.settings, parent=parent)
    except SealFailed as error:
        raise SealFailed(f"signing {job.out.name} failed: {error}") from None
    judged = inspect(signed, job.settings)
    if judged.state not in ("trusted", "test_identity") or judged.manifest_id != job.manifest_id:
        hint = "; add its root to [trust] anchors" if judged.state == "untrusted_signer" else ""
        raise SealFailed(f"the signed file reads back as {judged.state}, not as trusted{hint}")
    return manifest


def _publish(job: _Job, manifest: bytes, store: Store, model: str) -> None:
    assert job.fingerprint is not None
    signed = job.temporary("signed")
    entry = Entry(
        manifest_id=job.manifest_id,
        payload=job.hex,
        variant=job.variant,
        sha256=sha256_of(signed),
        manifest=manifest,
        fingerprint=job.fingerprint,
        key_id=job.key.id,
        model=model[:200],
        path=str(job.out.absolute()),
    )
    try:
        store.reserve(entry)
        signed.replace(job.out)
    except BaseException:  # an interrupt may come right after either of them
        if signed.exists():
            store.withdraw(job.manifest_id)
        raise
    store.confirm(job.manifest_id)


def _sweep(folder: Path, store: Store) -> None:
    """Removes what killed seals have left: their temporary files here, and entries without a file."""
    for path in folder.glob(".countermark-*"):
        found = TEMPORARY.fullmatch(path.name)
        if found and not _alive(int(found[1])):
            with contextlib.suppress(OSError):
                path.unlink()
    store.sweep(lambda path, digest: Path(path).exists() and sha256_of(Path(path)) == digest)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
