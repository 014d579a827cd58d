"""What attackers make of the mark, short of breaking its key: ``countermark bench forgery``.

Four tables. *Removal*: the mark is estimated by averaging a video's frames less their blurred selves, and subtracted.
*Transplant*: that estimate, or the exact difference that a leaked original would give, is added to another clip; is the
payload read there, and does the comparison that ``scan`` uses call it a transplant? *Copies*: genuine copies after the
attacks of ``bench watermark``; how many does that comparison flag? *Collusion*: differently marked copies of one clip
are averaged; is one of their payloads read, or one that is none of theirs? What a removal or a collusion leaves is
encoded at CRF 23. Clips and ``--out`` are as in ``bench watermark``.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from countermark.benchmarks._attacks import ATTACKS, UPLOAD, Frames
from countermark.benchmarks._clips import Clip, Kept, add_arguments, clips_of, mark, secrets_of
from countermark.benchmarks._table import table, wilson
from countermark.provenance import ALIKE, FINE, Fingerprint, FingerprintMaker, agreement
from countermark.training._recode import reencode
from countermark.watermark import Embedder, Key, Reading, read

Pattern = npt.NDArray[np.float32]
PARTS = ("removal", "transplant", "copies", "collusion")
SMOOTHING = (2.0, 4.0, 8.0)  # sigma of the blur that an average is taken less of, where the frame's area is 384 x 384
GAINS = (1.0, 2.0)
USUAL = 4.0  # the smoothing whose estimate is transplanted
QUALITIES = (18, 23, 28)  # CRF of a transplant
COLLUDERS = 5
STRANGERS = 1000  # marks that a store knows besides


def main(argv: list[str]) -> int:
    """Prints the tables; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench forgery", description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--attacks", help="which attacks on copies, separated by semicolons; all by default")
    parser.add_argument("--small", action="store_true", help="two clips, few settings: only shows that it runs")
    args = parser.parse_args(argv)
    smoothing: Sequence[float] = SMOOTHING
    gains: Sequence[float] = GAINS
    qualities: Sequence[int] = QUALITIES
    if args.small:
        args.drawn, args.attacks, args.data = 2, "H.264 28;negative", None
        smoothing, gains, qualities = (USUAL,), (1.0,), (QUALITIES[0],)
    kept, parts = Kept(args.out), args.parts.split(",")
    names = args.attacks.split(";") if args.attacks else list(ATTACKS)
    for clip, target in _pairs(clips_of(args)()):
        jobs: dict[str, Callable[[Frames], dict[str, Any]]] = {}
        if "removal" in parts:
            for sigma in smoothing:
                jobs |= {f"removal {sigma:g} x{gain:g}": partial(_removal, clip, sigma, gain) for gain in gains}
        if "transplant" in parts:
            for crf in qualities:
                jobs |= {f"transplant x{gain:g} {crf}": partial(_transplant, clip, target, crf, gain) for gain in gains}
                jobs[f"transplant exact {crf}"] = partial(_transplant, clip, target, crf, None)
        if "copies" in parts:
            jobs |= {f"copy {name}": partial(_copy, clip, name) for name in names}
        if "collusion" in parts:
            jobs |= {f"collusion {what}": partial(_collusion, clip, what) for what in ("payloads", "keys")}
        if any((clip.name, job) not in kept.lines for job in jobs):
            marked = mark(clip)
            for job, measure in jobs.items():
                kept.get(clip.name, job, partial(measure, marked))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (_, job), entry in kept.lines.items():
        found[job].append(entry)
    tables = {"removal": _removals, "transplant": _transplants, "copies": _copies, "collusion": _collusions}
    for part in parts:
        print(tables[part](found) + "\n")
    return 0


def _pairs(clips: Iterable[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Every clip and the one before it, the first one with the last; at most three are in memory."""
    first = before = None
    for clip in clips:
        if before is None:
            first = clip
        else:
            yield clip, before
        before = clip
    if first is not None and before is not None:
        yield first, before


def _estimate(marked: Frames, sigma: float) -> Pattern:
    """What frames have in common beyond a neighbourhood: H x W x 3, in 8-bit steps."""
    mean = np.mean(marked, 0, dtype=np.float32)
    wide = sigma * float(np.sqrt(mean.shape[0] * mean.shape[1])) / 384
    return np.asarray(mean - cv2.GaussianBlur(mean, (0, 0), wide), np.float32)


def _rounded(frames: npt.NDArray[Any]) -> Frames:
    return np.asarray(np.clip(np.rint(frames), 0, 255), np.uint8)


def _seen(frames: Frames, fps: float, *, fine: bool = True) -> Fingerprint:
    maker = FingerprintMaker(**FINE) if fine else FingerprintMaker()
    for index, frame in enumerate(frames):
        maker.add(index / fps, frame)
    return maker.finish()


def _judged(frames: Frames, fps: float, clip: Clip) -> dict[str, Any]:
    """Whether a clip's payload is read from frames, and how far they agree with what was sealed, as ``scan`` does."""
    key, payload = secrets_of(clip)
    frames = np.ascontiguousarray(frames)
    reading: Reading = read(frames, key, fps=fps)
    if reading.payload != payload:
        return {"read": False, "wrong": reading.payload is not None}
    sealed = Fingerprint.from_bytes(_seen(clip.frames, clip.fps, fine=False).to_bytes())
    alike = agreement(_seen(frames, fps), sealed, reading)
    return {"read": True, "wrong": False, "alike": None if alike is None else round(alike, 4)}


def _removal(clip: Clip, sigma: float, gain: float, marked: Frames) -> dict[str, Any]:
    pattern = _estimate(marked, sigma)
    without = np.stack([_rounded(frame - gain * pattern) for frame in marked])
    error = np.mean([np.mean((a.astype(np.float32) - b) ** 2) for a, b in zip(without, marked, strict=True)])
    seen = reencode(without, clip.fps, "libx264", UPLOAD)
    return {"psnr": round(float(10 * np.log10(255**2 / error)), 2), **_judged(seen, clip.fps, clip)}


def _transplant(clip: Clip, target: Clip, crf: int, gain: float | None, marked: Frames) -> dict[str, Any]:
    """Adds an estimate at a gain, or (``None``) the exact difference at each moment, to another clip."""
    height, width = target.frames.shape[1:3]

    def moved(pattern: Pattern) -> Pattern:
        return np.asarray(cv2.resize(pattern, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)

    standing = None if gain is None else gain * moved(_estimate(marked, USUAL))
    forged = []
    for index, frame in enumerate(target.frames):
        pattern = standing
        if pattern is None:
            at = int(index / target.fps * clip.fps) % len(marked)
            pattern = moved(marked[at].astype(np.float32) - clip.frames[at])
        forged.append(_rounded(frame + pattern))
    return _judged(reencode(np.stack(forged), target.fps, "libx264", crf), target.fps, clip)


def _copy(clip: Clip, name: str, marked: Frames) -> dict[str, Any]:
    return _judged(*ATTACKS[name](marked, clip.fps), clip)


def _collusion(clip: Clip, what: str, _: Frames) -> dict[str, Any]:
    """The average of copies with other payloads under one key, or with the same payload under other keys; read blind,
    and against a store that knows these marks among a thousand others."""
    key, payload = secrets_of(clip)
    digests = [hashlib.sha256(f"{clip.name} {i}".encode()).digest() for i in range(STRANGERS)]
    if what == "payloads":
        keys, payloads = [key] * COLLUDERS, [payload, *(int.from_bytes(d[:8], "big") for d in digests[1:COLLUDERS])]
    else:
        keys, payloads = [key, *map(Key, digests[1:COLLUDERS])], [payload] * COLLUDERS
    total = np.zeros(clip.frames.shape, np.float32)
    marks: dict[str, list[tuple[int, int]]] = defaultdict(
        lambda: [(int.from_bytes(d[8:16], "big"), d[16]) for d in digests]
    )
    for one, message in zip(keys, payloads, strict=True):
        height, width = clip.frames.shape[1:3]
        embedder = Embedder(width, height, message, one, like=list(clip.frames[:: max(1, len(clip.frames) // 12)]))
        marks[one.id].append((message, embedder.variant))
        for index, frame in enumerate(clip.frames):
            total[index] += embedder.mark(frame, index / clip.fps)
    seen = reencode(_rounded(total / COLLUDERS), clip.fps, "libx264", UPLOAD)
    ring = list(dict.fromkeys(keys))
    blind = read(seen, ring, fps=clip.fps)
    asked = read(seen, ring, fps=clip.fps, known=marks.__getitem__)
    accused = {s.payload for s in (*blind.stretches, *asked.stretches)} | ({blind.payload, asked.payload} - {None})
    return {
        "tier": blind.tier,
        "guilty": blind.payload in payloads,
        "asked": asked.payload in payloads,
        "nobodys": len(accused - set(payloads)),
    }


def _share(successes: int, trials: int) -> list[str]:
    """Two cells: a proportion, and its 95 % interval."""
    low, high = wilson(successes, trials)
    return [f"{successes}/{trials}", f"{100 * low:.1f}-{100 * high:.1f} %"]


def _flags(entries: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """Of entries whose payload was read: how many are flagged, pass as genuine, cannot be told."""
    alike = [entry["alike"] for entry in entries if entry["read"]]
    told = [value for value in alike if value is not None]
    return sum(v < ALIKE for v in told), sum(v >= ALIKE for v in told), len(alike) - len(told)


def _of(found: dict[str, list[dict[str, Any]]], part: str) -> dict[str, list[dict[str, Any]]]:
    return {job.removeprefix(part + " "): entries for job, entries in found.items() if job.startswith(part + " ")}


def _removals(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for job, entries in _of(found, "removal").items():
        sigma, gain = job.split(" x")
        psnr = float(np.median([entry["psnr"] for entry in entries]))
        rows.append(
            [f"blur {sigma}, gain {gain}", *_share(sum(e["read"] for e in entries), len(entries)), f"{psnr:.1f}"]
        )
    return table(["estimate subtracted", "payload still read", "95 %", "PSNR, dB"], rows)


def _transplants(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for job, entries in _of(found, "transplant").items():
        what, crf = job.split()
        title = "exact difference" if what == "exact" else f"estimate, gain {what[1:]}"
        flagged, passed, untold = _flags(entries)
        shown = _share(flagged, flagged + passed + untold)
        rows.append(
            [f"{title}, CRF {crf}", f"{flagged + passed + untold}/{len(entries)}", *shown, str(passed), str(untold)]
        )
    return table(["added to another clip", "payload read", "flagged", "95 %", "passed", "untold"], rows)


def _copies(found: dict[str, list[dict[str, Any]]]) -> str:
    groups = _of(found, "copy")
    groups["all"] = [entry for entries in groups.values() for entry in entries]
    rows = []
    for name, entries in groups.items():
        flagged, passed, untold = _flags(entries)
        least = min((e["alike"] for e in entries if e["read"] and e["alike"] is not None), default=None)
        shown = _share(flagged, flagged + passed + untold)
        rows.append([name, str(len(entries)), *shown, str(untold), "-" if least is None else f"{least:.2f}"])
    return table(["genuine copy", "copies", "flagged, of those read", "95 %", "untold", "least agreement"], rows)


def _collusions(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for what, entries in _of(found, "collusion").items():
        title = f"{COLLUDERS} payloads, one key" if what == "payloads" else f"{COLLUDERS} keys, one payload"
        blind = _share(sum(entry["guilty"] for entry in entries), len(entries))
        asked = _share(sum(entry["asked"] for entry in entries), len(entries))
        present = sum(entry["tier"] == "present" for entry in entries)
        nobodys = _share(sum(entry["nobodys"] > 0 for entry in entries), len(entries))
        rows.append([title, *blind, str(present), *asked, *nobodys])
    head = [
        "averaged",
        "one of them read",
        "95 %",
        "only present",
        "told by the store",
        "95 %",
        "innocent named",
        "95 %",
    ]
    return table(head, rows)
