"""How much the watermark shows, what it survives and what it costs: ``countermark bench watermark``.

Clips come from a folder like the detector's (``--data``; only families that the whitener never saw), and from the
embedded world. Every payload is random and given to ``embed``, which is harder than ``seal``, which may choose its own.
A payload counts when it is read blind, with the proven bound at 1e-9 or less. With ``--out FILE`` each reading is
kept as a JSON line, and a run that was broken off goes on where it stood.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from countermark.benchmarks._attacks import ATTACKS, GROUPS, Frames
from countermark.benchmarks._clips import Clip, Kept, add_arguments, clips_of, drawn, mark, secrets_of
from countermark.benchmarks._imwatermark import beside, installed
from countermark.benchmarks._mark_cost import cost
from countermark.benchmarks._table import table, wilson
from countermark.training._recode import reencode
from countermark.watermark import Embedder, Key, Reader, best_payload, embed, read, resemblance
from countermark.watermark.code import VARIANTS

PARTS = ("looks", "attacks", "lengths", "stills", "foreign", "cost", "others")
LENGTHS = (1, 2, 4, 8, 16)  # seconds
SIZES = {"under 512 x 320": 163_840, "under 1 megapixel": 1 << 20, "1 megapixel and more": 1 << 62}
STORED = 10_000  # marks that a store knows
STILLS: dict[str, Callable[[Frames], Any]] = {
    "JPEG 90": lambda f: _jpeg(f, 90),
    "JPEG 75": lambda f: _jpeg(f, 75),
    "scale 50 %, JPEG 90": lambda f: _jpeg(cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 90),
}


def main(argv: list[str]) -> int:
    """Prints the tables; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench watermark", description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--attacks", help="which attacks, separated by semicolons; all by default")
    parser.add_argument("--readings", type=int, default=1000, help="readings under keys that are not a clip's")
    parser.add_argument("--picture", type=Path, help="with looks: a picture of clips, marked, and the difference x 16")
    parser.add_argument("--small", action="store_true", help="one clip, few attacks: only shows that it runs")
    args = parser.parse_args(argv)
    if args.small:
        args.drawn, args.attacks, args.data = 1, "H.264 28;mirrored", None
    clips = clips_of(args)
    parts = args.parts.split(",")
    if "looks" in parts:
        print(_looks(clips()))
        if args.picture:
            cv2.imwrite(str(args.picture), _sheet(clips())[..., ::-1])
    if "attacks" in parts:
        names = args.attacks.split(";") if args.attacks else list(ATTACKS)
        print(_attacks(clips(), names, Kept(args.out)))
    if "lengths" in parts:
        print(_lengths(clips(), LENGTHS[:1] if args.small else LENGTHS, Kept(args.out)))
    if "stills" in parts:
        print(_stills(clips()))
        print(_screenshots(clips()))
    if "foreign" in parts:
        print(_foreign(clips, 4 if args.small else args.readings, Kept(args.out)))
    if "cost" in parts:
        print(cost(args.small))
    if "others" in parts and installed():
        print(beside(clips()))
    return 0


def _attacks(clips: Iterable[Clip], names: list[str], kept: Kept) -> str:
    for clip in clips:
        if all((clip.name, name) in kept.lines for name in names):
            continue
        marked = mark(clip)
        for name in names:
            kept.get(clip.name, name, partial(_read, clip, marked, name))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in kept.lines.values():
        found[entry["attack"]].append(entry)
    rows = []
    for target, group in GROUPS:
        for name in group:
            if entries := found.get(name):
                right = sum(e["right"] for e in entries)
                low, high = wilson(right, len(entries))
                rows.append(
                    [
                        name,
                        str(len(entries)),
                        f"{100 * right / len(entries):.1f} %",
                        f"{100 * low:.0f}-{100 * high:.0f}",
                        _count([e for e in entries if not drawn(e["clip"])]),
                        _count([e for e in entries if drawn(e["clip"])]),
                        f"{100 * target:g} %",
                        f"{100 * np.mean([e['detected'] for e in entries]):.0f} %",
                        f"{np.median([e['seconds'] for e in entries]):.1f}",
                    ]
                )
    return table(["attack", "clips", "payload", "95 %", "footage", "drawn", "wanted", "present", "s"], rows) + "\n"


def _count(entries: list[dict[str, Any]]) -> str:
    return f"{sum(e['right'] for e in entries)}/{len(entries)}"


def _read(clip: Clip, marked: Frames, name: str) -> dict[str, Any]:
    key, payload = secrets_of(clip)
    frames, fps = ATTACKS[name](marked, clip.fps)
    start = time.perf_counter()
    reading = read(np.ascontiguousarray(frames), key, fps=fps)
    return {
        "right": reading.payload == payload,
        "wrong": reading.payload not in (None, payload),
        "detected": reading.detected,
        "rho": round(reading.rho, 2),
        "seconds": round(time.perf_counter() - start, 2),
    }


def _foreign(clips: Callable[[], Iterable[Clip]], readings: int, kept: Kept) -> str:
    """Readings under keys that nobody marked with: of unmarked clips, and of clips that another key marked.

    One reading in 25 searches as thoroughly as it can, the others look at the canvas as it is.
    """
    each = -(-readings // (2 * sum(1 for _ in clips())))
    least: dict[tuple[str, str], list[float]] = defaultdict(list)
    found: dict[tuple[str, str], int] = defaultdict(int)
    for clip in clips():
        for what in ("unmarked", "marked with another key"):
            entry = kept.get(clip.name, f"{what}, {each} foreign keys", partial(_unasked, clip, what, each))
            for how in ("thorough", "as it is"):
                least[what, how] += entry[how]
                found[what, how] += entry[f"found, {how}"]
    rows = []
    for row, values in least.items():
        ordered = np.sort(values)
        low = [str(int(np.sum(ordered <= level))) for level in (1e-1, 1e-2, 1e-3)]
        rows.append([*row, str(len(values)), str(found[row]), f"{ordered[0]:.1e}", *low])
    return table(["clips", "search", "readings", "detected", "least p", "p <= .1", "<= .01", "<= .001"], rows) + "\n"


def _unasked(clip: Clip, what: str, count: int) -> dict[str, Any]:
    """P-values of ``count`` readings of a clip under keys of nobody's, and how many of them found something."""
    values: dict[str, list[float]] = {"thorough": [], "as it is": []}
    found = dict.fromkeys(values, 0)
    reader = Reader()
    for index, frame in enumerate(clip.frames if what == "unmarked" else mark(clip)):
        reader.add(frame, index / clip.fps)
    for number in range(count):
        key = Key(hashlib.sha256(f"foreign {what} {clip.name} {number}".encode()).digest())
        how = "thorough" if number % 25 == 0 else "as it is"
        reading = reader.read(key, thorough=how == "thorough")
        values[how].append(reading.p_value)
        found[how] += reading.detected
    return {**values, **{f"found, {how}": number for how, number in found.items()}}


def _looks(clips: Iterable[Clip]) -> str:
    figures: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        marked = mark(clip)
        apart = marked.astype(np.float32) - clip.frames
        figures["PSNR, clip (dB)"].append(float(10 * np.log10(255**2 / np.mean(apart**2))))
        figures["PSNR, worst frame (dB)"].append(min(10 * np.log10(255**2 / np.mean(d**2)) for d in apart))
        some = range(0, len(marked), max(1, len(marked) // 6))
        figures["SSIM of luma"].append(float(np.mean([_ssim(clip.frames[i], marked[i]) for i in some])))
        flat = [value for i in some if (value := _flat_rms(clip.frames[i], marked[i])) is not None]
        if flat:
            figures["luma rms on flat places"].append(float(np.sqrt(np.mean(flat))))
    rows = [
        [name, str(len(v)), *(f"{x:.4g}" for x in (np.mean(v), np.min(v), np.max(v)))] for name, v in figures.items()
    ]
    return table(["looks", "clips", "mean", "least", "most"], rows) + "\n"


def _sheet(clips: Iterable[Clip], rows: int = 4, height: int = 256) -> Frames:
    """First frames of some clips as they are and marked, and the difference amplified, beside a later frame's."""
    strips = []
    for clip, _ in zip(clips, range(rows), strict=False):
        marked = mark(clip)
        cells = [clip.frames[0], marked[0]]
        for at in (0, len(marked) // 2):
            apart = marked[at].astype(np.float32) - clip.frames[at]
            cells.append(np.clip(128 + 16 * apart, 0, 255).astype(np.uint8))
        width = clip.frames.shape[2] * height // clip.frames.shape[1]
        strip = np.concatenate([cv2.resize(c, (width, height), interpolation=cv2.INTER_AREA) for c in cells], 1)
        strips.append(strip)
    widest = max(strip.shape[1] for strip in strips)
    return np.concatenate([np.pad(strip, ((0, 4), (0, widest - strip.shape[1]), (0, 0))) for strip in strips])


def _grey(frame: Frames) -> Any:
    return cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY)


def _ssim(a: Frames, b: Frames) -> float:
    """Structural similarity of luma, Gaussian windows of 1.5 pixels (Wang et al. 2004)."""
    x, y = _grey(a), _grey(b)
    mx, my, xx, yy, xy = (cv2.GaussianBlur(i, (0, 0), 1.5) for i in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return float(np.mean(top / ((mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2))))


def _flat_rms(a: Frames, b: Frames) -> float | None:
    """Mean square difference of luma where the original's local deviation is under 2 steps; None where nothing is."""
    x, d = _grey(a), _grey(b) - _grey(a)
    side = max(9, a.shape[0] // 30) | 1
    mean = cv2.blur(x, (side, side))
    flat = cv2.blur(x * x, (side, side)) - mean * mean < 4
    return float(np.mean(d[flat] ** 2)) if flat.sum() > 500 else None


def _lengths(clips: Iterable[Clip], lengths: tuple[int, ...], kept: Kept) -> str:
    """Longer clips from one: played forth and back, so that the picture goes on moving."""
    chosen = list(itertools.islice(clips, 12))
    rows = []
    for crf in (33, 38):
        row = []
        for seconds in lengths:
            name = f"{seconds} s, H.264 {crf}"
            right = [kept.get(clip.name, name, partial(_long, clip, seconds, crf))["right"] for clip in chosen]
            row.append(f"{sum(right)}/{len(right)}")
        rows.append([f"H.264 {crf}", *row])
    return table(["payload read after", *(f"{s} s" for s in lengths)], rows) + "\n"


def _long(clip: Clip, seconds: int, crf: int) -> dict[str, Any]:
    key, payload = secrets_of(clip)
    there_and_back = np.concatenate([clip.frames, clip.frames[::-1]])
    count = round(seconds * clip.fps)
    frames = np.concatenate([there_and_back] * -(-count // len(there_and_back)))[:count]
    seen = reencode(embed(frames, payload, key, fps=clip.fps), clip.fps, "libx264", crf)
    return {"right": read(seen, key, fps=clip.fps).payload == payload}


def _jpeg(frame: Frames, quality: int) -> Any:
    coded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _stills(clips: Iterable[Clip]) -> str:
    """Single pictures, the middle frame of each clip, as ``seal`` marks them: it chooses payload and strength."""
    figures: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        key, frame = secrets_of(clip)[0], clip.frames[len(clip.frames) // 2]
        height, width = frame.shape[:2]
        payload = best_payload(resemblance([frame], key))
        row = figures["embedded world, 256" if clip.name.startswith("world") else "footage"]
        for strength in ("standard", "strong"):
            marked = Embedder(width, height, payload, key, strength, like=[frame]).mark(frame)
            sealed = read(marked[None], key).payload == payload
            row[f"read at once, {strength}"].append(sealed)
            if sealed:
                break
        for name, attack in STILLS.items() if sealed else ():
            row[name].append(read(attack(marked)[None], key).payload == payload)
    head = ["read at once, standard", "read at once, strong", *STILLS]
    rows = [[name, *(f"{sum(row[h])}/{len(row[h])}" for h in head)] for name, row in figures.items()]
    return table(["pictures", *head], rows) + "\n"


def _screenshots(clips: Iterable[Clip]) -> str:
    """The middle frame of a marked video by itself: found at all, and told from the marks of a store."""
    figures: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    rng = np.random.default_rng(0)
    others = [(int.from_bytes(rng.bytes(8), "big"), int(rng.integers(VARIANTS))) for _ in range(STORED - 1)]
    for clip in clips:
        key, payload = secrets_of(clip)
        height, width = clip.frames.shape[1:3]
        like = clip.frames[np.unique(np.linspace(0, len(clip.frames) - 1, 8).astype(int))]
        embedder = Embedder(width, height, payload, key, like=list(like))
        marked = [embedder.mark(frame, i / clip.fps) for i, frame in enumerate(clip.frames)]
        known = [*others, (payload, embedder.variant)]
        pixels = height * width
        row = figures[next(name for name, most in SIZES.items() if pixels < most)]
        shots: dict[str, Callable[[Frames], Any]] = {"PNG": lambda frame: frame, **STILLS}
        for name, attack in shots.items():
            reading = read(attack(marked[len(marked) // 2])[None], key, known=partial(_all_of, known))
            row[f"found, {name}"].append(reading.detected)
            row[f"told, {name}"].append(reading.payload == payload)
    head = [f"{said}, {name}" for name in ("PNG", *STILLS) for said in ("found", "told")]
    rows = [[name, *(f"{sum(row[h])}/{len(row[h])}" for h in head)] for name, row in sorted(figures.items())]
    return table(["one frame of a video", *head], rows) + "\n"


def _all_of(marks: list[tuple[int, int]], key_id: str) -> list[tuple[int, int]]:
    """A store's marks, whatever the key."""
    return marks
