"""The decoder from the model's 64-pixel grid to pixels that are worth watching: a small network, four times each way.

It sees a frame with its two neighbours, works on the small grid and unfolds each cell to 4x4 pixels on top of a
smooth enlargement. In training its input is blurred and noised at random, so that it also mends what the
transformer leaves unsharp (noise conditioning augmentation, Ho et al. 2021, without the conditioning).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SCALE", "Upscaler"]

SCALE = 4


class Upscaler(nn.Module):
    """Clips B x T x H x W x 3 in -1..1 to B x T x 4H x 4W x 3, about -1..1."""

    def __init__(self, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv2d(9, width, 3, padding=1)
        self.middle = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(layers)])
        self.last = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, clip: Tensor) -> Tensor:
        """Enlarges every frame of every clip."""
        batch, count, height, width, _ = clip.shape
        x = clip.permute(0, 1, 4, 2, 3)
        before, after = torch.cat([x[:, :1], x[:, :-1]], 1), torch.cat([x[:, 1:], x[:, -1:]], 1)
        x = torch.cat([before, x, after], dim=2).flatten(0, 1)
        middle = x[:, 3:6]
        h = functional.silu(self.first(x))
        for layer in self.middle:
            h = h + functional.silu(layer(h))
        detail = functional.pixel_shuffle(self.last(h), SCALE)
        smooth = functional.interpolate(middle, scale_factor=SCALE, mode="bicubic", align_corners=False)
        out = (smooth + detail).permute(0, 2, 3, 1)
        return out.reshape(batch, count, height * SCALE, width * SCALE, 3)
