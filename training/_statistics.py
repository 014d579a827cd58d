"""What the classifier sees of every clip, raw and degraded, as mean statistics: a small file for each, made once.

``DIR/VARIANT/CLIP.npz`` holds ``hand`` (the statistics of :mod:`countermark.detect.features`), ``whole`` (those of
:mod:`countermark.detect.backbone`, half precision), both means over the clip's windows, and the ``settings`` of its
degradation. Work that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import multiprocessing
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.backbone import WIDTH, load_backbone
from countermark.detect.features import NAMES, cube_features, motion_features
from countermark.detect.patches import FRAMES, Sampler, Window
from countermark.errors import BadMedia
from countermark.media import Timed, open_source
from countermark.training._degrade import FIXED, Settings, degrade, draw
from countermark.training._footage import Clip

__all__ = ["LEARNT", "RANDOM", "VARIANTS", "Table", "collect", "load_table"]

Floats = npt.NDArray[np.float64]
RANDOM = ("re1", "re2")  # variants whose settings are drawn
LEARNT = ("raw", *RANDOM)  # variants that training sees; the others only measure
VARIANTS = (*LEARNT, *FIXED)
LONGEST = 3.6  # seconds of a clip that are decoded
DEGRADED = 1.55  # seconds of it that are encoded again
MOST_WINDOWS = 4


@dataclass(frozen=True)
class Table:
    """Of one variant, for each clip: ``hand`` (N x 101) and ``whole`` (N x WIDTH) statistics, nan where it has none;
    ``marked``: whether its degradation left our watermark on it.
    """

    hand: Floats
    whole: npt.NDArray[np.float32]
    marked: npt.NDArray[np.bool_]

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Which clips have statistics."""
        return np.asarray(np.isfinite(self.hand[:, 0]))


@dataclass(frozen=True)
class _Task:
    clip: Clip
    data: Path
    runs: Path
    variants: tuple[str, ...]
    seed: int


def collect(
    clips: Sequence[Clip],
    data: Path,
    runs: Path,
    variants: Sequence[str] = VARIANTS,
    *,
    seed: int = 0,
    workers: int = 1,
) -> Iterator[str]:
    """Makes what is missing, on several processes; yields names of clips as they are done, for a progress bar."""
    tasks = [_Task(clip, data, runs, tuple(variants), seed) for clip in clips]
    if workers == 1:
        yield from map(_one, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_one, tasks, chunksize=4)


def _path(runs: Path, variant: str, clip: Clip) -> Path:
    return runs / variant / f"{clip.name}.npz"


def _one(task: _Task) -> str:
    missing = [v for v in task.variants if not _path(task.runs, v, task.clip).exists()]
    if missing:
        try:
            frames = _frames(task.data / task.clip.name)
        except BadMedia:
            frames = []
        for variant in missing:
            windows, settings = _windows(task.clip, variant, frames, task.seed)
            _save(_path(task.runs, variant, task.clip), windows, settings)
    return task.clip.name


def _frames(path: Path) -> list[Timed]:
    """The first seconds of a clip; what decodes of it where it is damaged."""
    frames: list[Timed] = []
    try:
        frames += takewhile(lambda timed: timed.time <= LONGEST, open_source(path).frames())
    except BadMedia:
        if not frames:
            raise
    return frames


def _windows(clip: Clip, variant: str, frames: Sequence[Timed], seed: int) -> tuple[list[Window], dict[str, Any]]:
    if variant == "raw" or len(frames) < FRAMES:
        return _sampled(frames), {}
    rng = np.random.default_rng([seed, zlib.crc32(f"{variant}/{clip.name}".encode())])  # whatever the order of work
    settings: Settings = FIXED[variant] if variant in FIXED else draw(rng)
    short = [f for f in frames if f.time <= DEGRADED]
    try:
        made = degrade(short if len(short) >= FRAMES else frames, settings, rng)
    except BadMedia:
        made = []
    return _sampled(made), settings.to_json()


def _sampled(frames: Sequence[Timed]) -> list[Window]:
    """Windows of a clip, spread over it, at most so many."""
    sampler = Sampler()
    found = [w for timed in frames if (w := sampler.add(timed.time, timed.rgb)) is not None]
    last = sampler.finish()
    found += [last] if last is not None else []
    if len(found) <= MOST_WINDOWS:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, MOST_WINDOWS).round().astype(int)]


def _save(path: Path, windows: Sequence[Window], settings: dict[str, Any]) -> None:
    hand, whole = np.full(len(NAMES), np.nan), np.full(WIDTH, np.nan)
    if windows:
        cubes = np.concatenate([cube_features(w.luma, w.chroma) for w in windows])
        hand = np.concatenate([cubes.mean(0), np.mean([motion_features(w.thumb) for w in windows], 0)])
        whole = load_backbone()(np.stack([w.whole for w in windows])).mean(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.savez(file, hand=hand, whole=whole.astype(np.float16), settings=np.array(json.dumps(settings)))
    new.replace(path)


def load_table(runs: Path, variant: str, clips: Sequence[Clip]) -> Table:
    """What was collected of a variant, in the order of ``clips``."""
    hand = np.full((len(clips), len(NAMES)), np.nan)
    whole = np.full((len(clips), WIDTH), np.nan, np.float32)
    marked = np.zeros(len(clips), bool)
    for i, clip in enumerate(clips):
        path = _path(runs, variant, clip)
        if path.exists():
            with np.load(path) as file:
                hand[i], whole[i] = file["hand"], file["whole"]
                marked[i] = json.loads(str(file["settings"])).get("mark") is not None
    return Table(hand, whole, marked)
