"""The clips that the watermark's benchmarks measure on, how they are marked, and what a broken-off run remembers."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countermark.benchmarks._attacks import Frames
from countermark.generate.render import render
from countermark.generate.world import FPS as WORLD_FPS
from countermark.generate.world import sample_scene
from countermark.media import open_source
from countermark.training.whitener import held_out
from countermark.watermark import Key, embed

__all__ = ["Clip", "Kept", "add_arguments", "clips_of", "drawn", "mark", "secrets_of"]


_WORLD = "world "  # how names of drawn clips begin


@dataclass(frozen=True, eq=False)
class Clip:
    """A named clip: frames (T x H x W x 3, uint8, RGB) and their rate."""

    name: str
    frames: Frames
    fps: float


def drawn(name: str) -> bool:
    """Whether a clip is of the embedded world."""
    return name.startswith(_WORLD)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which clips, and where readings are kept."""
    parser.add_argument("--data", type=Path, help="folder with clips.tsv; without it only the embedded world is used")
    parser.add_argument("--clips", type=int, default=100, help="clips of --data")
    parser.add_argument("--drawn", type=int, default=20, help="clips of the embedded world")
    parser.add_argument("--each", type=int, default=6, help="clips of one family at most")
    parser.add_argument("--seconds", type=float, default=6.0, help="how much of a clip of --data is used")
    parser.add_argument("--out", type=Path, help="keeps readings as JSON lines, and goes on from those it has")
    parser.add_argument("--share", default="1/1", help="k/n: measure every n-th clip from the k-th on, into --out")


def clips_of(args: argparse.Namespace) -> Callable[[], Iterator[Clip]]:
    """Starts the clips from the beginning each time it is called."""
    start, step = (int(part) for part in args.share.split("/"))
    rows: list[dict[str, str]] = []
    if args.data:
        with (args.data / "clips.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    chosen: list[Path] = []
    taken: dict[str, int] = defaultdict(int)
    for row in sorted(rows, key=lambda r: hashlib.sha256(r["file"].encode()).hexdigest()):
        family, side = row["family_or_source"], (int(row["width"]) * int(row["height"])) ** 0.5
        if held_out(family) and float(row["seconds"]) >= 2.9 and 256 <= side <= 970 and taken[family] < args.each:
            taken[family] += 1
            chosen.append(args.data / row["file"])

    def start_over() -> Iterator[Clip]:
        for path in chosen[: args.clips][start - 1 :: step]:
            source = open_source(path)
            fps = source.facts.fps or 25.0
            frames = [t.rgb for t, _ in zip(source.frames(), range(round(args.seconds * fps)), strict=False)]
            yield Clip(str(path.relative_to(args.data)), np.stack(frames), fps)
        for number in range(args.drawn)[start - 1 :: step]:
            scene = sample_scene(np.random.default_rng([9, number]))
            yield Clip(f"{_WORLD}{number}", render(scene, 256, 24), float(WORLD_FPS))

    return start_over


def secrets_of(clip: Clip) -> tuple[Key, int]:
    """The key and the payload of a clip, always the same ones."""
    digest = hashlib.sha256(clip.name.encode()).digest()
    return Key(digest), int.from_bytes(digest[:8], "big")


def mark(clip: Clip) -> Frames:
    """A clip's frames with its own mark."""
    key, payload = secrets_of(clip)
    return embed(clip.frames, payload, key, fps=clip.fps)


class Kept:
    """Readings that a file of JSON lines remembers."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: dict[tuple[str, str], dict[str, Any]] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self.lines[entry["clip"], entry["attack"]] = entry

    def get(self, clip: str, attack: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is remembered of a clip under an attack, else what ``measure`` now finds."""
        if (clip, attack) not in self.lines:
            entry = {"clip": clip, "attack": attack, **measure()}
            self.lines[clip, attack] = entry
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
        return self.lines[clip, attack]
