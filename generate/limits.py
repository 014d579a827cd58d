"""Which sizes and frame counts a pipeline of diffusers makes exactly, told by the pipeline itself.

Pipelines round what does not fit, mostly without a word. What fits follows from things that each of them carries: the
compression (or the tiles) of its VAE, the patches of its transformer, and the divisor that its own check of inputs
asks for.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from countermark.errors import UsageError

__all__ = ["COUNTS", "Limits", "Steps", "limits_of"]

COUNTS = ("num_frames", "video_length", "frames")  # how calls name their number of frames
SPACE = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_spatial_scale_factor", "vae_scale_factor")
TIME = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
DIVISOR = re.compile(r"divisible by\D*(\d+)")
CHUNK = "num_latent_frames_per_chunk"  # how Helios, which makes a video chunk by chunk, names a chunk's length


@dataclass(frozen=True)
class Steps:
    """The numbers ``first``, ``first + step``, ``first + 2 step`` ...; ``first`` alone where ``step`` is 0."""

    first: int = 1
    step: int = 1

    def nearest(self, number: float) -> int:
        """The nearest of them; the greater of two."""
        steps = math.floor((number - self.first) / self.step + 0.5) if self.step else 0
        return self.first + max(0, steps) * self.step

    def below(self, number: int) -> int:
        """The greatest of them that is not greater than ``number``."""
        return self.nearest(number) - (self.step if self.nearest(number) > number else 0)

    def __str__(self) -> str:
        if self.first == self.step:
            return f"multiples of {self.step}"
        return f"{self.step}k + {self.first}" if self.step else f"{self.first} alone"


@dataclass(frozen=True)
class Limits:
    """What a pipeline called ``name`` makes: widths and heights in pixels, and counts of frames.

    ``chunk``: frames that are made at once, where a video is made of several chunks, else 0. ``cut``: frames at the
    beginning that are made and thrown away.
    """

    name: str
    width: Steps = Steps()
    height: Steps = Steps()
    frames: Steps = Steps()
    chunk: int = 0
    cut: int = 0

    def check(self, call: Mapping[str, Any]) -> None:
        """Raises UsageError, with the nearest value, where a call with these arguments would be rounded."""
        self.check_size(call.get("width"), call.get("height"))
        for name in COUNTS:
            if isinstance(call.get(name), int):
                self.check_frames(call[name])

    def check_size(self, width: int | None, height: int | None) -> None:
        """Raises UsageError, with the nearest size, for one that would be rounded; None is the pipeline's own."""
        near = (width and self.width.nearest(width), height and self.height.nearest(height))
        if near != (width, height):
            given, nearest = (f"{wide or 'any'}x{high or 'any'}" for wide, high in ((width, height), near))
            sides = f"widths are {self.width}, heights {self.height}"
            if self.width == self.height:
                sides = f"sides are {self.width}"
            raise UsageError(f"{self.name} cannot make {given}: {sides}; the nearest is {nearest}")

    def check_frames(self, count: int) -> None:
        """Raises UsageError, with the nearest count, for one that would be rounded."""
        if self.nearest(count) != count:
            counts = f"whole chunks of {self.chunk}" if self.chunk else str(self.frames)
            near = self.nearest(count)
            raise UsageError(f"{self.name} cannot make {count} frames: counts are {counts}; the nearest is {near}")

    def nearest(self, count: float) -> int:
        """The count of frames nearest to ``count`` that the pipeline makes exactly; the greater of two."""
        if not self.chunk:
            return self.frames.nearest(count)
        about = max(1, round(count / self.chunk))
        counts = [self.frames.below(self.chunk * chunks) for chunks in (about + 1, about, max(1, about - 1))]
        return min(counts, key=lambda made: abs(made - count))


def limits_of(pipe: Any) -> Limits:
    """What a pipeline makes without rounding; no limits where it says nothing of itself."""
    name = type(pipe).__name__
    vae: Any = getattr(pipe, "vae", None)
    if type(vae).__name__ == "AutoencoderKLAllegro":  # decodes in whole tiles alone, and leaves the rest black
        frames, height, width = (Steps(*tile) for tile in zip(vae.kernel, vae.stride, strict=True))
        return Limits(name, width, height, frames)
    space, ratio = _first(pipe, SPACE), _first(pipe, TIME)
    asked = _divisor(pipe)
    height, width = (Steps(side, side) for side in (math.lcm(space * patch, asked) for patch in _patch(pipe)))
    config: Any = getattr(getattr(pipe, "transformer", None), "config", None)
    only = getattr(config, "video_length", None)
    held = name == "HunyuanVideoImageToVideoPipeline" and config.image_condition_type == "latent_concat"
    chunk = inspect.signature(pipe.__call__).parameters.get(CHUNK)
    made = (chunk.default - 1) * ratio + 1 if chunk is not None else 0
    return Limits(name, width, height, Steps(only, 0) if only else Steps(1, ratio), made, ratio if held else 0)


def _first(pipe: Any, names: tuple[str, ...]) -> int:
    return next((int(getattr(pipe, name)) for name in names if getattr(pipe, name, None)), 1)


def _patch(pipe: Any) -> tuple[int, int]:
    """Latent pixels that the transformer takes together, in height and width."""
    for part in ("transformer", "transformer_2"):
        config = getattr(getattr(pipe, part, None), "config", None)
        patch = getattr(config, "patch_size", None)
        if isinstance(patch, int):
            return patch, patch
        if isinstance(patch, list | tuple) and len(patch) > 1:
            return int(patch[-2]), int(patch[-1])
    return 1, 1


def _divisor(pipe: Any) -> int:
    """What sides must be divisible by, as the pipeline's own check says of 1 x 1 pixels; 1 where it is silent."""
    check = getattr(pipe, "check_inputs", None)
    if check is None:
        return 1
    given: dict[str, Any] = {
        name: None
        for name, parameter in inspect.signature(check).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    try:
        check(**{**given, "height": 1, "width": 1})
    except Exception as error:  # whatever it dislikes about so little
        found = DIVISOR.search(str(error))
        return int(found[1]) if found else 1
    return 1
