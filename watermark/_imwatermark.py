"""The three methods of the library invisible-watermark 0.2 as channels of bits, marked and read frame by frame.

``dwtDct`` and ``dwtDctSvd`` quantise blocks of a wavelet band; ``rivaGan`` is a network (Zhang et al. 2019, "Robust
invisible video watermarking with attention") that carries 32 bits, neither more nor fewer.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, ModelUnavailable, UsageError

__all__ = ["METHODS", "ImwatermarkBits", "installed"]

METHODS = {"dwtDct": 64, "dwtDctSvd": 64, "rivaGan": 32}  # how many bits each carries here
FEWEST_PIXELS = 256 * 256  # below, the library refuses


def installed() -> bool:
    """Whether the ``interop`` extra is there."""
    return all(importlib.util.find_spec(name) is not None for name in ("imwatermark", "onnxruntime"))


class ImwatermarkBits:
    """One of the library's methods. Raises ModelUnavailable without the ``interop`` extra."""

    def __init__(self, method: str) -> None:
        if method not in METHODS:
            raise UsageError(f"invisible-watermark has the methods {', '.join(METHODS)}, not {method!r}")
        if not installed():
            raise ModelUnavailable(f"{method} needs the interop extra: pip install 'countermark[interop]'")
        self.name = method
        self.bits = METHODS[method]

    def put(self, frames: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Marked frames; raises BadMedia for frames of fewer than 256 x 256 pixels."""
        if frames.shape[1] * frames.shape[2] < FEWEST_PIXELS:
            raise BadMedia(f"{self.name} needs frames of 256x256 pixels or more")
        from imwatermark import WatermarkEncoder

        encoder = self._ready(WatermarkEncoder())
        encoder.set_watermark("bits", [int(bit) for bit in bits])
        return np.stack([encoder.encode(f[..., ::-1].copy(), self.name)[..., ::-1] for f in frames])

    def votes(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """0 or 1 for every bit of every frame (T x bits); no rows for frames that are too small."""
        if frames.shape[1] * frames.shape[2] < FEWEST_PIXELS:
            return np.zeros((0, self.bits))
        from imwatermark import WatermarkDecoder

        decoder = self._ready(WatermarkDecoder("bits", self.bits))
        return np.array([decoder.decode(f[..., ::-1].copy(), self.name) for f in frames], np.float64)

    def _ready(self, coder: Any) -> Any:
        if self.name == "rivaGan":
            coder.loadModel()
        return coder
