"""What the embedded generator learns from: clips of the renderer with their captions, drawn freshly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.generate.captions import caption
from countermark.generate.render import render_small
from countermark.generate.transformer import Shape
from countermark.generate.world import FRAMES, pose, sample_scene, view

__all__ = ["CELLS", "Clips", "Drawn", "draw"]

PARTS, PICTURES = (
    0.2,
    0.1,
)  # shares of clips that go on from half of one before, or show a part; that begin with a picture
CELLS = 8  # a side, that the middle of the network is asked about


@dataclass(frozen=True)
class Drawn:
    """A clip of the renderer: pixels (T x S x S x 3), its caption, where each slot's thing is (T x 8 x 8 x 3), which
    frames are given (T), and which part of the scene it shows.
    """

    pixels: npt.NDArray[np.uint8]
    text: str
    where: npt.NDArray[np.bool_]
    given: npt.NDArray[np.bool_]
    span: tuple[float, float]


class Clips:
    """Freshly drawn clips with captions; each is handed out twice."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.pool: list[Drawn] = []

    def batch(self, count: int) -> list[Drawn]:
        """So many clips, half of them seen before."""
        fresh = [draw(self.rng) for _ in range(count - min(count // 2, len(self.pool)))]
        again = [self.pool.pop(int(self.rng.integers(len(self.pool)))) for _ in range(count - len(fresh))]
        self.pool += fresh
        return fresh + again


def draw(rng: np.random.Generator) -> Drawn:
    """A scene, most often whole and with no frame given; else a part of it, with frames to go on from."""
    scene = sample_scene(rng)
    text, said = caption(scene, rng)
    start, length, known = 0.0, 1.0, 0
    kind = rng.random()
    if kind < PARTS:
        length = float(rng.uniform(0.3, 0.9))
        start = float(rng.uniform(0, 1 - length))
        known = int(rng.choice([0, FRAMES // 2]))
    elif kind < PARTS + PICTURES:
        known = 1
    span = (start, start + length)
    given = np.arange(FRAMES) < known
    where = np.zeros((FRAMES, CELLS, CELLS, 3), bool)
    times = np.linspace(*span, FRAMES, dtype=np.float32)
    centre, scale = view(scene, times)
    middle = (np.arange(CELLS) + 0.5) / CELLS
    for slot, thing in enumerate(said.things):
        at = pose(thing, times)
        x, y = ((at.x - centre) * scale + 0.5)[:, None, None], at.y[:, None, None]
        far = np.hypot(middle[None, None, :] - x, middle[None, :, None] - y)
        there = at.whole > 0.5 if thing.fate == "popped" else np.ones(FRAMES, bool)
        where[..., slot] = (far < (thing.radius * scale)[:, None, None]) & there[:, None, None]
    return Drawn(render_small(scene, Shape().size, span), text, where, given, span)
