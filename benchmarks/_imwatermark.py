"""The three methods of invisible-watermark 0.2 as baselines: the whole message by majority over the frames.

They stand here without the keyed check of :mod:`countermark.watermark.codecs`, which would cost them bits.
"""

from __future__ import annotations

import numpy as np

from countermark.benchmarks._attacks import Frames
from countermark.watermark._imwatermark import METHODS, ImwatermarkBits, installed

__all__ = ["Method", "methods"]


class Method:
    """One of its methods, and how many bits it carries."""

    def __init__(self, name: str) -> None:
        self._channel = ImwatermarkBits(name)
        self.title = f"{name}, {self._channel.bits} bits"

    def _message(self, payload: int) -> list[int]:
        return [payload >> i & 1 for i in range(self._channel.bits)]

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marked frames (T x H x W x 3, uint8, RGB)."""
        return self._channel.put(frames, np.array(self._message(payload), np.uint8))

    def read(self, frames: Frames, payload: int) -> bool:
        """Whether the majority over the frames gives the payload back, whole; too small frames give nothing."""
        votes = self._channel.votes(frames)
        return len(votes) > 0 and [int(v > 0.5) for v in votes.mean(0)] == self._message(payload)


def methods() -> list[Method]:
    """All three, or none without the ``interop`` extra."""
    return [Method(name) for name in METHODS] if installed() else []
