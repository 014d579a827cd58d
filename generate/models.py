"""The seam for generators: a :class:`VideoModel` turns a request into frames, and never into a file.

``load_model`` knows the embedded model by name and everything else through diffusers, by folder or hub id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from countermark.errors import UsageError
from countermark.generate.world import STYLES
from countermark.watermark import Key

__all__ = ["Request", "Result", "VideoModel", "load_model"]


@dataclass(frozen=True)
class Request:
    """What is to be generated. None leaves a choice to the model.

    ``seconds``, ``fps`` (frames per second), ``size`` (width, height in pixels), ``steps``, ``guidance``: as in
    diffusers. ``image``: a picture to start from. ``on_step`` is called after each denoising step with the number
    of steps in all. ``noise_key``: a key to mark the initial noise with (:mod:`countermark.generate.noise_mark`), for
    models that say ``marks_noise = True``. ``frames``: their exact number, instead of ``seconds``, for models that say
    ``counts_frames = True``.
    """

    prompt: str
    seconds: float | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    style: str | None = None
    negative: str | None = None
    image: Path | None = None
    on_step: Callable[[int], object] = field(default=lambda total: None)
    noise_key: Key | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.style is not None and self.style not in STYLES:
            raise UsageError(f"style must be one of {', '.join(STYLES)}, not {self.style!r}")
        if not 0 <= self.seed < 1 << 63:
            raise UsageError("seed must be between 0 and 2^63 - 1")
        if self.seconds is not None and not 0 < self.seconds <= 600:
            raise UsageError("seconds must be more than 0 and at most 600")
        if self.frames is not None and not 1 <= self.frames <= 10_000:
            raise UsageError("frames must be between 1 and 10000")
        if self.frames is not None and self.seconds is not None:
            raise UsageError("give seconds or frames, not both")
        if self.fps is not None and not 1 <= self.fps <= 120:
            raise UsageError("fps must be between 1 and 120")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise UsageError("steps must be between 1 and 1000")
        if self.size is not None and not all(64 <= side <= 4096 for side in self.size):
            raise UsageError("size must be between 64x64 and 4096x4096")


@dataclass(frozen=True)
class Result:
    """Generated frames (uint8, T x H x W x 3, RGB), their rate, and what the user should know about them."""

    frames: npt.NDArray[np.uint8]
    fps: float
    warnings: tuple[str, ...] = ()


@runtime_checkable
class VideoModel(Protocol):
    """A text-to-video generator."""

    name: str
    version: str | None

    def generate(self, request: Request) -> Result:
        """Makes the frames of a request. Raises UsageError for what this model cannot do."""
        ...


def load_model(
    name: str, *, device: str | None = None, dtype: str | None = None, offload: str | None = None
) -> VideoModel:
    """The embedded model (``embedded``), or a diffusers pipeline by folder or hub id.

    ``device``, ``dtype``, ``offload``: as :meth:`.adapter.DiffusersModel.load` has them. Raises ModelUnavailable for
    what cannot be loaded, and UsageError for a device that is not there.
    """
    if name == "embedded":
        if offload not in (None, "none"):
            raise UsageError("the embedded model is small and takes no offload")
        if device not in (None, "cpu") or dtype not in (None, "float32"):
            raise UsageError("the embedded model runs on the CPU, in float32")
        from countermark.generate.embedded import EmbeddedModel

        return EmbeddedModel()
    from countermark.generate.adapter import DiffusersModel

    return DiffusersModel.load(name, device=device, dtype=dtype, offload=offload)
