"""The network: residuals of a patch in three frames -> how generated it looks. A third of a million parameters.

Design decisions:

* It never sees the picture, only what differs from its surroundings in space and time: median residual (FerretNet,
  arXiv 2509.20890), neighbour differences (NPR, Tan et al. 2024), first and second differences over time. Content is
  what differs most between data sets and least between cameras and generators.
* A spatial and a temporal branch meet after the first stride; chroma joins there, where its own samples lie.
* Blocks are timm's EdgeResidual (EfficientNetV2's fused blocks), which are the fastest on a CPU.
* Patches are judged alone; a clip's score is the mean of its patches' logits, in training as in use.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SPATIAL", "TEMPORAL", "Network", "residuals"]

SPATIAL, TEMPORAL, CHROMA = 3, 4, 6  # channels of each branch


def _sorted_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return torch.minimum(a, b), torch.maximum(a, b)


def _median3x3(x: Tensor) -> Tensor:
    """The median of 3 x 3 pixels, edges repeated: N x C x H x W (sorting network of Smith 1996, 19 exchanges)."""
    h, w = x.shape[-2:]
    p = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    v = [p[..., i : i + h, j : j + w] for i in range(3) for j in range(3)]
    exchanges = ((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6))
    for i, j in (*exchanges, (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)):
        v[i], v[j] = _sorted_pair(v[i], v[j])
    return v[4]


def _soft(x: Tensor, scale: float) -> Tensor:
    """Keeps small differences apart and large ones within bounds."""
    return torch.asinh(x / scale)


def residuals(luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees: residuals in space (B x 3 x H x W), time (B x 4 x H x W), chroma (B x 6 x H/2 x W/2).

    ``luma``: B x 3 x H x W, ``chroma``: B x 3 x 2 x H/2 x W/2, in 8-bit steps, float or uint8.
    """
    y, c = luma.float(), chroma.float()
    fine = y - _median3x3(y)
    middle = y[:, 1:2]
    right = functional.pad(middle, (0, 1, 0, 0), mode="replicate").diff(dim=3)
    down = functional.pad(middle, (0, 0, 0, 1), mode="replicate").diff(dim=2)
    spatial = torch.cat([_soft(fine[:, 1:2], 1.0), _soft(right, 2.0), _soft(down, 2.0)], 1)
    first, second = (y[:, 2:] - y[:, :1]) / 2, y[:, 2:] - 2 * middle + y[:, :1]
    temporal = torch.cat([_soft(first, 2.0), _soft(second, 2.0), _soft(fine[:, ::2], 1.0)], 1)
    now = c[:, 1]
    soft = functional.avg_pool2d(functional.pad(now, (1, 1, 1, 1), mode="replicate"), 3, 1)
    flow = _soft((c[:, 2] - c[:, 0]) / 2, 1.0)
    colour = torch.cat([_soft(now - soft, 0.7), flow, _soft(c[:, 2] - 2 * now + c[:, 0], 1.0)], 1)
    return spatial, temporal, colour


class Network(nn.Module):
    """Patches -> logits (B x 2: generated, passed through an auto-encoder) and embeddings (B x ``width``)."""

    def __init__(self, width: int = 96, drop: float = 0.2) -> None:
        super().__init__()
        from countermark.torchvision_shim import mend_torchvision

        mend_torchvision()
        from timm.layers import ConvNormAct
        from timm.models._efficientnet_blocks import EdgeResidual

        act: dict[str, Any] = {"act_layer": nn.SiLU}
        self.spatial = ConvNormAct(SPATIAL, 16, 3, stride=2, **act)
        self.temporal = ConvNormAct(TEMPORAL, 16, 3, stride=2, **act)
        self.chroma = ConvNormAct(CHROMA, 8, 3, **act)
        self.blocks = nn.Sequential(
            EdgeResidual(40, 32, 3, exp_ratio=1.5, noskip=True, **act),
            EdgeResidual(32, 48, 3, stride=2, exp_ratio=2.0, **act),
            EdgeResidual(48, 48, 3, exp_ratio=2.0, **act),
            EdgeResidual(48, width, 3, stride=2, exp_ratio=2.0, **act),
            EdgeResidual(width, width, 3, exp_ratio=2.0, **act),
        )
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width, 2)

    def forward_features(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """Embeddings of patches, B x width."""
        spatial, temporal, colour = residuals(luma, chroma)
        x = torch.cat([self.spatial(spatial), self.temporal(temporal), self.chroma(colour)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.blocks(x)
        pooled: Tensor = x.mean((2, 3))
        return pooled

    def forward_head(self, x: Tensor) -> Tensor:
        """Logits of embeddings, B x 2."""
        made: Tensor = self.head(self.drop(x))
        return made

    def forward(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """Logits of patches, B x 2."""
        return self.forward_head(self.forward_features(luma, chroma))
