"""What both convolutional networks of the embedded model, refiner and decoder, are built of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Convolution", "normalised", "shifted"]


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


def normalised(x: Tensor) -> Tensor:
    """Each pixel's features (N x C x H x W) to mean 0 and variance 1."""
    return functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)


def shifted(x: Tensor, count: int) -> Tensor:
    """Features (B*T x C x H x W), of which the first quarter is the frame's before and the second the one's after."""
    frames = x.view(-1, count, *x.shape[1:])
    quarter = x.shape[1] // 4
    edge = torch.zeros_like(frames[:, :1, :quarter])
    before = torch.cat([edge, frames[:, :-1, :quarter]], 1)
    after = torch.cat([frames[:, 1:, quarter : 2 * quarter], edge], 1)
    return torch.cat([before, after, frames[:, :, 2 * quarter :]], 2).flatten(0, 1)
