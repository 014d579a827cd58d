"""Where the mark lives: keyed signs on a lattice of cells, in luma and in both colour differences.

Design decisions
* Everything is laid out on a canonical canvas, the frame scaled so that the root of its area is 384, with the origin
  at the centre: a resized copy has the same canvas, so a pure resize needs no search.
* Luma cells are 6 canvas pixels wide and colour cells 12, on maps of half the canvas: of the widths that were
  tried (4 to 20), these kept most of the mark at CRF 28 to 38 (``docs/watermark.md``).
* A tile of 26 x 26 cells holds every bit of the codeword once in three quarters of its cells, and pilot chips in the
  rest: any tile can be cropped away, and every region holds the whole payload.
* Half of the luma cells, drawn by key, take new signs in every segment of a second: an average over the frames
  of a video shows only the other half. The colour cells stand still, since strong compression keeps nothing else.
* Which cell carries what depends on the pilot's subkey alone; the signs of payload cells come from the payload's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.watermark.code import LENGTH
from countermark.watermark.keys import Key

__all__ = [
    "BANDS",
    "CANVAS",
    "CELL",
    "CYCLE",
    "FADE",
    "FPS",
    "PILOTS",
    "SEGMENT",
    "Band",
    "Carrier",
    "canvas_size",
    "carriers",
    "fade",
    "map_size",
    "pattern",
    "pulse",
]

Floats = npt.NDArray[np.float32]
CANVAS = 384.0
TILE = 26
REACH = 448  # canvas pixels from the centre that the lattice covers: frames up to 5.4 times as wide as high
PILOT = -1
PILOTS = 1 - LENGTH / TILE**2  # share of the cells
CELL = 6  # pixels of a band's map
NARROW, WIDE = 1.575, 3.15  # sigmas of the pulse's two Gaussians, in pixels of the map
SEGMENT = 1.0  # seconds that the changing cells keep their signs
CYCLE = 8  # segments after which the signs come again
FPS = 24.0  # frames per second where nobody says
FADE = 0.25  # seconds over which one segment passes into the next


@dataclass(frozen=True)
class Band:
    """A colour axis: the index of its plane in Y, Cr, Cb, and canvas pixels in a pixel of its map."""

    name: str
    plane: int
    step: int

    @property
    def cell(self) -> int:
        """Width of a cell in canvas pixels."""
        return CELL * self.step


BANDS = (Band("y", 0, 1), Band("cr", 1, 2), Band("cb", 2, 2))


@dataclass(frozen=True)
class Carrier:
    """A band's lattice under one key, N x N cells about the origin.

    ``role`` is PILOT or the number of the code bit; ``x`` holds the cells' centres along an axis, in canvas pixels
    from the origin. ``sign`` is -1 or 1; cells where ``changes`` holds take ``signs[k]`` in segment k instead
    (CYCLE x N x N; empty in the colour bands).
    """

    band: Band
    role: npt.NDArray[np.int16]
    x: Floats
    sign: Floats
    changes: npt.NDArray[np.bool_]
    signs: Floats


def canvas_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the canonical canvas of a frame, in whole and even pixels."""
    scale = CANVAS / float(np.sqrt(width * height)) / 2
    return max(8, 2 * round(width * scale)), max(8, 2 * round(height * scale))


def map_size(canvas: tuple[int, int], band: Band) -> tuple[int, int]:
    """Width and height of a band's map."""
    return canvas[0] // band.step, canvas[1] // band.step


@lru_cache(maxsize=8)
def carriers(key: Key) -> tuple[Carrier, ...]:
    """The lattices of a key, one a band."""
    return tuple(_carrier(key, band) for band in BANDS)


def _carrier(key: Key, band: Band) -> Carrier:
    tiles = -(-2 * REACH // (band.cell * TILE))
    count = tiles * TILE
    shuffler = key.shuffler(f"layout {band.name}")
    kinds = np.full(TILE * TILE, PILOT, np.int16)
    kinds[:LENGTH] = np.arange(LENGTH)
    role = np.block([[shuffler.permutation(kinds).reshape(TILE, TILE) for _ in range(tiles)] for _ in range(tiles)])
    changes = shuffler.random((count, count)) < 0.5 if band.step == 1 else np.zeros((count, count), bool)

    def draw(suffix: str) -> Floats:
        pilot = key.signs(f"pilot signs {band.name}{suffix}", count * count).reshape(count, count)
        payload = key.signs(f"payload signs {band.name}{suffix}", count * count).reshape(count, count)
        return np.where(role == PILOT, pilot, payload).astype(np.float32)

    segments = range(CYCLE if band.step == 1 else 0)
    signs = np.stack([draw(f" {k}") for k in segments]) if segments else np.zeros((0, count, count), np.float32)
    x = (np.arange(count, dtype=np.float32) - (count - 1) / 2) * band.cell
    return Carrier(band, role.astype(np.int16), x, draw(""), changes, signs)


def fade(time: float) -> tuple[int, int, float, float]:
    """The two segments shown at a time in seconds, and the weight of each; their squares add up to 1."""
    segment, phase = int(time // SEGMENT), time % SEGMENT
    turn = max(0.0, (phase - (SEGMENT - FADE)) / FADE) * np.pi / 2
    return segment % CYCLE, (segment + 1) % CYCLE, float(np.cos(turn)), float(np.sin(turn))


def pulse(image: Floats) -> Floats:
    """Convolves a band's map (H x W) with the band-pass pulse; the embedder's pulse and the matched filter."""
    import cv2

    narrow = cv2.GaussianBlur(image, (0, 0), NARROW, borderType=cv2.BORDER_REFLECT)
    wide = cv2.GaussianBlur(image, (0, 0), WIDE, borderType=cv2.BORDER_REFLECT)
    return np.asarray(narrow - wide, np.float32)


def pattern(chips: Floats, carrier: Carrier, canvas: tuple[int, int]) -> Floats:
    """The map of a lattice's chips (N x N, of -1, 0 and 1), as if every cell carried rms 1."""
    width, height = map_size(canvas, carrier.band)
    across, down = _splat(carrier.x / carrier.band.step, width), _splat(carrier.x / carrier.band.step, height)
    return np.asarray(pulse(np.asarray(down.T @ chips @ across, np.float32)) / _unit_rms(), np.float32)


@lru_cache(maxsize=1)
def _unit_rms() -> float:
    """Rms of the pulses of a full lattice of random signs."""
    chips = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (64, 64))
    image = np.zeros((64 * CELL, 64 * CELL), np.float32)
    image[CELL // 2 :: CELL, CELL // 2 :: CELL] = chips
    return float(np.sqrt(np.mean(pulse(image) ** 2)))


def _splat(centres: npt.NDArray[Any], length: int) -> Floats:
    """Matrix that puts a cell's value on the two pixels beside its centre: cells x pixels of a map's axis."""
    at = centres + length / 2 - 0.5  # pixel p has its centre at p + 0.5
    weight = 1.0 - np.abs(at[:, None] - np.arange(length, dtype=np.float32)[None])
    return np.asarray(np.clip(weight, 0.0, None), np.float32)
