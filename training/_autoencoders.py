"""Small auto-encoders of several kinds, trained on real footage: what they give back is a matched fake.

A video generator ends in the decoder of an auto-encoder. Real clips that pass through one keep their content, size,
frame rate and codec, and gain only what decoders leave (Rajan et al. 2025, aligned datasets; Guillaro et al. 2025,
B-Free). Kinds differ in what may matter: strides in space and time, channels, how the decoder enlarges, quantisation.

Design decisions: encoders fold pixels into channels at once, which is cheap; decoders enlarge step by step, as
generators' do. The loss asks for the right texture energy and not only the right pixels, else all would merely blur.
Latents are noised in training and use, as a generator's are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.training._muon import Optimisers

__all__ = ["KINDS", "AutoEncoder", "Kind", "fit", "reconstruct"]

Frame = npt.NDArray[np.uint8]
LENGTH = 8  # frames of a training crop


@dataclass(frozen=True)
class Kind:
    """Strides in space and time, latent channels, how the decoder enlarges, and whether latents are quantised."""

    stride: int
    channels: int
    enlarge: str
    frames: int = 1
    codes: int = 0


KINDS = {
    "kl8x16-nearest": Kind(8, 16, "nearest"),
    "kl8x32-transposed": Kind(8, 32, "transposed"),
    "kl8x16-shuffle": Kind(8, 16, "shuffle"),
    "kl4x4-bilinear": Kind(4, 4, "bilinear"),
    "vq4x8-nearest": Kind(4, 8, "nearest", codes=1024),
    "3d8x4x32-nearest": Kind(8, 32, "nearest", frames=4),
    "3d8x4x48-transposed": Kind(8, 48, "transposed", frames=4),
    "3d8x2x24-shuffle": Kind(8, 24, "shuffle", frames=2),
    "3d16x4x96-patch": Kind(16, 96, "patch", frames=4),
}


class _Block(nn.Module):
    """A residual block of two 3D convolutions (1x3x3 and 3x3x3, or no time at all)."""

    def __init__(self, width: int, temporal: bool) -> None:
        super().__init__()
        depth = 3 if temporal else 1
        self.first = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
        self.second = nn.Conv3d(width, width, (depth, 3, 3), padding=(depth // 2, 1, 1))
        self.norm = nn.GroupNorm(8, width)

    def forward(self, x: Tensor) -> Tensor:
        more: Tensor = self.second(functional.silu(self.first(functional.silu(self.norm(x)))))
        return x + more


class AutoEncoder(nn.Module):
    """Clips (B x 3 x T x H x W, -1..1) to clips; T a multiple of the temporal stride, H and W of the spatial one."""

    def __init__(self, kind: Kind, width: int = 96) -> None:
        super().__init__()
        self.kind = kind
        folded = 3 * kind.stride**2 * kind.frames
        temporal = kind.frames > 1
        self.fold = nn.Linear(folded, width * 2)
        self.squeeze = nn.Linear(width * 2, kind.channels)
        self.direct = nn.Linear(folded, kind.channels)
        self.widen = nn.Linear(kind.channels, width * kind.frames)
        self.blocks = nn.Sequential(_Block(width, temporal), _Block(width, temporal))
        self.steps = nn.ModuleList()
        doublings = {4: 2, 8: 3, 16: 4}[kind.stride] - (2 if kind.enlarge == "patch" else 0)
        for _ in range(doublings):
            self.steps.append(_enlarger(kind.enlarge, width, max(24, width // 2)))
            width = max(24, width // 2)
        last = 3 * 16 if kind.enlarge == "patch" else 3
        self.out = nn.Conv2d(width, last, 3, padding=1)
        if kind.codes:
            self.codes = nn.Parameter(torch.randn(kind.codes, kind.channels))

    def encode(self, clip: Tensor) -> Tensor:
        """Latents, B x T' x H' x W' x C, bounded, so that noise of a fixed size means something."""
        b, c, t, h, w = clip.shape
        s, f = self.kind.stride, self.kind.frames
        x = clip.reshape(b, c, t // f, f, h // s, s, w // s, s).permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)
        latents: Tensor = self.squeeze(functional.silu(self.fold(x))) + self.direct(x)
        return 3 * torch.tanh(latents / 3)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents back to clips."""
        b, t, h, w, _ = latents.shape
        f = self.kind.frames
        x = self.widen(latents).reshape(b, t, h, w, f, -1).permute(0, 5, 1, 4, 2, 3).flatten(2, 3)
        x = self.blocks(x).permute(0, 2, 1, 3, 4).flatten(0, 1)
        for step in self.steps:
            x = functional.silu(step(x))
        x = self.out(x)
        if self.kind.enlarge == "patch":
            x = functional.pixel_shuffle(x, 4)
        made: Tensor = x.reshape(b, t * f, *x.shape[1:])
        return made.permute(0, 2, 1, 3, 4)

    def forward(self, clip: Tensor, noise: float = 0.1) -> tuple[Tensor, Tensor]:
        """The clip after encoding, noise of this deviation (or quantisation) and decoding; and the codes' loss."""
        latents = self.encode(clip)
        if not self.kind.codes:
            return self.decode(latents + noise * torch.randn_like(latents)), latents.new_zeros(())
        flat = latents.flatten(0, 3)
        with torch.no_grad():
            near = torch.cdist(flat, self.codes).argmin(1)
        chosen = self.codes[near].view_as(latents)
        loss = functional.mse_loss(chosen, latents.detach()) + 0.25 * functional.mse_loss(latents, chosen.detach())
        return self.decode(latents + (chosen - latents).detach()), loss


def _enlarger(how: str, width: int, narrow: int) -> nn.Module:
    if how == "transposed":
        return nn.ConvTranspose2d(width, narrow, 4, 2, 1)
    if how in ("shuffle", "patch"):
        return nn.Sequential(nn.Conv2d(width, narrow * 4, 3, padding=1), nn.PixelShuffle(2))
    mode = {"nearest": "nearest", "bilinear": "bilinear"}[how]
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(width, narrow, 3, padding=1))


def _loss(guess: Tensor, clip: Tensor) -> Tensor:
    """Pixels, edges, and the energy of fine texture in 8 x 8 places and over time."""
    loss = (guess - clip).abs().mean()
    edges = [(guess.diff(dim=d) - clip.diff(dim=d)).abs().mean() for d in (3, 4)]
    energies = [_energy(guess), _energy(clip)]
    loss = loss + sum(edges) + 0.05 * (energies[0] - energies[1]).abs().mean()
    return loss + 0.5 * (guess.diff(dim=2) - clip.diff(dim=2)).abs().mean()


def _energy(clip: Tensor) -> Tensor:
    grey = clip.mean(1).flatten(0, 1)[:, None]
    fine = grey - functional.avg_pool2d(functional.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (functional.avg_pool2d(fine * fine, 8) + 1e-5).log()


def fit(kind: Kind, crops: npt.NDArray[np.uint8], seconds: float, seed: int = 0) -> tuple[AutoEncoder, float]:
    """Trains one on crops (N x 8 x 96 x 96 x 3) for a time; gives the model and its last mean absolute error (0..1)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, batch = AutoEncoder(kind), 3 if kind.frames > 1 else 6
    optimisers = Optimisers(model, (4e-3, 3e-3), decay=0.0)
    start, step, error = time.monotonic(), 0, 1.0
    while (gone := (time.monotonic() - start) / seconds) < 1:
        chosen = torch.from_numpy(crops[np.sort(rng.choice(len(crops), batch, replace=False))])
        if kind.frames == 1:
            at = rng.integers(0, LENGTH - 2)
            chosen = chosen[:, at : at + 2]
        clip = chosen.permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            guess, codes = model(clip)
        loss = _loss(guess.float(), clip) + codes.float()
        loss.backward()
        optimisers.step(min(1.0, (step + 1) / 20, 3 * (1 - gone) + 0.02))
        error = 0.95 * error + 0.05 * float((guess.detach() - clip).abs().mean()) / 2
        step += 1
    return model.eval().requires_grad_(False), error


def reconstruct(model: AutoEncoder, frames: Sequence[Frame], noise: float = 0.1) -> list[Frame]:
    """Frames (H x W x 3, uint8) after the auto-encoder; cropped to multiples of 16, and in time to its stride."""
    count = len(frames) // model.kind.frames * model.kind.frames
    rows, columns = (n // 16 * 16 for n in frames[0].shape[:2])
    clip = torch.from_numpy(np.stack([f[:rows, :columns] for f in frames[:count]]))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        made, _ = model(clip.permute(3, 0, 1, 2)[None].float() / 127.5 - 1, noise)
    pixels = ((made[0].float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return [np.ascontiguousarray(f) for f in pixels.permute(1, 2, 3, 0).numpy()]
