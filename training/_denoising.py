"""The stage ``video`` of the generator's training: the transformer learns to denoise."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from countermark.generate.sampler import SHIFT, sample
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.world import FRAMES
from countermark.training._drawn import CELLS, Clips, Drawn
from countermark.training._muon import Optimisers
from countermark.training._runs import Checkpoint, Log, load_text
from countermark.training._together import mean_gradients, together, workers

__all__ = ["noise_levels", "train_video"]

ASKED = 0.3  # weight of the loss of where things are
EVEN = 0.2  # share of noise levels that are uniform, so that little noise is seen often enough
FLOOR = 0.15  # noise from which an error weighs no more than with less of it
OTHER = ("offset",)  # tables, and from or to conditions
SHOWN = (
    "a red ball bounces, animated, studio",
    "a green star to the left of a blue box, photorealistic, by day",
    "a purple robot walks to the right, animated, on a meadow",
    "a cookie is bitten, photorealistic, studio",
    "a yellow ball rolls right and knocks over a red box, animated, by day",
    "an orange triangle above a blue ball, animated, at night",
)


def noise_levels(count: int, generator: torch.Generator | None = None, shift: float = SHIFT) -> Tensor:
    """Random noise levels in 0..1: logit-normal, shifted towards high noise (Esser et al. 2024, eq. 23), and EVEN of
    them uniform.

    One from each of ``count`` equal shares of the distribution, so that a batch's loss tells more of the network and
    less of the draw.
    """
    shares = (torch.rand(count, generator=generator) + torch.randperm(count, generator=generator)) / count
    normal = ((shares - EVEN) / (1 - EVEN)).clamp(1e-4, 1 - 1e-4)
    u = torch.sigmoid(torch.special.ndtri(normal) * 1.2)
    return torch.where(shares < EVEN, shares / EVEN, shift * u / (1 + (shift - 1) * u))


def velocity_loss(clean: Tensor, guess: Tensor, level: Tensor, asked: Tensor) -> Tensor:
    """Squared error of the velocity that a guess of the clean clip implies, over frames ``asked`` for (B x T, bool)."""
    weight = 1.0 / level.clamp_min(FLOOR) ** 2
    error = ((guess - clean) ** 2).flatten(2).mean(2) * asked
    return (error.sum(1) / asked.sum(1).clamp_min(1) * weight).mean()


class Locator(nn.Module):
    """Asks the middle of the transformer where each thing is: a head that is trained along and left out of the export.

    Without it words and places are bound only through pixels' errors, of which things are a twentieth (the idea of
    teaching the middle layers something is that of Yu et al. 2025, "Representation alignment for generation").
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.cells = CELLS // shape.grid[1]
        self.head = nn.Linear(shape.width, shape.patch_frames * self.cells**2 * 3)

    def forward(self, middle: Tensor, where: Tensor) -> Tensor:
        """Cross-entropy of ``where`` (B x T x 8 x 8 x 3, bool) as the video tokens (B x N x width) tell it, B."""
        t, h, w = self.shape.grid
        p, c = self.shape.patch_frames, self.cells
        told = self.head(middle).float()
        truth = where.view(-1, t, p, h, c, w, c, 3).permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(told.shape).float()
        loss: Tensor = nn.functional.binary_cross_entropy_with_logits(told, truth, reduction="none").mean((1, 2))
        return loss


def train_video(args: argparse.Namespace) -> None:
    """Trains the transformer for ``--minutes``, from the last checkpoint if there is one."""
    together(workers(args), _train_video, args)


def _train_video(rank: int, args: argparse.Namespace) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder, vocabulary = load_text(args.runs)
    encoder.to(device)
    model, locator = VideoTransformer(Shape()).to(device), Locator(Shape()).to(device)
    both = nn.ModuleList([model, locator])
    optimisers = Optimisers(both, (1.5e-3 * args.rate, 1e-3 * args.rate), matrices=_matrices(model))
    state = Checkpoint(args.runs / "video.pt", model, both, optimisers, memory=1000, device=device)
    torch.manual_seed(args.seed + 7919 * (state.seen + 1) + rank)
    clips = Clips(args.seed + 1_000_003 * (state.seen + 1) + rank)
    if not args.no_compile:
        for block in model.blocks:
            block.compile()
    log = Log(args.runs / "video.csv")
    kind, start = fastest_type(device), time.monotonic()
    passed = 0.0
    while passed < 1:
        losses = denoising_loss(
            model, locator, encoder, vocabulary, clips.batch(args.batch // workers(args)), device, kind
        )
        (losses[0] + ASKED * losses[1]).backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        *means, passed = mean_gradients(both, torch.tensor([*(loss.item() for loss in losses), passed])).tolist()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        fall = min(1.0, 1.05 * max(0.0, 1 - passed)) if args.decay else 1.0
        optimisers.step(fall * min(1.0, (state.step + 1) / 200))
        state.add(args.batch)
        if rank == 0:
            log.add(state.step, state.seen, *means)
            if state.due() or passed >= 1:
                state.write()
                contact_sheet(state.average, encoder, vocabulary, args.runs / f"sheet_{state.seen:07d}.png")


def contact_sheet(model: VideoTransformer, encoder: TextEncoder, vocabulary: Vocabulary, path: Path) -> None:
    """Eight frames each of the clips that the model makes of SHOWN, as they are on its grid, eight times as large."""
    import cv2

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        slots = encoder(vocabulary.batch(list(SHOWN)).to(device))
        clips = sample(model.cpu(), slots.cpu(), steps=12, seeds=list(range(len(SHOWN))))
    model.to(device)
    few = clips[:, :: FRAMES // 8].permute(0, 2, 1, 3, 4).reshape(-1, 8 * Shape().size, 3)
    pixels = ((few.clamp(-1, 1) + 1) * 127.5).byte().numpy()
    cv2.imwrite(str(path), cv2.resize(pixels[..., ::-1], None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST))


def _matrices(model: VideoTransformer) -> list[nn.Parameter]:
    """The weights that Muon takes: those between features, not those from pixels, words or levels."""
    inner = [(n, p) for n, p in model.named_parameters() if n.startswith("blocks")]
    return [p for n, p in inner if p.ndim == 2 and not n.endswith(OTHER)]


def fastest_type(device: str) -> torch.dtype:
    """bfloat16 on a GPU and on a CPU that multiplies it faster (with AMX), else float32, twice as fast on others."""
    if device == "cuda":
        return torch.bfloat16
    took = {}
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2048, 256, dtype=kind), torch.ones(768, 256, dtype=kind)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            nn.functional.linear(a, b)
            times.append(time.perf_counter() - start)
        took[kind] = min(times)
    return min(took, key=lambda kind: took[kind])


def denoising_loss(
    model: VideoTransformer,
    locator: Locator,
    encoder: TextEncoder,
    vocabulary: Vocabulary,
    drawn: list[Drawn],
    device: str,
    kind: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Losses of a batch at random noise levels, a tenth without a prompt: of its clips, and of where things are."""
    clean = torch.from_numpy(np.stack([one.pixels for one in drawn])).to(device).float() / 127.5 - 1.0
    where = torch.from_numpy(np.stack([one.where for one in drawn])).to(device)
    given = torch.from_numpy(np.stack([one.given for one in drawn])).to(device)
    span = torch.tensor([one.span for one in drawn], device=device)
    with torch.no_grad():
        slots = encoder(vocabulary.batch([one.text for one in drawn]).to(device))
    level = noise_levels(len(clean)).to(device)
    drop = torch.rand(len(clean), device=device) < 0.1
    mix = level[:, None, None, None, None] * ~given[..., None, None, None]
    noisy = clean * (1 - mix) + torch.randn_like(clean) * mix
    with torch.autocast(clean.device.type, dtype=torch.bfloat16, enabled=kind is torch.bfloat16):
        features = model.features(noisy, level, slots, drop, given=given, span=span)
        found = locator(features.middle, where)
    return velocity_loss(clean, features.clean.float(), level, ~given), (found * ~drop).mean()
