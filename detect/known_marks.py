"""Marks that other generators leave, read with invisible-watermark: Stable Diffusion 1 and 2, and SDXL.

The library decodes something from any picture, so a decoded message proves nothing by itself. Here the agreement with
a known message is tested: for any picture, against a message of ``n`` bits drawn at random, the number of agreeing
bits is binomial(n, 1/2) over the draw of the message, whatever the picture; the p-value is that tail, times the
number of messages and frames tried. SDXL's message is random. Stable Diffusion's is ASCII text, whose bits are not, so
it must also agree better than with every rotation of itself, which plain content favours as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MESSAGES", "KnownMark", "find_known_marks"]

P_FALSE_ALARM = 1e-9
SMALLEST = 256  # pixels on the shorter side that the library asks for
LARGEST = 2048 * 2048  # pixels; beyond, decoding takes too long and these generators do not go


@dataclass(frozen=True)
class KnownMark:
    """A generator's mark: whether it was found, how many of its bits agreed, and the bound on a chance agreement."""

    name: str
    agreed: int
    bits: int
    p_value: float

    @property
    def found(self) -> bool:
        """Whether the agreement is beyond chance at 1e-9."""
        return self.p_value <= P_FALSE_ALARM


def _text(message: bytes) -> tuple[int, ...]:
    return tuple(int(bit) for byte in message for bit in f"{byte:08b}")


MESSAGES: dict[str, tuple[int, ...]] = {
    "Stable Diffusion": _text(b"StableDiffusionV1"),
    "Stable Diffusion XL": tuple(int(b) for b in f"{0b101100111110110010010000011110111011000110011110:048b}"),
}


def find_known_marks(frames: list[npt.NDArray[np.uint8]]) -> KnownMark | None:
    """The best agreement over some frames (each H x W x 3, uint8, RGB, never resized); None if none can be read."""
    usable = [f for f in frames if min(f.shape[:2]) >= SMALLEST and f.shape[0] * f.shape[1] <= LARGEST]
    tried = len(usable) * len(MESSAGES)
    best: KnownMark | None = None
    for frame in usable:
        for name, message in MESSAGES.items():
            bits = _decode(frame, len(message))
            agreed = int(np.sum(bits == np.array(message)))
            p_value = min(1.0, tried * _tail(agreed, len(message)))
            if p_value <= P_FALSE_ALARM and agreed <= _rotations(bits, message):
                p_value = 1.0
            if best is None or p_value < best.p_value:
                best = KnownMark(name, agreed, len(message), p_value)
    return best


def _decode(frame: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64]:
    from imwatermark import WatermarkDecoder

    bits = WatermarkDecoder("bits", count).decode(np.ascontiguousarray(frame[..., ::-1]), "dwtDct")
    return np.asarray(bits).astype(np.int64)


def _tail(agreed: int, count: int) -> float:
    """P(binomial(count, 1/2) >= agreed), exactly."""
    return float(sum(math.comb(count, k) for k in range(agreed, count + 1)) / 2**count)


def _rotations(bits: npt.NDArray[np.int64], message: tuple[int, ...]) -> int:
    """The best agreement with the message rotated by whole bytes, other than itself."""
    return max(int(np.sum(bits == np.roll(message, shift))) for shift in range(8, len(message), 8))
