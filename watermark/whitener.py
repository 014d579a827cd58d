"""The whitener: a small convolutional network that takes a picture's content away and leaves the mark.

Host interference is what limits reading: at CRF 33 the noise in the chips is mostly the picture itself. The network
sees luma and colour together (an edge shows in both, a mark in neither), and is trained on marks of random keys,
so that the bound on false positives, which allows any front-end that does not know the payload's subkey, still holds.

Design decisions: full convolutions on the half canvas, with luma folded 2 x 2 into channels; the plain normalised
residual passes through, the network adds to it; about 50 thousand parameters, 1.8 billion multiplications a picture.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.watermark.carriers import NARROW, WIDE
from countermark.weights import pinned

__all__ = ["Whitener", "whitener"]

WEIGHTS = Path(__file__).parent / "weights" / "whitener.safetensors"
SHA256 = "6c46813fe0be6b4cf7abab5722b1b9b9ae63b9cbf1629f1e18d4db937d8cc9c5"
WINDOW = 25  # pixels over which contrast is measured
FLOOR = {"y": 0.8, "c": 0.4}  # 8-bit steps: contrast below this is not amplified further
CLIP = 2.5


class Conv(nn.Module):
    """A 3 x 3 convolution whose kernel is kept as a matrix, which the Muon optimiser wants."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs * 9) / (inputs * 9) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.inputs, self.dilation = inputs, dilation

    def forward(self, x: Tensor) -> Tensor:
        """B x inputs x H x W -> B x outputs x H x W."""
        kernel = self.weight.view(-1, self.inputs, 3, 3)
        return functional.conv2d(x, kernel, self.bias, padding=self.dilation, dilation=self.dilation)


class Whitener(nn.Module):
    """Pictures about zero in 8-bit steps -> the mark's residual, in units of the local noise."""

    def __init__(self, width: int = 32, depth: int = 5) -> None:
        super().__init__()
        self.register_buffer("narrow", _gaussian(NARROW), persistent=False)
        self.register_buffer("wide", _gaussian(WIDE), persistent=False)
        self.enter = Conv(12, width)
        self.body = nn.ModuleList(Conv(width, width, 1 + i % 2) for i in range(depth))
        self.leave = Conv(width, 6)

    def pulse(self, x: Tensor) -> Tensor:
        """The band-pass pulse of :mod:`countermark.watermark.carriers`."""
        return _blur(x, self.narrow) - _blur(x, self.wide)  # type: ignore[arg-type]

    def plain(self, y: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Band-passed luma and colour, and both again divided by their local contrast."""
        high_y, high_c = self.pulse(y), self.pulse(c)
        return high_y, high_c, _even(high_y, FLOOR["y"]), _even(high_c, FLOOR["c"])

    def forward(self, y: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """B x 1 x H x W and B x 2 x H/2 x W/2 -> residuals of the same shapes."""
        high_y, high_c, even_y, even_c = self.plain(y, c)
        folded = [functional.pixel_unshuffle(even_y, 2), functional.pixel_unshuffle((high_y / 4).clamp(-4, 4), 2)]
        x = functional.silu(self.enter(torch.cat([*folded, even_c, (high_c / 3).clamp(-4, 4)], 1)))
        for layer in self.body:
            x = x + functional.silu(layer(x))
        out = self.leave(x)
        return even_y + functional.pixel_shuffle(out[:, :4], 2), even_c + out[:, 4:]


@cache
def whitener() -> Whitener:
    """The trained network. Raises WeightsMissing unless its file is the expected one."""
    from safetensors.torch import load

    raw = pinned(WEIGHTS, SHA256, "the watermark's whitener")
    network = Whitener()
    network.load_state_dict({name: value.float() for name, value in load(raw).items()})
    return network.eval().requires_grad_(False)


def _gaussian(sigma: float) -> Tensor:
    reach = int(sigma * 3.5) + 1
    x = np.arange(-reach, reach + 1)
    kernel = np.exp(-x * x / 2 / sigma / sigma)
    return torch.tensor(kernel / kernel.sum(), dtype=torch.float32)


def _blur(x: Tensor, kernel: Tensor) -> Tensor:
    channels, pad = x.shape[1], len(kernel) // 2
    x = functional.pad(x, (pad, pad, 0, 0), mode="replicate")
    x = functional.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    x = functional.pad(x, (0, 0, pad, pad), mode="replicate")
    return functional.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def _even(high: Tensor, floor: float) -> Tensor:
    pad = WINDOW // 2
    power = functional.pad(high * high, (pad, pad, pad, pad), mode="replicate")
    power = functional.avg_pool2d(functional.avg_pool2d(power, (1, WINDOW), 1), (WINDOW, 1), 1)
    return (high / (power.clamp_min(0).sqrt() + floor)).clamp(-CLIP, CLIP)
