"""The decoder from the model's 16-pixel grid to pixels that are worth watching: a network, sixteen times each way.

Design decisions
* On the small grid a thing is a blot, five pixels wide, that tells its place and its colour. The prompt's slots tell
  its shape, and the time how far it has turned, or which foot is in front. All that is left to the transformer is what
  happens where and when.
* Convolutions draw what is behind the things, shadows and all; the things are found and painted in their own
  coordinates on top of that (:mod:`.things`). Drawn by convolutions too, stars were still blots after 60,000 frames.
* It also mends what the transformer gets a little wrong, in every frame in another way: it learns from truth that was
  noised and that the transformer has denoised, faults included (noise conditioning augmentation, Ho et al. 2021, with
  the noise that there will be).
* Cells look up the slot that is about them, and see the frames before and after (:mod:`.convolution`). What modulates
  all cells alike is not told the colours, else it learns pairs of colour and kind instead of shapes.
* Most of the work is on the small grid, where a few layers see a whole thing; then the grid is made finer twice, and
  each cell of the last unfolds to 4x4 pixels on top of a smooth enlargement.
* Kernels are stored as matrices and features are normalised before each layer: Muon, which needs matrices, then learns
  in minutes what AdamW had not learnt in twenty. Features lie channels last, as the convolutions of a CPU want them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.convolution import Convolution, LookUp, normalised, shifted
from countermark.generate.text import SLOT_WIDTH
from countermark.generate.things import Finder, Painter, colourless, paint

__all__ = ["SCALE", "Upscaler"]

SCALE = 16
WAVES = (1, 2, 3, 4, 8, 16)  # cycles of a scene, of the sines that tell the time


class Upscaler(nn.Module):
    """Clips B x T x H x W x 3 in -1..1 and slots B x slots x width to clips B x T x 16H x 16W x 3, about -1..1."""

    colourless: Tensor

    def __init__(
        self,
        width: int = 128,
        depth: int = 8,
        *,
        size: int = 16,
        even: int = 64,
        fine: int = 48,
        layers: int = 3,
        slots: int = 4,
    ) -> None:
        super().__init__()
        self.first = Convolution(9, width)
        self.register_buffer("colourless", colourless(), persistent=False)
        clock = 1 + 2 * len(WAVES)
        told = slots * SLOT_WIDTH + clock
        turns = nn.Linear(256, depth * 2 * width)
        self.turn = nn.Sequential(nn.Linear(told, 256), nn.SiLU(), turns)
        self.mend = nn.ModuleList([Convolution(width, width) for _ in range(depth)])
        self.look = nn.ModuleList([LookUp(width, slots, SLOT_WIDTH) for _ in range(depth // 2)])
        self.unfold = Convolution(width, 4 * even)
        self.even = nn.ModuleList([Convolution(even, even) for _ in range(layers)])
        self.finer = Convolution(even, 4 * fine)
        self.fine = nn.ModuleList([Convolution(fine, fine) for _ in range(layers)])
        self.last = Convolution(fine, 3 * 16)
        self.finder, self.painter = Finder(width, clock, size), Painter()
        nn.init.zeros_(turns.weight)
        nn.init.zeros_(self.last.weight)

    def forward(self, clip: Tensor, slots: Tensor, times: Tensor) -> Tensor:
        """Enlarges every frame of every clip; ``times`` (B x T): when in its scene each frame is, 0..1."""
        batch, count = clip.shape[:2]
        features = self.mended(clip, slots, times)
        large = self.drawn(features, clip.flatten(0, 1).permute(0, 3, 1, 2)).contiguous()
        looks, _ = self.found(features, clip, slots, times)
        for one, frames in zip(looks, large.view(batch, count, *large.shape[1:]), strict=True):
            paint(self.painter, one, frames)
        return large.permute(0, 2, 3, 1).reshape(batch, count, *large.shape[2:], 3)

    def found(self, features: Tensor, clip: Tensor, slots: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """The looks of the things that the slots name, B x T x 3 x 25, and the logarithms of what share of their
        attention each cell has, B x T x 3 x HW; ``features``: from :meth:`mended`.
        """
        batch, count = clip.shape[:2]
        small = clip.flatten(0, 1).permute(0, 3, 1, 2)
        looks, attention = self.finder(features, small, slots.repeat_interleave(count, 0), _clock(times.flatten()))
        return looks.view(batch, count, *looks.shape[1:]), attention.view(batch, count, *attention.shape[1:])

    def mended(self, clip: Tensor, slots: Tensor, times: Tensor) -> Tensor:
        """Features of each frame on the small grid, B*T x C x H x W."""
        count = clip.shape[1]
        x = clip.permute(0, 1, 4, 2, 3)
        before, after = torch.cat([x[:, :1], x[:, :-1]], 1), torch.cat([x[:, 1:], x[:, -1:]], 1)
        stacks = torch.cat([before, x, after], dim=2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        told = slots.repeat_interleave(count, 0)
        turns = self.turn(torch.cat([(told * self.colourless).flatten(1), _clock(times.flatten())], 1))[..., None, None]
        turns = turns.chunk(2 * len(self.mend), 1)
        h: Tensor = 2.0 * self.first(stacks)
        for i, layer in enumerate(self.mend):
            if i < len(self.look):
                h = h + self.look[i](normalised(h), told)
            h = h + functional.silu(layer(normalised(shifted(h, count)) * (1 + turns[2 * i]) + turns[2 * i + 1]))
        return h

    def drawn(self, features: Tensor, small: Tensor) -> Tensor:
        """Frames without their things, N x 3 x 16H x 16W, of features (N x C x H x W) and small frames (N x 3 x H x W),
        or parts of them.
        """
        smooth = functional.interpolate(small, scale_factor=SCALE, mode="bicubic", align_corners=False)
        h = functional.pixel_shuffle(self.unfold(normalised(features)), 2)
        for layer in self.even:
            h = h + functional.silu(layer(normalised(h)))
        h = functional.pixel_shuffle(self.finer(normalised(h)), 2)
        for layer in self.fine:
            h = h + functional.silu(layer(normalised(h)))
        frames: Tensor = smooth + functional.pixel_shuffle(self.last(normalised(h)), 4)
        return frames


def _clock(times: Tensor) -> Tensor:
    """Times (N, 0..1) as themselves and as sines and cosines of WAVES, N x 13."""
    angle = 2 * math.pi * times[:, None] * times.new_tensor(WAVES)
    return torch.cat([times[:, None], angle.sin(), angle.cos()], 1)
