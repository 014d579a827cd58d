"""Which sizes and frame counts a pipeline of diffusers makes exactly, told by the pipeline itself.

Pipelines round what does not fit, mostly without a word. What fits follows from three things that each of them carries:
the compression of its VAE, the patches of its transformer, and the divisor that its own check of inputs asks for.
"""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from typing import Any

from countermark.errors import UsageError

__all__ = ["Limits", "limits_of"]

SPACE = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_spatial_scale_factor", "vae_scale_factor")
TIME = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
DIVISOR = re.compile(r"divisible by\D*(\d+)")
CHUNK = "num_latent_frames_per_chunk"  # how Helios, which makes a video chunk by chunk, names a chunk's length


@dataclass(frozen=True)
class Limits:
    """What a pipeline called ``name`` makes: widths and heights in steps, and counts of frames.

    ``width``, ``height``: pixels that sides must be multiples of. ``ratio``: how many frames its VAE makes one of.
    ``opening``: how many of them stand for themselves at the beginning (1: counts are k ratio + 1; 0: k ratio).
    ``chunk``: frames that are made at once, 0 for all.
    """

    name: str
    width: int = 1
    height: int = 1
    ratio: int = 1
    opening: int = 1
    chunk: int = 0

    def check_size(self, size: tuple[int | None, int | None]) -> None:
        """Raises UsageError, with the nearest size, for one (width, height in pixels) that would be rounded."""
        nearest = [
            side and max(1, round(side / step)) * step
            for side, step in zip(size, (self.width, self.height), strict=True)
        ]
        if nearest != list(size):
            wanted, given = ("x".join(str(side or "any") for side in sides) for sides in (nearest, size))
            raise UsageError(f"{self.name} cannot make {given}: {self._sides()}; the nearest is {wanted}")

    def check_frames(self, count: int) -> None:
        """Raises UsageError, with the nearest count, for one that would be rounded."""
        if self.nearest(count) != count:
            raise UsageError(
                f"{self.name} cannot make {count} frames{self._counts()}; the nearest is {self.nearest(count)}"
            )

    def nearest(self, count: float) -> int:
        """The count of frames nearest to ``count`` that the pipeline makes exactly; the greater of two."""
        low = max(1, int(count))
        reach = max(self.ratio, self.chunk)
        counts = {self._made(near) for near in range(max(1, low - reach), low + reach + 1)}
        return min(counts, key=lambda made: (abs(made - count), -made))

    def _made(self, count: int) -> int:
        """How many frames come of asking for ``count``."""
        if self.chunk:
            count = math.ceil(count / self.chunk) * self.chunk
        return max(self.opening or self.ratio, (count - self.opening) // self.ratio * self.ratio + self.opening)

    def _sides(self) -> str:
        if self.width == self.height:
            return f"sides are multiples of {self.width}"
        return f"widths are multiples of {self.width}, heights of {self.height}"

    def _counts(self) -> str:
        if self.chunk:
            return f" (it makes {self.chunk} at once)"
        return f" (it makes {self.ratio}k{f' + {self.opening}' if self.opening else ''})"


def limits_of(pipe: Any) -> Limits:
    """What a pipeline makes without rounding; no limits where it says nothing of itself."""
    name = type(pipe).__name__
    space, ratio = _first(pipe, SPACE), _first(pipe, TIME)
    high, wide = _patch(pipe)
    asked = _divisor(pipe)
    chunk = inspect.signature(pipe.__call__).parameters.get(CHUNK)
    return Limits(
        name,
        math.lcm(space * wide, asked),
        math.lcm(space * high, asked),
        ratio,
        # Allegro compresses its first frame with the others, which nothing in its configuration tells
        opening=0 if name.startswith("Allegro") else 1,
        chunk=(chunk.default - 1) * ratio + 1 if chunk is not None else 0,
    )


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
    """What sides must be divisible by, as the pipeline's own check says of a size of 1 x 1 pixels; 1 if it is silent."""
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
