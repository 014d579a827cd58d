"""Matched fakes: real clips beside themselves after an auto-encoder, both degraded in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from countermark.detect.patches import FRAMES, WINDOW
from countermark.errors import BadMedia
from countermark.media import Timed
from countermark.training._autoencoders import LENGTH, AutoEncoder, reconstruct
from countermark.training._cache import Shelf, load_frames, seed_of, windows_of
from countermark.training._degrade import Settings, degrade, draw
from countermark.training._footage import Clip

__all__ = ["crops_of", "make_pairs"]

Frame = npt.NDArray[np.uint8]

CROP = 96
SIDE = 256  # pixels of the part that goes through an auto-encoder
MOST = 16  # frames of it


def crops_of(
    clips: Sequence[Clip], data: Path, per_source: int = 5, each: int = 4, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Crops of consecutive frames of real clips to train auto-encoders on: uint8, N x 8 x 96 x 96 x 3."""
    rng = np.random.default_rng(seed)
    made = []
    for clip in _some(clips, per_source):
        try:
            frames = load_frames(data / clip.name, 0.9)
        except BadMedia:
            continue
        if len(frames) < LENGTH or min(frames[0].rgb.shape[:2]) < CROP:
            continue
        for _ in range(each):
            at = int(rng.integers(0, len(frames) - LENGTH + 1))
            top, left = (int(rng.integers(0, n - CROP + 1)) for n in frames[0].rgb.shape[:2])
            stack = [f.rgb[top : top + CROP, left : left + CROP] for f in frames[at : at + LENGTH]]
            made.append(np.stack(stack))
    return np.stack(made)


def _some(clips: Sequence[Clip], per_source: int) -> list[Clip]:
    taken: Counter[str] = Counter()
    chosen = []
    for clip in clips:
        if clip.label == "real" and taken[clip.family] < per_source:
            taken[clip.family] += 1
            chosen.append(clip)
    return chosen


def make_pairs(
    clips: Sequence[Clip],
    data: Path,
    models: dict[str, AutoEncoder],
    shelf: Shelf,
    *,
    per_source: int = 12,
    each: int = 2,
    seed: int = 0,
) -> Iterator[str]:
    """Adds pairs of real clips to a shelf, ``NAME#KIND`` and ``NAME#KIND#real``; yields the names of clips done."""
    for clip in _some(clips, per_source):
        rng = seed_of(clip.name, "matched", seed)
        kinds = [str(k) for k in rng.choice(sorted(models), each, replace=False)]
        if all(f"{clip.name}#{k}#real" in shelf.entries for k in kinds):
            continue
        try:
            frames = load_frames(data / clip.name, 2 * WINDOW)
        except BadMedia:
            continue
        for kind in kinds:
            _pair(clip.name, kind, models[kind], frames, shelf, rng)
        yield clip.name


def _pair(
    name: str, kind: str, model: AutoEncoder, frames: list[Timed], shelf: Shelf, rng: np.random.Generator
) -> None:
    part = _part(frames, rng)
    fake = reconstruct(model, [f.rgb for f in part], float(rng.choice([0.0, 0.1, 0.2])))
    if len(fake) < FRAMES:
        return
    rows, columns = fake[0].shape[:2]
    real = [np.ascontiguousarray(f.rgb[:rows, :columns]) for f in part[: len(fake)]]
    if rng.random() < 0.6:
        real = _as_soft(real, fake)
    twins = {
        kind: [Timed(f.time, rgb) for f, rgb in zip(part, fake, strict=False)],
        f"{kind}#real": [Timed(f.time, rgb) for f, rgb in zip(part, real, strict=False)],
    }
    settings = draw(rng) if rng.random() < 0.75 else Settings((("libx264", int(rng.integers(14, 24))),))
    seed = int(rng.integers(1 << 32))
    for label, twin in twins.items():
        try:
            made = degrade(twin, settings, np.random.default_rng(seed))
        except BadMedia:
            made = []
        shelf.add(f"{name}#{label}", windows_of(made, 1), settings.to_json())


def _as_soft(real: list[Frame], fake: list[Frame]) -> list[Frame]:
    """The real twin, blurred until its detail is as weak as the fake's: else blur is all there is to learn."""
    aim = _detail(fake[len(fake) // 2])
    soft = [real]
    for sigma in (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5):
        if _detail(soft[-1][len(real) // 2]) <= aim:
            break
        soft.append([np.asarray(cv2.GaussianBlur(f, (0, 0), sigma), np.uint8) for f in real])
    return min(soft, key=lambda r: abs(_detail(r[len(r) // 2]) - aim))


def _detail(frame: Frame) -> float:
    """Mean size of the Laplacian of a frame's green."""
    return float(np.abs(cv2.Laplacian(frame[..., 1], cv2.CV_16S)).mean())


def _part(frames: list[Timed], rng: np.random.Generator) -> list[Timed]:
    """A part of a clip, shrunk at random beforehand as generators' training footage is."""
    height, width = frames[0].rgb.shape[:2]
    least = min(1.0, SIDE / min(height, width))
    scale = float(rng.uniform(max(0.45, least), 1.0)) if rng.random() < 0.6 else 1.0
    rows, columns = (min(n, round(SIDE / scale)) for n in (height, width))
    top, left = (int(rng.integers(0, n - m + 1)) for n, m in ((height, rows), (width, columns)))
    step = max(1, round(len(frames) / frames[-1].time / 31)) if frames[-1].time else 1  # 60 frames a second as 30
    size = (round(columns * scale), round(rows * scale))
    made = []
    for timed in frames[::step][:MOST]:
        rgb = np.ascontiguousarray(timed.rgb[top : top + rows, left : left + columns])
        if scale < 1:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        made.append(Timed(timed.time, rgb))
    return made
