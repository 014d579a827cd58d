"""The three methods of invisible-watermark 0.2 as baselines: frame by frame, read by majority over the frames."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

from countermark.benchmarks._attacks import Frames

__all__ = ["METHODS", "Method", "available"]


def available() -> bool:
    """Whether the library is installed (``pip install 'countermark[interop]'``)."""
    return all(importlib.util.find_spec(name) is not None for name in ("imwatermark", "onnxruntime"))


@dataclass(frozen=True)
class Method:
    """One of its methods, and how many bits it carries."""

    name: str
    bits: int

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.name}, {self.bits} bits"

    def _message(self, payload: int) -> list[int]:
        return [payload >> i & 1 for i in range(self.bits)]

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marked frames (T x H x W x 3, uint8, RGB)."""
        from imwatermark import WatermarkEncoder

        if self.name == "rivaGan":
            WatermarkEncoder.loadModel()
        encoder = WatermarkEncoder()
        encoder.set_watermark("bits", self._message(payload))
        return np.stack([encoder.encode(f[..., ::-1].copy(), self.name)[..., ::-1] for f in frames])

    def read(self, frames: Frames, payload: int) -> bool:
        """Whether the majority over the frames gives the payload back, whole; too small frames give nothing."""
        from imwatermark import WatermarkDecoder

        if self.name == "rivaGan":
            WatermarkDecoder.loadModel()
        decoder = WatermarkDecoder("bits", self.bits)
        if frames.shape[1] * frames.shape[2] < 256 * 256:
            return False
        votes = np.mean([np.asarray(decoder.decode(f[..., ::-1].copy(), self.name), float) for f in frames], 0)
        return [int(v > 0.5) for v in votes] == self._message(payload)


METHODS = (Method("dwtDct", 64), Method("dwtDctSvd", 64), Method("rivaGan", 32))
