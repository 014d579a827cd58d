"""Clips of our own generator, a generated family like any other, and marked as made by us in every table."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from countermark.generate.world import FPS, FRAMES
from countermark.training._footage import Clip

__all__ = ["FAMILY", "embedded_clips", "make_embedded"]

FAMILY = "countermark-embedded"


def _name(number: int) -> str:
    return f"made/embedded-{number:03d}.mp4"


def embedded_clips(folder: Path) -> list[Clip]:
    """Those of a folder that have been made; names are relative to it."""
    found = sorted((folder / "made").glob("embedded-*.mp4"))
    return [
        Clip(
            f"made/{path.name}",
            "generated",
            FAMILY,
            f"generated/{FAMILY}",
            256,
            256,
            FPS,
            FRAMES / FPS,
            path.stat().st_size * 8 / 1000 * FPS / FRAMES,
            made="embedded",
        )
        for path in found
    ]


def make_embedded(folder: Path, count: int, seed: int = 0) -> Iterator[str]:
    """Generates clips of random captions, unmarked, in H.264; those that are there stay. Yields names."""
    from countermark.generate.captions import caption
    from countermark.generate.embedded import EmbeddedModel
    from countermark.generate.models import Request
    from countermark.generate.world import sample_scene
    from countermark.writer import VideoWriter

    (folder / "made").mkdir(parents=True, exist_ok=True)
    model = EmbeddedModel()
    for number in range(count):
        path = folder / _name(number)
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            text, _ = caption(sample_scene(rng), rng)
            frames = model.generate(Request(text, seed=int(rng.integers(1 << 31)))).frames
            new = path.with_suffix(".new.mp4")
            with VideoWriter(
                new, frames.shape[2], frames.shape[1], Fraction(FPS), crf=int(rng.integers(14, 24))
            ) as file:
                for i, frame in enumerate(frames):
                    file.write(i / FPS, frame)
            new.replace(path)
        yield path.name
