"""``scan``: one file in, one Report out."""

from __future__ import annotations

import contextlib
import time as clock
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from countermark.detect.fusion import fuse
from countermark.detect.known_marks import KnownMark
from countermark.detect.looking import Seen, look
from countermark.detect.opinion import Opinion
from countermark.media import Source, Timed, open_source, unhashed_bytes
from countermark.provenance import (
    ALIKE,
    MATCH,
    UNRELATED,
    Credentials,
    Entry,
    Store,
    agreement,
    inspect,
    keys_of,
    recover,
)
from countermark.report import CredentialState, Evidence, Report
from countermark.settings import Settings, load_settings
from countermark.watermark import Key, Reading

__all__ = ["Examined", "examine", "scan"]

SPARE = 4096  # bytes outside the manifest's hash from which on a note is made; writers leave a few
NO_MANIFEST = {"matroska,webm"}  # containers that cannot hold a manifest
GENERATED = {"trainedAlgorithmicMedia", "algorithmicMedia"}
EDITED = {"compositeWithTrainedAlgorithmicMedia", "compositeSynthetic"}  # not "algorithmicallyEnhanced": a filter
CAPTURED = {"digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"}


@dataclass(frozen=True)
class _Beside:
    """The file beside the store's entry that its mark (``marked``) or else its manifest led to, if there is one.

    ``distance``: 0 for the same content, 1 for unrelated; None where it cannot be told.
    """

    entry: Entry | None = None
    marked: bool = False
    distance: float | None = None

    @property
    def same(self) -> bool | None:
        """Whether the content is what was sealed; None where that cannot be told."""
        return None if self.distance is None else self.distance <= (1 - ALIKE if self.marked else MATCH / UNRELATED)


@dataclass(frozen=True)
class Examined:
    """A file's Report and what a report for people shows beside it; of the frames a few small copies are left."""

    report: Report
    media: Source
    credentials: Credentials
    reading: Reading
    opinion: Opinion
    views: tuple[Timed, ...]


def scan(path: str | Path, *, settings: Settings | None = None, fast: bool = False) -> Report:
    """Judges a file. Raises BadMedia when not one frame of it can be decoded; StoreError, BadKey, BadSettings.

    ``fast`` stops decoding once our mark has been read, and looks for it on the picture as it is alone: what it finds
    is as sure, but cropped, turned and spliced copies go unfound, and a file's other seconds unseen.
    """
    return examine(path, settings=settings, fast=fast, pictures=False).report


def examine(
    path: str | Path, *, settings: Settings | None = None, fast: bool = False, pictures: bool = True
) -> Examined:
    """Judges a file as :func:`scan` does, and keeps what can be shown; ``pictures``: small copies of frames too."""
    settings = settings or load_settings()
    path = Path(path)
    start = clock.perf_counter()
    media = open_source(path)
    credentials = inspect(path, settings)
    keys = keys_of(settings)
    read = clock.perf_counter()
    with _store(settings) as store:
        seen = look(media, keys, store.marks if store else None, fast=fast, pictures=pictures)
        looked = clock.perf_counter()
        beside = _compared(seen, _lookup(store, seen.reading, credentials) if store else None)
    if credentials.state == "none" and beside.entry is not None and beside.marked and beside.same:
        credentials = recover(path, beside.entry.manifest, beside.entry.payload, settings) or credentials
    evidence = (
        _c2pa(credentials, media.container not in NO_MANIFEST),
        _watermark(seen.reading, keys, beside),
        _fingerprint(beside),
        _classifier(seen.opinion),
        _known_marks(seen.known),
    )
    fused = fuse(evidence, credentials.state)
    report = Report(
        path=str(path),
        media=media.facts,
        verdict=fused.verdict,
        probability=fused.probability,
        credentials=credentials.state,
        evidence=evidence,
        segments=seen.opinion.segments,
        timing={
            "credentials": round(read - start, 3),
            "frames": round(looked - read, 3),
            "total": round(clock.perf_counter() - start, 3),
        },
        notes=_notes(media, seen, credentials),
        rule=fused.rule,
        because=fused.because,
    )
    return Examined(report, media, credentials, seen.reading, seen.opinion, seen.views)


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store | None]:
    """The store, if there is one; none is made for a scan."""
    if settings.store_url is None and not (settings.home / "store.db").exists():
        yield None
        return
    with Store(settings.store) as store:
        yield store


def _lookup(store: Store, reading: Reading, credentials: Credentials) -> Entry | None:
    """The store's entry for the payload that was read, else for the manifest inside."""
    found = store.by_payload(reading.hex) if reading.hex else None
    if found is None and credentials.manifest_id:
        found = store.by_manifest_id(credentials.manifest_id)
    return found


def _compared(seen: Seen, entry: Entry | None) -> _Beside:
    """Compares what the file shows where the mark lies with what was sealed with that very payload; without a mark,
    whole frames. A copied mark must not bring a verdict or credentials with it.
    """
    if entry is None:
        return _Beside()
    if entry.payload != seen.reading.hex:
        return _Beside(entry, False, min(1.0, seen.fingerprint.distance(entry.fingerprint) / UNRELATED))
    alike = agreement(seen.fingerprint, entry.fingerprint, seen.reading)
    return _Beside(entry, True, None if alike is None else 1 - alike)


def _says(credentials: Credentials) -> str:
    types = set(credentials.source_types)
    if types & GENERATED:
        return "generated"
    if types & EDITED:
        return "edited"
    return "captured" if types & CAPTURED else "nothing"


STATES: dict[CredentialState, str] = {
    "trusted": "Signed by {signer}, whom this machine trusts, and unchanged since",
    "test_identity": "Signed by this machine's TEST identity and unchanged since",
    "untrusted_signer": "Signed by {signer}, whom this machine does not trust",
    "tampered": "The file does not match the manifest that it carries",
    "recovered": "The file lost its manifest; the watermark led to the stored one, whose signature holds",
    "none": "The file carries no C2PA manifest",
    "unreadable": "The file carries something that should be a C2PA manifest but cannot be read",
}
CLAIMS = {
    "generated": "it says that a model made this",
    "edited": "it says that a model edited this",
    "captured": "it says that a camera took this",
}


def _c2pa(credentials: Credentials, can_hold: bool) -> Evidence:
    claim = _says(credentials)
    why = STATES[credentials.state].format(signer=credentials.signer or "somebody unnamed")
    if not can_hold and credentials.state == "none":
        why = "This kind of file cannot carry a C2PA manifest"
    if claim in CLAIMS:
        why += f"; {CLAIMS[claim]}" + (f" ({credentials.generator})" if credentials.generator else "")
    broken = credentials.state in ("tampered", "unreadable")
    return Evidence(
        "c2pa",
        can_hold or credentials.state != "none",
        "tampered" if broken else claim,
        why + ".",
        {
            "state": credentials.state,
            "codes": list(credentials.codes),
            "generator": credentials.generator,
            "manifest_id": credentials.manifest_id,
            "signer": credentials.signer,
        },
    )


def _watermark(reading: Reading, keys: list[Key], beside: _Beside) -> Evidence:
    same = beside.same if beside.marked else None
    says = "nothing"
    how = "was read" if reading.tier == "payload" else "is too weak to be read blind, but was told from all others"
    mark = f"Our mark {reading.hex} {how}"
    if not keys:
        why = "There is no watermark key on this machine to look with."
    elif reading.hex and same:
        says, why = "generated", f"{mark}, and the content is what was sealed with it."
    elif reading.hex and same is False:
        says, why = "conflict", f"{mark} on content that is not what was sealed with it: a possible transplant."
    elif reading.hex and beside.marked:
        why = f"{mark}, but too little is seen here to compare it with what was sealed."
    elif reading.hex:
        why = f"A mark with our key was read ({reading.hex}), but the store does not know it."
    elif reading.tier == "present":
        why = "A mark with our key is present, but too weak for its payload to be read."
    else:
        why = "No mark with our key was found; that proves nothing, since marks can be removed."
    return Evidence("watermark", bool(keys), says, why, {**reading.to_json(), "matches_content": same})


def _fingerprint(beside: _Beside) -> Evidence:
    """``distance`` runs from 0, the same content, to 1, unrelated. ``compared`` says of what: ``registered`` pictures,
    laid over each other as the mark lies (1 less their agreement), or ``whole frames`` (their hashes' bits, of 128)."""
    entry = beside.entry
    if entry is None:
        why = "Nothing in the store to compare with: neither mark nor manifest led to an entry."
        return Evidence("fingerprint", False, "nothing", why, {"distance": None, "compared": None})
    distance = None if beside.distance is None else round(beside.distance, 3)
    figures = {
        "distance": distance,
        "compared": "registered" if beside.marked else "whole frames",
        "manifest_id": entry.manifest_id,
    }
    if beside.same is None:
        why = f"Too little is seen here to compare it with what was sealed as {entry.manifest_id}."
        return Evidence("fingerprint", True, "nothing", why, figures)
    why = f"The content {'matches' if beside.same else 'differs from'} what was sealed as {entry.manifest_id}"
    says = "generated" if beside.same else "conflict" if beside.marked else "nothing"
    return Evidence("fingerprint", True, says, f"{why} (distance {distance:.2f} of 1).", figures)


def _classifier(opinion: Opinion) -> Evidence:
    figures = {
        "probability": opinion.probability,
        "abstained": opinion.abstained,
        "moments": [asdict(moment) for moment in opinion.moments],
    }
    return Evidence("classifier", opinion.applies, opinion.says, opinion.why, figures)


def _known_marks(known: KnownMark | None) -> Evidence:
    if known is None:
        why = "Too small or too large for the marks that other generators leave."
        return Evidence("known_marks", False, "nothing", why, {"name": None, "p_value": None})
    figures = {"name": known.name if known.found else None, "p_value": known.p_value}
    if known.found:
        why = f"The mark of {known.name} was read ({known.agreed} of {known.bits} bits)."
        return Evidence("known_marks", True, "generated", why, figures)
    return Evidence("known_marks", True, "nothing", "No mark of Stable Diffusion or SDXL was found.", figures)


def _notes(media: Source, seen: Seen, credentials: Credentials) -> tuple[str, ...]:
    notes = []
    if seen.unseen:
        notes.append(seen.unseen)
    if seen.damage:
        notes.append(seen.damage)
    if media.truncated:
        notes.append("the file is cut off")
    if credentials.state != "none" and (spare := unhashed_bytes(media.path)) > SPARE:
        notes.append(f"{spare} bytes lie in boxes that the manifest's hash leaves out")
    if not media.named_right:
        notes.append(f"the file is {media.container}, although its name ends in {media.path.suffix}")
    return tuple(notes)
