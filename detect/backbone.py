"""Whole frames through a network that was trained on photographs: what its channels say of a window, as statistics.

Design decisions:

* EfficientNet-Lite0 (Tan and Le 2019; Lite: without squeeze-and-excitation, ReLU6), as trained on ImageNet and never
  trained further: some sixty families of generators are too few to change millions of weights by.
* The whole frame is squeezed into a square, so that nothing follows from its size or shape; single pixels are the hand
  statistics' part (:mod:`.features`).
* Statistics of each channel, over places and over a window's three frames, from the first stage to the last: a level,
  how it varies over the picture, and how it changes over time. The graph gives these alone.
* ONNX Runtime runs it, without torch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.patches import WHOLE
from countermark.weights import pinned

__all__ = ["CHANNELS", "KINDS", "WIDTH", "Backbone", "load_backbone"]

WEIGHTS = Path(__file__).parent / "weights" / "backbone.onnx"
SHA256 = "150e822afd1cbc3c3b1da8a8a6f4e8dbcc0af34e76010b7a0a2f52e358b3bbe0"
CHANNELS = (16, 24, 40, 112, 320, 1280)  # of each stage, the last before its classifier
KINDS = ("level", "spread", "change", "light", "turn", "sway")  # statistics of a channel
WIDTH = len(KINDS) * sum(CHANNELS)


class Backbone:
    """The network, on one thread: two were no quicker, and others have work for the second."""

    def __init__(self, network: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def __call__(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Statistics of windows (W x 3 x 224 x 224 x 3, uint8, RGB): W x WIDTH, stages in order, kinds within."""
        if frames.shape[1:] != (3, WHOLE, WHOLE, 3):
            raise ValueError(f"windows are W x 3 x {WHOLE} x {WHOLE} x 3, not {frames.shape}")
        (found,) = self._session.run(None, {"frames": frames.reshape(-1, WHOLE, WHOLE, 3)})
        return np.asarray(found, np.float32)


@cache
def load_backbone(path: Path = WEIGHTS, sha256: str = SHA256) -> Backbone:
    """The network with its weights. Raises WeightsMissing unless the file is the expected one."""
    return Backbone(pinned(path, sha256, "the classifier's backbone"))
