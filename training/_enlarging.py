"""The stage ``upscale`` of the generator's training: the decoder learns to enlarge what the transformer makes."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from countermark.generate.captions import caption
from countermark.generate.render import render
from countermark.generate.sampler import sample
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import FRAMES, Scene, pose, sample_scene, view
from countermark.training._muon import Optimisers
from countermark.training._runs import Log, load_text
from countermark.training._together import mean_gradients, same, together, workers

__all__ = ["train_upscaler"]

POOL, FIRST = 64, 8  # clips to take crops of, at most and while it fills at each step
EVERY = 4  # steps to a new clip: denoising one takes twice as long as a step
CROPS, SIDE = 16, 16  # a step; pixels of the small grid
TRUE = 0.25  # share of clips that are as they were drawn, as pictures to start from are
MOST = 0.75  # noise that a clip is denoised from; from more, things would not be where they were
STEPS, GUIDANCE = 4, 2.0


@dataclass(frozen=True)
class Made:
    """A scene, its slots (1 x slots x width), and its small clip (T x H x W x 3, -1..1) as the transformer shows it."""

    scene: Scene
    slots: Tensor
    clip: Tensor


def train_upscaler(args: argparse.Namespace) -> None:
    """Trains the decoder for ``--minutes``, from the last checkpoint if there is one, on crops of single frames."""
    together(workers(args), _train_upscaler, args)


def _train_upscaler(rank: int, args: argparse.Namespace) -> None:
    encoder, vocabulary = load_text(args.runs)
    video = VideoTransformer(Shape()).eval().requires_grad_(False)
    video.load_state_dict(torch.load(args.runs / "video.pt", map_location="cpu", weights_only=True)["average"])
    model, path = Upscaler(), args.runs / "upscale.pt"
    rng = np.random.default_rng(args.seed + int(time.time()) * 100 + rank)
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True)["model"])
    for p in model.parameters():
        same(p.data)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimisers = Optimisers(model, (2e-3 * args.rate, 2e-3 * args.rate), matrices=matrices)
    log = Log(args.runs / "upscale.csv", every=100)
    pool: list[Made] = []
    start, step, passed = time.monotonic(), 0, 0.0
    while passed < 1:
        if len(pool) < FIRST or step % EVERY == 0:
            pool.append(_make(rng, video, encoder, vocabulary))
            if len(pool) > POOL:
                pool.pop(int(rng.integers(POOL)))
        stacks, slots, large = (torch.stack(x) for x in zip(*(_crop(rng, pool) for _ in range(CROPS)), strict=True))
        loss = (model.enlarge(stacks, slots) - large).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        passed = (time.monotonic() - start) / (60 * args.minutes)
        mean, passed = mean_gradients(model, torch.tensor([loss.item(), passed])).tolist()
        optimisers.step(min(1.0, (step + 1) / 20, 0.01 + 2 * max(0.0, 1 - passed)))
        step += 1
        if rank == 0:
            log.add(step, step * CROPS * workers(args), mean)
            if step % 500 == 0 or passed >= 1:
                torch.save({"model": model.state_dict()}, path)


def _make(rng: np.random.Generator, video: VideoTransformer, encoder: TextEncoder, vocabulary: Vocabulary) -> Made:
    """A scene's clip, most often noised and denoised again, so that it has the transformer's faults."""
    scene = sample_scene(rng, held_out=None)
    clip = torch.from_numpy(render(scene, Shape().size)).float()[None] / 127.5 - 1
    with torch.inference_mode():
        slots = encoder(vocabulary.batch([caption(scene, rng)[0]]))
    if rng.random() > TRUE:
        start = float(rng.uniform(0, MOST))
        noise = torch.from_numpy(rng.standard_normal(clip.shape, np.float32))
        mixed = clip * (1 - start) + noise * start
        clip = sample(video, slots, steps=STEPS, guidance=GUIDANCE, seeds=[], noise=mixed, start=start).clamp(-1, 1)
    return Made(scene, slots.clone(), clip[0].clone())


def _crop(rng: np.random.Generator, pool: list[Made]) -> tuple[Tensor, Tensor, Tensor]:
    """A crop of a frame, half the time at a thing: small frames (9 x S x S), slots, the large one (3 x 8S x 8S)."""
    made = pool[int(rng.integers(len(pool)))]
    at = int(rng.integers(FRAMES))
    corner = rng.integers(0, Shape().size - SIDE + 1, 2).astype(float)
    if rng.random() < 0.5:
        thing = made.scene.things[int(rng.integers(len(made.scene.things)))]
        time_ = np.array([at / (FRAMES - 1)], np.float32)
        where, (shift, scale) = pose(thing, time_), view(made.scene, time_)
        x = (where.x[0] - shift[0]) * scale[0] + 0.5
        corner = np.array([where.y[0], x]) * Shape().size + rng.integers(-5, 6, 2) - SIDE / 2
    top, left = (int(c) for c in np.clip(corner, 0, Shape().size - SIDE))
    near = [min(max(at + d, 0), FRAMES - 1) for d in (-1, 0, 1)]
    small = made.clip[near, top : top + SIDE, left : left + SIDE]
    rows, columns = slice(top * SCALE, (top + SIDE) * SCALE), slice(left * SCALE, (left + SIDE) * SCALE)
    large = torch.from_numpy(render(made.scene, Shape().size * SCALE, at=at)[0, rows, columns]).float() / 127.5 - 1
    return small.permute(0, 3, 1, 2).flatten(0, 1), made.slots[0], large.permute(2, 0, 1)
