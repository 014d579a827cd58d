"""Patches of every clip, decoded once and kept as flat memory-mapped arrays, a folder a variant.

``luma.u8`` (N x 3 x 96 x 96), ``chroma.u8`` (N x 3 x 2 x 48 x 48), ``thumb.u8`` (windows x 3 x 64 x 64) and
``index.jsonl``, one line a clip. A build that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.patches import FRAMES, SIDE, Sampler, Window
from countermark.errors import BadMedia
from countermark.media import Timed, open_source
from countermark.training._degrade import FIXED, Settings, degrade, draw
from countermark.training._footage import Clip

__all__ = ["RANDOM", "VARIANTS", "Entry", "Shelf", "build", "load_frames", "seed_of", "windows_of"]

RANDOM = ("re1", "re2")  # variants whose settings are drawn
VARIANTS = ("raw", *RANDOM, *FIXED)
LONGEST = 3.6  # seconds of a clip that are decoded
DEGRADED = 1.55  # seconds of it that are encoded again
MOST_WINDOWS = 4
SHAPES = {"luma": (FRAMES, SIDE, SIDE), "chroma": (FRAMES, 2, SIDE // 2, SIDE // 2), "thumb": (FRAMES, 64, 64)}


@dataclass(frozen=True)
class Entry:
    """Where a clip's patches lie: rows of luma and chroma, and of thumb; ``per``: patches of each window."""

    name: str
    first: int
    count: int
    window: int
    per: tuple[int, ...]
    times: tuple[tuple[float, float, float], ...]
    settings: dict[str, Any]


class Shelf:
    """One variant's patches, for reading and adding."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.index = folder / "index.jsonl"
        self.entries: dict[str, Entry] = {}
        if self.index.exists():
            for line in self.index.read_text().splitlines():
                raw = json.loads(line)
                times = tuple(tuple(t) for t in raw.pop("times"))
                entry = Entry(**{**raw, "per": tuple(raw["per"]), "times": times})
                self.entries[entry.name] = entry
        self.rows = max((e.first + e.count for e in self.entries.values()), default=0)
        self.windows = max((e.window + len(e.per) for e in self.entries.values()), default=0)

    def array(self, kind: str) -> npt.NDArray[np.uint8]:
        """All rows of ``luma``, ``chroma`` or ``thumb``, memory-mapped."""
        rows = self.windows if kind == "thumb" else self.rows
        path = self.folder / f"{kind}.u8"
        if rows == 0:
            return np.zeros((0, *SHAPES[kind]), np.uint8)
        return np.memmap(path, np.uint8, "r", shape=(rows, *SHAPES[kind]))

    def add(self, name: str, windows: Sequence[Window], settings: dict[str, Any]) -> None:
        """Adds a clip's windows; without any it is only remembered as done."""
        per = tuple(len(w.luma) for w in windows)
        for kind, rows in (("luma", self.rows), ("chroma", self.rows), ("thumb", self.windows)):
            with (self.folder / f"{kind}.u8").open("r+b" if (self.folder / f"{kind}.u8").exists() else "w+b") as file:
                file.seek(rows * int(np.prod(SHAPES[kind])))
                for window in windows:
                    file.write(getattr(window, kind).tobytes())
        entry = Entry(name, self.rows, sum(per), self.windows, per, tuple(w.times for w in windows), settings)
        with self.index.open("a") as file:
            file.write(json.dumps(entry.__dict__) + "\n")
        self.entries[name] = entry
        self.rows, self.windows = self.rows + entry.count, self.windows + len(per)


def seed_of(name: str, salt: str, seed: int) -> np.random.Generator:
    """A generator of its own for each clip and purpose, whatever the order of work."""
    return np.random.default_rng([seed, zlib.crc32(f"{salt}/{name}".encode())])


def load_frames(path: Path, longest: float = LONGEST) -> list[Timed]:
    """The first seconds of a clip; what decodes of it where it is damaged."""
    frames: list[Timed] = []
    try:
        frames += takewhile(lambda timed: timed.time <= longest, open_source(path).frames())
    except BadMedia:
        if not frames:
            raise
    return frames


def windows_of(frames: Sequence[Timed], most: int = MOST_WINDOWS) -> list[Window]:
    """Windows of a clip, spread over it, at most so many."""
    sampler = Sampler()
    found = [w for timed in frames if (w := sampler.add(timed.time, timed.rgb)) is not None]
    last = sampler.finish()
    found += [last] if last is not None else []
    if len(found) <= most:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]


def build(
    clips: Sequence[Clip], data: Path, cache: Path, variants: Sequence[str] = VARIANTS, seed: int = 0
) -> Iterator[Clip]:
    """Fills the cache with variants of every clip; yields each clip when it is done, for a progress bar."""
    shelves = {name: Shelf(cache / name) for name in variants}
    for clip in clips:
        todo = [name for name, shelf in shelves.items() if clip.name not in shelf.entries]
        if todo:
            try:
                frames = load_frames(data / clip.name)
            except BadMedia:
                frames = []
            for name in todo:
                _add(shelves[name], name, clip, frames, seed)
        yield clip


def _add(shelf: Shelf, variant: str, clip: Clip, frames: list[Timed], seed: int) -> None:
    if variant == "raw" or len(frames) < FRAMES:
        shelf.add(clip.name, windows_of(frames), {})
        return
    rng = seed_of(clip.name, variant, seed)
    settings: Settings = FIXED[variant] if variant in FIXED else draw(rng)
    short = [f for f in frames if f.time <= DEGRADED]
    try:
        made = degrade(short if len(short) >= FRAMES else frames, settings, rng)
    except BadMedia:
        made = []
    shelf.add(clip.name, windows_of(made), settings.to_json())
