"""The stage ``paint`` of the generator's training: the painter learns from the renderer what things look like."""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countermark.generate.render import render_thing
from countermark.generate.things import Painter
from countermark.generate.transformer import Shape
from countermark.generate.upscale import SCALE
from countermark.training._looks import teaching_scene, true_looks
from countermark.training._muon import Optimisers
from countermark.training._runs import Checkpoint, Log
from countermark.training._together import mean_gradients, together, workers

__all__ = ["train_painter"]

THINGS, POINTS = 24, 2048  # things a step, and points of each
EDGE = 8.0  # times as often as others, that points at edges are chosen


def train_painter(args: argparse.Namespace) -> None:
    """Trains the painter for ``--minutes``, from the last checkpoint if there is one."""
    together(workers(args), _train_painter, args)


def _train_painter(rank: int, args: argparse.Namespace) -> None:
    model = Painter()
    rng = np.random.default_rng(args.seed + int(time.time()) * 100 + rank)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimisers = Optimisers(model, (2e-3 * args.rate, 2e-3 * args.rate), matrices=matrices)
    state = Checkpoint(args.runs / "paint.pt", model, model, optimisers, memory=500)
    log = Log(args.runs / "paint.csv", every=100)
    start, passed = time.monotonic(), 0.0
    while passed < 1:
        losses = _losses(rng, model)
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        *means, passed = mean_gradients(model, torch.tensor([*losses.tolist(), passed])).tolist()
        fall = min(1.0, 0.01 + 2 * max(0.0, 1 - passed)) if args.decay else 1.0
        optimisers.step(fall * min(1.0, (state.step + 1) / 20))
        state.add(THINGS * workers(args))
        if rank == 0:
            log.add(state.step, state.seen, *means)
            if state.due() or passed >= 1:
                state.write()


def _losses(rng: np.random.Generator, painter: Painter) -> Tensor:
    """How far from the renderer's are points of things that it was told the true looks of: cross-entropy of what is
    covered, and mean error of the colours there.
    """
    looks, points, colours, covers = [], [], [], []
    for _ in range(THINGS):
        scene = teaching_scene(rng)
        thing = scene.things[int(rng.integers(len(scene.things)))]
        times = rng.uniform(0, 1, 1).astype(np.float32)
        where, colour, cover = (one[0] for one in render_thing(scene, thing, times, Shape().size * SCALE))
        slope = np.abs(np.gradient(cover)).sum(0)
        chance = (1 + EDGE * (slope + np.roll(slope, 1, 0) + np.roll(slope, -1, 1) > 0)).ravel()
        chosen = rng.choice(cover.size, POINTS, p=chance / chance.sum())
        looks.append(true_looks(scene, (thing,), times)[0, 0])
        points.append(where.reshape(-1, 2)[chosen])
        colours.append(colour.reshape(-1, 3)[chosen])
        covers.append(cover.ravel()[chosen])
    true_cover, true_colour = (torch.from_numpy(np.stack(one)).float() for one in (covers, colours))
    colour, logits = painter(torch.stack(looks), torch.from_numpy(np.stack(points)).float())
    missed = functional.binary_cross_entropy_with_logits(logits, true_cover)
    return torch.stack([missed, ((colour - true_colour).abs().mean(-1) * true_cover).mean()])
