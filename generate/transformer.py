"""The video diffusion transformer: noisy space-time patches and slot vectors in, a clean video out.

Design decisions
* Pixels, no auto-encoder, but few of them: 16x16, at which a patch of 4 frames by 4x4 pixels is a token of 192 numbers,
  128 tokens a clip. Such a patch fits through a token of 256; at 32x32 its 768 numbers did not, and outlines stayed
  ragged whatever was added. What things look like is told by the prompt, so the decoder draws it (:mod:`.upscale`);
  the transformer settles what happens where and when.
* It predicts the clean video and is trained on the velocity that follows from it (Li and He, "Back to basics: let
  denoising generative models denoise", 2025): a network of this width can hold a clean patch but not a noisy one.
* Text joins the sequence as a few more tokens (joint attention), so a thing's patch can look its slot up, and also
  modulates every block, beside the noise level (as the pooled text of Esser et al. 2024).
* Frames may be given, clean, among noisy ones (as masks in image-to-video models): a picture to start from, or the
  end of the stretch before. ``span`` says which part of a scene a clip shows, so that ten seconds are not four, looped.
* Rotary positions in three axes (Su et al. 2021), normalised queries and keys (Henry et al. 2020), and one
  modulation of the noise level shared by all blocks with a learned offset in each (PixArt-alpha's adaLN-single).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.text import SLOT_WIDTH

__all__ = ["Shape", "VideoTransformer"]


@dataclass(frozen=True)
class Shape:
    """Sizes of the model: the clip's grid, its patches, and the network."""

    frames: int = 32
    size: int = 16
    patch_frames: int = 4
    patch_size: int = 4
    width: int = 256
    depth: int = 8
    heads: int = 4
    slots: int = 4
    slot_width: int = SLOT_WIDTH

    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches along time, height and width."""
        return self.frames // self.patch_frames, self.size // self.patch_size, self.size // self.patch_size

    @property
    def patch_values(self) -> int:
        """Numbers in a patch."""
        return self.patch_frames * self.patch_size**2 * 3


class Features(NamedTuple):
    """What the transformer knows of a clip: itself without noise (B x T x H x W x 3), and its video tokens half way (B
    x N x width).
    """

    clean: Tensor
    middle: Tensor


class VideoTransformer(nn.Module):
    """Noisy clips (B x T x H x W x 3 in about -1..1) and slots (B x slots x slot_width) to clean clips."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        width = shape.width
        self.patch_in = nn.Linear(shape.patch_values, width)
        self.slot_in = nn.Linear(shape.slot_width, width)
        self.slot_place = nn.Parameter(torch.randn(shape.slots, width) * 0.02)
        self.nothing = nn.Parameter(torch.randn(shape.slots, width) * 0.02)
        self.level = nn.Linear(256, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList([Block(width, shape.heads) for _ in range(shape.depth)])
        self.out_offset = nn.Parameter(torch.zeros(2, width))
        self.patch_out = nn.Linear(width, shape.patch_values)
        self.whole = nn.Linear(shape.slots * shape.slot_width, width)
        self.given = nn.Linear(shape.patch_frames, width, bias=False)
        self.span = nn.Linear(2, width)
        for layer in (self.whole, self.span):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.given.weight)
        nn.init.zeros_(self.patch_out.weight)
        nn.init.zeros_(self.patch_out.bias)
        cos, sin = _rotary(shape.grid, width // shape.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self,
        noisy: Tensor,
        level: Tensor,
        slots: Tensor,
        drop: Tensor | None = None,
        *,
        given: Tensor | None = None,
        span: Tensor | None = None,
    ) -> Tensor:
        """Clean clips, shaped as ``noisy``.

        ``level`` (B) is the share of noise, 0..1; ``drop`` (B, bool) marks samples that are to ignore their slots.
        ``given`` (B x T, bool): frames of ``noisy`` that are clean; ``span`` (B x 2): from when to when the clip lasts,
        as shares of its scene, all of it by default.
        """
        return self.features(noisy, level, slots, drop, given=given, span=span).clean

    def features(
        self,
        noisy: Tensor,
        level: Tensor,
        slots: Tensor,
        drop: Tensor | None = None,
        *,
        given: Tensor | None = None,
        span: Tensor | None = None,
    ) -> Features:
        """Clean clips as :meth:`forward` gives them, and what the middle of the network knows of them."""
        text, whole = self.slot_in(slots), self.whole(slots.flatten(1))
        if drop is not None:
            text = torch.where(drop[:, None, None], self.nothing.to(text.dtype), text)
            whole = torch.where(drop[:, None], torch.zeros_like(whole), whole)
        video = self.patch_in(self._patches(noisy))
        if given is not None:
            t, h, w = self.shape.grid
            known = self.given(given.view(-1, t, self.shape.patch_frames).to(video.dtype))
            video = video + known.repeat_interleave(h * w, dim=1)
        ends = torch.zeros(len(noisy), 2, device=noisy.device) if span is None else span - span.new_tensor([0.0, 1.0])
        whole = whole + self.span(ends.to(whole.dtype))
        x = torch.cat([text + self.slot_place, video], dim=1)
        condition = functional.silu(self.level(_waves(level)) + whole)
        modulation = self.modulation(condition).view(-1, 6, self.shape.width)
        middle = x
        for i, block in enumerate(self.blocks):
            x = block(x, modulation, self.cos, self.sin)
            if i == len(self.blocks) // 2 - 1:
                middle = x
        shift, scale = (modulation[:, :2] + self.out_offset).chunk(2, dim=1)
        out = _norm(x[:, self.shape.slots :]) * (1 + scale) + shift
        return Features(self._frames(self.patch_out(out)), middle[:, self.shape.slots :])

    def _patches(self, clip: Tensor) -> Tensor:
        t, h, w = self.shape.grid
        p, q = self.shape.patch_frames, self.shape.patch_size
        x = clip.view(-1, t, p, h, q, w, q, 3).permute(0, 1, 3, 5, 2, 4, 6, 7)
        return x.reshape(clip.shape[0], t * h * w, self.shape.patch_values)

    def _frames(self, patches: Tensor) -> Tensor:
        t, h, w = self.shape.grid
        p, q = self.shape.patch_frames, self.shape.patch_size
        x = patches.view(-1, t, h, w, p, q, q, 3).permute(0, 1, 4, 2, 5, 3, 6, 7)
        return x.reshape(patches.shape[0], t * p, h * q, w * q, 3)


class Block(nn.Module):
    """Attention and a gated MLP, each modulated by the noise level."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.offset = nn.Parameter(torch.randn(6, width) * 0.02)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.rise = nn.Linear(width, 8 * width // 3 // 32 * 32 * 2, bias=False)
        self.fall = nn.Linear(8 * width // 3 // 32 * 32, width, bias=False)
        self.scale = nn.Parameter(torch.full((heads, 1, 1), 8.0))

    def forward(self, x: Tensor, modulation: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Tokens, B x N x width, to tokens."""
        a_shift, a_scale, a_gate, m_shift, m_scale, m_gate = (modulation + self.offset).chunk(6, dim=1)
        x = x + a_gate * self._attend(_norm(x) * (1 + a_scale) + a_shift, cos, sin)
        value, gate = self.rise(_norm(x) * (1 + m_scale) + m_shift).chunk(2, dim=-1)
        out: Tensor = x + m_gate * self.fall(value * functional.silu(gate))
        return out

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = self.qkv(x).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (functional.normalize(z, dim=-1).to(v.dtype) for z in (q, k))
        q, k = _turn(q, cos, sin) * self.scale.to(v.dtype), _turn(k, cos, sin)
        weights = (q @ k.transpose(-1, -2)).softmax(dim=-1).to(v.dtype)  # explicit: quicker backwards on a CPU
        out: Tensor = self.join((weights @ v).transpose(1, 2).reshape(batch, count, width))
        return out


def _norm(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:])


def _waves(level: Tensor) -> Tensor:
    """Noise levels (B) as 256 sines and cosines."""
    rates = torch.exp(torch.linspace(0.0, 6.9, 128, device=level.device))
    angle = level[:, None].float() * rates
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _rotary(grid: tuple[int, int, int], width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotations, N x width/2; a quarter of the pairs for time, the rest for y and x."""
    pairs = width // 2
    share = (pairs // 4, (pairs - pairs // 4) // 2, pairs - pairs // 4 - (pairs - pairs // 4) // 2)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in grid), indexing="ij")
    angles = [
        axis.reshape(-1, 1) * torch.exp(-torch.linspace(0.0, 3.5, count))
        for axis, count in zip(axes, share, strict=True)
    ]
    angle = torch.cat(angles, dim=1)
    return angle.cos(), angle.sin()


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the video tokens' features by their place; text tokens, which come first, keep theirs."""
    text = x[..., : x.shape[-2] - cos.shape[0], :]
    video = x[..., x.shape[-2] - cos.shape[0] :, :]
    a, b = video.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([text, torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)], dim=-2)
