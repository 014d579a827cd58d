"""What the decoder is built of: convolutions, normalised features, and looking slots up.

Cells look up the slot that is about them (cross-attention): no two things of a scene have one colour, so the colour of
a blot tells its slot, and the slot its shape. Learnt so, colours and shapes bind as freely as words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Convolution", "LookUp", "normalised", "shifted"]


class Convolution(nn.Module):
    """A 3x3 convolution whose kernel is stored as a matrix, out x (in * 9): Muon takes matrices."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner * 9) / (inner * 9) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outer))

    def forward(self, x: Tensor) -> Tensor:
        """N x in x H x W to N x out x H x W."""
        kernel = self.weight.view(len(self.weight), -1, 3, 3)
        return functional.conv2d(x, kernel, self.bias, padding=1)


class LookUp(nn.Module):
    """What the slots tell each cell: cross-attention of one head, with a nothing to ask beside them."""

    def __init__(self, width: int, slots: int, slot_width: int, inner: int = 32) -> None:
        super().__init__()
        self.ask = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(slot_width, inner, bias=False)
        self.tell = nn.Linear(slot_width, width, bias=False)
        nn.init.zeros_(self.tell.weight)
        self.place = nn.Parameter(torch.randn(slots + 1, inner) * 0.1)

    def forward(self, x: Tensor, slots: Tensor) -> Tensor:
        """Features N x C x H x W and slots N x slots x width to N x C x H x W."""
        asked = self.ask(x.permute(0, 2, 3, 1)).flatten(1, 2)
        keys = functional.pad(self.key(slots), (0, 0, 0, 1)) + self.place
        told = functional.pad(self.tell(slots), (0, 0, 0, 1))
        share = (asked @ keys.mT / keys.shape[-1] ** 0.5).softmax(-1)
        out: Tensor = (share @ told).view(len(x), *x.shape[2:], -1)
        return out.permute(0, 3, 1, 2)


def normalised(x: Tensor) -> Tensor:
    """Each pixel's features (N x C x H x W) to mean 0 and variance 1."""
    return functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)


def shifted(x: Tensor, count: int, by: int = 1) -> Tensor:
    """Features (B*T x C x H x W), of which the first quarter is that of ``by`` frames before, the second of as many
    after (temporal shift, Lin et al. 2019): a view in three dimensions for the price of two.
    """
    frames = x.view(-1, count, *x.shape[1:])
    quarter = x.shape[1] // 4
    edge = torch.zeros_like(frames[:, :by, :quarter])
    before = torch.cat([edge, frames[:, :-by, :quarter]], 1)
    after = torch.cat([frames[:, by:, quarter : 2 * quarter], edge], 1)
    return torch.cat([before, after, frames[:, :, 2 * quarter :]], 2).flatten(0, 1)
