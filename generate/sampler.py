"""From static to a clip: the rectified flow is followed from noise to video, guided by the prompt.

Liu et al. 2022 (rectified flow); Ho and Salimans 2022 (classifier-free guidance); the time shift puts more steps where
noise is high and a clip's layout is decided (Esser et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from countermark.generate.transformer import VideoTransformer

__all__ = ["GUIDANCE", "STEPS", "invert", "levels", "sample"]

STEPS, GUIDANCE = 12, 1.5  # twice as many steps, or more guidance, come no nearer to what was asked for
SHIFT = 1.5  # of few pixels, whose layout is decided at less noise than that of many


def levels(steps: int, start: float = 1.0) -> list[float]:
    """``steps`` + 1 noise levels from ``start`` to 0."""
    return [start * (SHIFT * u / (1 + (SHIFT - 1) * u)) for u in (1 - i / steps for i in range(steps + 1))]


@torch.inference_mode()
def sample(
    model: VideoTransformer,
    slots: Tensor,
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    seeds: list[int],
    against: Tensor | None = None,
    noise: Tensor | None = None,
    start: float = 1.0,
    known: Tensor | None = None,
    span: tuple[float, float] | None = None,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """Clips for slot vectors (B x slots x width): float32, B x T x H x W x 3, -1..1.

    Each sample's noise comes from its own seed, so that a batch gives what single calls give. ``against``: slot
    vectors (B x slots x width) to be guided away from; without them, away from no prompt. ``noise`` (B x T x H x W x
    3, standard normal) stands in for the seeds'; it may hold a clip, so that a share ``start`` of it is noise.
    ``known`` (B x K x H x W x 3): the first K frames, which stay as they are; ``span``: which part of its scene the
    clip shows. Guidance overshoots: what it makes of a clip is cut to -1..1 in each step (Saharia et al. 2022).
    """
    shape = model.shape
    size = (shape.frames, shape.size, shape.size, 3)
    if noise is None:
        noise = torch.stack([torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    x = noise
    count = len(x)
    both = torch.cat([slots, slots if against is None else against])
    drop = torch.zeros(2 * count, dtype=torch.bool)
    drop[count:] = against is None
    given = torch.zeros(2 * count, shape.frames, dtype=torch.bool)
    if known is not None:
        given[:, : known.shape[1]] = True
    spans = torch.tensor([span or (0.0, 1.0)]).expand(2 * count, 2)
    for now, then in pairwise(levels(steps, start)):
        if known is not None:
            x = torch.cat([known, x[:, known.shape[1] :]], 1)
        if guidance == 1.0:
            clean = model(x, torch.full((count,), now), slots, given=given[:count], span=spans[:count])
        else:
            guided, plain = model(
                torch.cat([x, x]), torch.full((2 * count,), now), both, drop, given=given, span=spans
            ).chunk(2)
            clean = plain + guidance * (guided - plain)
        clean = clean.clamp(-1, 1)
        x = clean + (x - clean) * (then / now)
        on_step()
    return x if known is None else torch.cat([known, x[:, known.shape[1] :]], 1)


@torch.inference_mode()
def invert(model: VideoTransformer, clips: Tensor, slots: Tensor | None = None, *, steps: int = STEPS) -> Tensor:
    """The noise that clips (B x T x H x W x 3, about -1..1) may have come from, roughly: shaped as they are.

    Follows the flow backwards by explicit Euler steps (as DDIM inversion, Dhariwal and Nichol 2021, does for
    diffusion), without guidance, for slot vectors (B x slots x width) or, where the prompt is unknown, for none. The
    last step of :func:`sample` leaves the network's clean clip and no noise, so that a clip counts as one at the
    level before. Raises ValueError for fewer than 2 steps.
    """
    if steps < 2:
        raise ValueError("an inversion takes 2 steps or more")
    count, shape = len(clips), model.shape
    drop = torch.full((count,), slots is None)
    if slots is None:
        slots = torch.zeros(count, shape.slots, shape.slot_width)
    x = clips
    for now, then in pairwise(levels(steps)[-2::-1]):
        clean = model(x, torch.full((count,), then), slots, drop)
        x = clean + (x - clean) * (then / now)
    return x
