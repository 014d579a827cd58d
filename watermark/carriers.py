"""Where the mark lives: keyed signs on a lattice of cells, in luma and in both colour differences.

Design decisions
* Everything is laid out on a canonical canvas, the frame scaled so that the root of its area is 384, with the origin
  at the centre: a resized copy has the same canvas, so a pure resize needs no search.
* Luma cells are 4 canvas pixels wide and colour cells 8: those bands survive compression best (luma near .09 to .23,
  colour near .03 to .065 cycles a pixel, measured at 256 to 720 pixels).
* A tile of 28 x 28 cells holds every bit of the codeword once in two thirds of its cells, and pilot chips in the
  rest: any tile can be cropped away, and every region holds the whole payload.
* Which cell carries what depends on the pilot's subkey alone; the signs of payload cells come from the payload's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from countermark.watermark.code import LENGTH
from countermark.watermark.keys import Key

__all__ = ["CANVAS", "CHANNELS", "Carrier", "canvas_size", "carriers", "pattern", "pulse"]

Floats = npt.NDArray[np.float32]
CANVAS = 384.0
TILE = 28
REACH = 448  # canvas pixels from the centre that the lattice covers: frames up to 5.4 times as wide as high
PILOT = -1


@dataclass(frozen=True)
class Channel:
    """A colour axis: its cell in canvas pixels, and the two widths of its band-pass pulse (Gaussians' sigmas)."""

    name: str
    cell: int
    narrow: float
    wide: float


CHANNELS = (Channel("y", 4, 1.05, 2.1), Channel("cr", 8, 2.2, 4.6), Channel("cb", 8, 2.2, 4.6))


@dataclass(frozen=True)
class Carrier:
    """A channel's lattice under one key, N x N cells about the origin.

    ``sign`` is -1 or 1, ``role`` is PILOT or the number of the code bit; ``x`` holds the cells' centres along an
    axis, in canvas pixels from the origin.
    """

    channel: Channel
    sign: Floats
    role: npt.NDArray[np.int16]
    x: Floats

    @property
    def pilot(self) -> npt.NDArray[np.bool_]:
        """Cells whose sign does not depend on the payload."""
        return np.asarray(self.role == PILOT)


def canvas_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the canonical canvas of a frame, in whole pixels."""
    scale = CANVAS / float(np.sqrt(width * height))
    return max(8, round(width * scale)), max(8, round(height * scale))


@lru_cache(maxsize=8)
def carriers(key: Key) -> tuple[Carrier, ...]:
    """The lattices of a key, one a channel."""
    return tuple(_carrier(key, channel) for channel in CHANNELS)


def _carrier(key: Key, channel: Channel) -> Carrier:
    tiles = -(-2 * REACH // (channel.cell * TILE))
    count = tiles * TILE
    shuffler = key.shuffler(f"pilot layout {channel.name}")
    kinds = np.full(TILE * TILE, PILOT, np.int16)
    kinds[:LENGTH] = np.arange(LENGTH)
    role = np.empty((count, count), np.int16)
    for row in range(tiles):
        for column in range(tiles):
            tile = shuffler.permutation(kinds).reshape(TILE, TILE)
            role[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = tile
    pilot = key.signs(f"pilot signs {channel.name}", count * count).reshape(count, count)
    payload = key.signs(f"payload signs {channel.name}", count * count).reshape(count, count)
    sign = np.where(role == PILOT, pilot, payload).astype(np.float32)
    x = (np.arange(count, dtype=np.float32) - (count - 1) / 2) * channel.cell
    return Carrier(channel, sign, role, x)


def pulse(image: Floats, channel: Channel) -> Floats:
    """Convolves an image (H x W) with a channel's band-pass pulse; the embedder's pulse and the matched filter."""
    import cv2

    narrow = cv2.GaussianBlur(image, (0, 0), channel.narrow, borderType=cv2.BORDER_REFLECT)
    wide = cv2.GaussianBlur(image, (0, 0), channel.wide, borderType=cv2.BORDER_REFLECT)
    return np.asarray(narrow - wide, np.float32)


def pattern(carrier: Carrier, codeword: npt.NDArray[np.uint8], width: int, height: int) -> Floats:
    """A channel's mark on a canvas of ``height`` x ``width`` pixels, scaled to unit rms."""
    chips = carrier.sign * np.where(carrier.pilot, 1.0, 1.0 - 2.0 * codeword[np.maximum(carrier.role, 0)])
    across, down = _splat(carrier.x, width), _splat(carrier.x, height)
    image = np.asarray(down.T @ chips @ across, np.float32)
    mark = pulse(image, carrier.channel)
    return np.asarray(mark / (np.sqrt(np.mean(mark**2)) + 1e-12), np.float32)


def _splat(centres: Floats, length: int) -> Floats:
    """Matrix that puts a cell's value on the two pixels beside its centre: cells x pixels of a canvas axis."""
    at = centres + length / 2 - 0.5  # pixel p has its centre at p + 0.5
    weight = 1.0 - np.abs(at[:, None] - np.arange(length, dtype=np.float32)[None])
    return np.asarray(np.clip(weight, 0.0, None), np.float32)
