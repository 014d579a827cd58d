"""The decoder from the model's 32-pixel grid to pixels that are worth watching: a network, eight times each way.

Design decisions
* It sees a frame with its two neighbours and the prompt's slot vectors, works on the small grid, then on one twice as
  fine, and unfolds each cell to 4x4 pixels on top of a smooth enlargement.
* In training its input is blurred and noised at random, so that it also mends what the transformer leaves unsharp
  (noise conditioning augmentation, Ho et al. 2021, without the conditioning); the slots tell it what shape a few soft
  pixels are meant to be.
* Kernels are stored as matrices and features are normalised before each layer: Muon, which needs matrices, then learns
  in minutes what AdamW had not learnt in twenty.
* Features lie channels last, as the convolutions of a CPU want them: 1.4 times as quick.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.convolution import Convolution, normalised
from countermark.generate.text import SLOT_WIDTH

__all__ = ["SCALE", "Upscaler"]

SCALE = 8


class Upscaler(nn.Module):
    """Clips B x T x H x W x 3 in -1..1 and slots B x slots x width to clips B x T x 8H x 8W x 3, about -1..1."""

    def __init__(
        self, width: int = 96, coarse: int = 5, fine: int = 3, slots: int = 4, slot_width: int = SLOT_WIDTH
    ) -> None:
        super().__init__()
        half = width // 2
        self.first = Convolution(9, width)
        self.prompt = nn.Sequential(nn.Linear(slots * slot_width, 128), nn.SiLU(), nn.Linear(128, coarse * 2 * width))
        self.coarse = nn.ModuleList([Convolution(width, width) for _ in range(coarse)])
        self.unfold = Convolution(width, 4 * half)
        self.fine = nn.ModuleList([Convolution(half, half) for _ in range(fine)])
        self.last = Convolution(half, 3 * 16)
        nn.init.zeros_(self.last.weight)

    def forward(self, clip: Tensor, slots: Tensor) -> Tensor:
        """Enlarges every frame of every clip."""
        batch, count = clip.shape[:2]
        x = clip.permute(0, 1, 4, 2, 3)
        before, after = torch.cat([x[:, :1], x[:, :-1]], 1), torch.cat([x[:, 1:], x[:, -1:]], 1)
        stacks = torch.cat([before, x, after], dim=2).flatten(0, 1)
        large = self.enlarge(stacks, slots.repeat_interleave(count, 0)).permute(0, 2, 3, 1)
        return large.reshape(batch, count, *large.shape[1:])

    def enlarge(self, stacks: Tensor, slots: Tensor) -> Tensor:
        """Enlarges middle frames: N x 9 x H x W (before, frame, after) and N x slots x width to N x 3 x 8H x 8W."""
        smooth = functional.interpolate(stacks[:, 3:6], scale_factor=SCALE, mode="bicubic", align_corners=False)
        turns = self.prompt(slots.flatten(1))[..., None, None].chunk(2 * len(self.coarse), 1)
        h = 2.0 * self.first(stacks.contiguous(memory_format=torch.channels_last))
        for i, layer in enumerate(self.coarse):
            h = h + functional.silu(layer(normalised(h)) * (1 + turns[2 * i]) + turns[2 * i + 1])
        h = functional.pixel_shuffle(self.unfold(normalised(h)), 2)
        for layer in self.fine:
            h = h + functional.silu(layer(normalised(h)))
        return smooth + functional.pixel_shuffle(self.last(normalised(h)), 4)
