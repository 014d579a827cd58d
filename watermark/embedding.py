"""Adds the mark to frames, as strongly as their content hides it.

The mark of a clip is one picture a channel, computed once and enlarged to the frame; each frame adds it, weighted by
a mask that follows texture and brightness, and scaled down where the frame would fall under the PSNR floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, UsageError
from countermark.watermark.carriers import canvas_size, carriers, pattern
from countermark.watermark.code import encode
from countermark.watermark.keys import Key

__all__ = ["STRENGTHS", "Embedder", "Strength", "embed", "embed_stream"]

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
SMALLEST = 64  # pixels on the shorter side: below, no mark fits


@dataclass(frozen=True)
class Strength:
    """Rms of each channel's mark on a flat surface, in 8-bit steps, and the PSNR that no frame falls below, in dB."""

    y: float
    cr: float
    cb: float
    psnr: float


STRENGTHS = {
    "subtle": Strength(0.55, 0.75, 0.85, 46.0),
    "standard": Strength(0.90, 1.00, 1.10, 43.2),
    "strong": Strength(1.35, 1.50, 1.65, 40.0),
}


class Embedder:
    """Marks frames of one clip: the same payload, key and size throughout.

    Raises UsageError for an unknown strength or a payload that is not 64 bits, BadMedia for frames too small to mark.
    """

    def __init__(self, width: int, height: int, payload: int, key: Key, strength: str = "standard") -> None:
        if strength not in STRENGTHS:
            raise UsageError(f"unknown strength {strength!r}: choose {', '.join(STRENGTHS)}")
        if not 0 <= payload < 1 << 64:
            raise UsageError("a payload has 64 bits")
        if min(width, height) < SMALLEST:
            raise BadMedia(
                f"a watermark needs {SMALLEST} pixels on the shorter side, these frames are {width}x{height}"
            )
        self.width, self.height = width, height
        self._strength = STRENGTHS[strength]
        self._canvas = canvas_size(width, height)
        self._mark = self._enlarge(payload, key)
        self._energy = float(np.mean(self._mark**2))

    def _enlarge(self, payload: int, key: Key) -> Floats:
        """The mark in RGB at full size and unit mask: H x W x 3, in 8-bit steps."""
        import cv2

        codeword = encode(payload)
        y, cr, cb = (
            cv2.resize(pattern(c, codeword, *self._canvas), (self.width, self.height), interpolation=cv2.INTER_CUBIC)
            for c in carriers(key)
        )
        s = self._strength
        y, cr, cb = (m / np.sqrt(np.mean(m**2) + 1e-12) * rms for m, rms in ((y, s.y), (cr, s.cr), (cb, s.cb)))
        # BT.601 differences to RGB, whatever matrix the file uses: the detector repeats the same transform
        rgb = np.stack([y + 1.402 * cr, y - 0.714136 * cr - 0.344136 * cb, y + 1.772 * cb], axis=-1)
        return np.ascontiguousarray(rgb, np.float32)

    def mark(self, frame: Frame) -> Frame:
        """A marked copy of a frame (H x W x 3, uint8, RGB)."""
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise BadMedia(f"expected uint8 frames of {self.height}x{self.width}x3, got {frame.dtype} {frame.shape}")
        import cv2

        mask = self._mask(frame)
        budget = 255.0**2 / 10 ** (self._strength.psnr / 10)
        mask *= min(1.0, float(np.sqrt(budget / (self._energy * float(np.mean(mask**2)) + 1e-9))))
        full = cv2.resize(mask, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        marked = cv2.add(frame, self._mark * full[..., None], dtype=cv2.CV_8U)  # rounds and saturates
        return np.asarray(marked, np.uint8)

    def _mask(self, frame: Frame) -> Floats:
        """How much of the mark each place bears: h x w on half the canvas, 1 on a flat surface of middle grey."""
        import cv2

        small = cv2.resize(frame, (self._canvas[0] // 2, self._canvas[1] // 2), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        mean = cv2.blur(luma, (5, 5))
        spread = np.sqrt(np.maximum(cv2.blur(luma * luma, (5, 5)) - mean * mean, 0.0))
        spread = cv2.erode(cv2.blur(spread, (3, 3)), np.ones((3, 3), np.uint8))  # an edge beside a flat wall stays flat
        light = np.clip(0.55 + 0.45 * np.minimum(mean / 60.0, (255.0 - mean) / 25.0), 0.55, 1.0)
        return np.asarray(np.clip(1.0 + spread * 0.06, 1.0, 2.2) * light, np.float32)


def embed_stream(frames: Iterable[Frame], payload: int, key: Key, *, strength: str = "standard") -> Iterator[Frame]:
    """Marks frames one by one, in constant memory. See :func:`embed`."""
    embedder: Embedder | None = None
    for frame in frames:
        if embedder is None:
            embedder = Embedder(frame.shape[1], frame.shape[0], payload, key, strength)
        yield embedder.mark(frame)


def embed(frames: Frame, payload: int, key: Key, *, strength: str = "standard") -> Frame:
    """Marks a clip.

    ``frames``: uint8, T x H x W x 3, RGB. ``payload``: 64 bits as an integer. Returns frames of the same shape.
    Keyed spread spectrum after Cox et al. 1997, with a polar code; see ``docs/watermark.md``.
    """
    return np.stack(list(embed_stream(frames, payload, key, strength=strength)))
