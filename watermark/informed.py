"""Informed embedding: a picture resembles some codewords by chance, and the embedder may choose among them.

Noise in the chips is mostly the picture itself (at CRF 33 the chips of a marked copy correlate with the unmarked
picture's by 0.5 to 0.9), and the embedder knows it. Of n codewords that would do, the best one starts with a rho that
is higher by about sqrt(2 ln n) times that correlation: 3.6 for the 4,096 variants of a payload, at 0.5 more than 16
would cost in the bound; 4.6 where the payload is free.
Costa, "Writing on dirty paper", 1983; informed coding: Miller, Doerr and Cox, 2004.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import IDENTITY, read_chips
from countermark.watermark.code import LENGTH, encode, variants
from countermark.watermark.keys import Key
from countermark.watermark.maps import Residuals
from countermark.watermark.slices import Slices

__all__ = ["best_payload", "best_variant", "resemblance"]

Frame = npt.NDArray[np.uint8]
FREE = 64  # payloads that a free choice looks at, each in all its variants


def resemblance(frames: Sequence[Frame], key: Key) -> npt.NDArray[np.float32]:
    """How much unmarked frames (H x W x 3, uint8, RGB, of one clip) look like each of the 512 code bits being 0."""
    slices = Slices(frames[0].shape[1], frames[0].shape[0])
    for index, frame in enumerate(frames):
        slices.add(frame, index / 16.0)
    residuals = Residuals(slices.finish(), slices.canvas)
    maps = residuals.whole()
    soft = np.zeros(LENGTH, np.float64)
    if maps is None:
        return soft.astype(np.float32)
    for chips in read_chips(maps, key, IDENTITY, residuals.canvas):
        use = ~chips.pilot
        value = chips.values[use] / (float(np.sqrt(np.mean(chips.values[use] ** 2))) + 1e-9)
        soft += np.bincount(chips.roles[use], value * chips.signs[use], minlength=LENGTH)
    return soft.astype(np.float32)


def best_variant(payload: int, soft: npt.NDArray[np.float32]) -> int:
    """The variant of a payload's codeword that the frames resemble most."""
    return _best(payload, soft)[0]


def best_payload(soft: npt.NDArray[np.float32]) -> int:
    """A random payload, the one of many whose codeword the frames resemble most."""
    payloads = [secrets.randbits(64) for _ in range(FREE)]
    return max(payloads, key=lambda payload: _best(payload, soft)[1])


def _best(payload: int, soft: npt.NDArray[np.float32]) -> tuple[int, float]:
    """The variant that the frames resemble most, and how much."""
    scores = _variant_signs() @ (soft * (1 - 2 * encode([payload])[0].astype(np.float32)))
    return int(np.argmax(scores)), float(np.max(scores))


@cache
def _variant_signs() -> npt.NDArray[np.float32]:
    return 1 - 2 * variants().astype(np.float32)
