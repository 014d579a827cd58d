"""The stage ``upscale`` of the generator's training: the decoder learns to draw what the transformer makes."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from countermark.generate.captions import caption
from countermark.generate.render import render, render_small
from countermark.generate.sampler import sample
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import FRAMES, Scene, pose, sample_scene, view
from countermark.training._muon import Optimisers
from countermark.training._runs import Checkpoint, Log, load_text
from countermark.training._together import mean_gradients, together, workers

__all__ = ["train_upscaler"]

POOL, FIRST = 96, 8  # clips to take parts of, at most and while it fills at each step
EVERY = 3  # steps to a new clip: making one takes longer than a step
WINDOWS, LONG = 2, 10  # a step, and their frames
SIDE = 8  # pixels of the small grid, of the part of each frame that is compared
TRUE = 0.15  # share of clips that are as they were drawn, as pictures to start from are
LEAST, MOST = 0.05, 0.9  # noise that a clip is denoised from; from more, things would not be where they were
STEPS, GUIDANCE = 6, 1.5
AT_THINGS = 0.75  # share of windows that follow a thing


@dataclass(frozen=True)
class Made:
    """A scene, its slots (slots x width), its small clip (T x H x W x 3, -1..1) as the transformer shows it, and what
    it should be (uint8, T x 8H x 8W x 3).
    """

    scene: Scene
    slots: Tensor
    clip: Tensor
    large: npt.NDArray[np.uint8]


def train_upscaler(args: argparse.Namespace) -> None:
    """Trains the decoder for ``--minutes``, from the last checkpoint if there is one."""
    together(workers(args), _train_upscaler, args)


def _train_upscaler(rank: int, args: argparse.Namespace) -> None:
    encoder, vocabulary = load_text(args.runs)
    video = VideoTransformer(Shape()).eval().requires_grad_(False)
    video.load_state_dict(torch.load(args.runs / "video.pt", map_location="cpu", weights_only=True)["average"])
    model = Upscaler()
    rng = np.random.default_rng(args.seed + int(time.time()) * 100 + rank)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimisers = Optimisers(model, (2e-3 * args.rate, 2e-3 * args.rate), matrices=matrices)
    state = Checkpoint(args.runs / "upscale.pt", model, model, optimisers, memory=300)
    log = Log(args.runs / "upscale.csv", every=50)
    pool: list[Made] = []
    start, passed = time.monotonic(), 0.0
    while passed < 1:
        if len(pool) < FIRST or state.step % EVERY == 0:
            pool.append(_make(rng, video, encoder, vocabulary))
            if len(pool) > POOL:
                pool.pop(int(rng.integers(POOL)))
        loss = torch.stack([_loss(rng, model, pool) for _ in range(WINDOWS)]).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        mean, passed = mean_gradients(model, torch.tensor([loss.item(), passed])).tolist()
        fall = min(1.0, 0.01 + 2 * max(0.0, 1 - passed)) if args.decay else 1.0
        optimisers.step(fall * min(1.0, (state.step + 1) / 20))
        state.add(WINDOWS * LONG * workers(args))
        if rank == 0:
            log.add(state.step, state.seen, mean)
            if state.due() or passed >= 1:
                state.write()


def _make(rng: np.random.Generator, video: VideoTransformer, encoder: TextEncoder, vocabulary: Vocabulary) -> Made:
    """A scene's clip, most often noised and denoised again, so that it has the transformer's faults."""
    scene = sample_scene(rng)
    clip = torch.from_numpy(render_small(scene, Shape().size)).float()[None] / 127.5 - 1
    with torch.inference_mode():
        slots = encoder(vocabulary.batch([caption(scene, rng)[0]]))
    if rng.random() > TRUE:
        start = float(rng.uniform(LEAST, MOST))
        noise = torch.from_numpy(rng.standard_normal(clip.shape, np.float32))
        mixed = clip * (1 - start) + noise * start
        clip = sample(video, slots, steps=STEPS, guidance=GUIDANCE, seeds=[], noise=mixed, start=start).clamp(-1, 1)
    return Made(scene, slots[0].clone(), clip[0].clone(), render(scene, Shape().size * SCALE))


def _loss(rng: np.random.Generator, model: Upscaler, pool: list[Made]) -> Tensor:
    """Mean error of a part of each of a few frames in a row of a clip of the pool, most often at a thing."""
    made = pool[int(rng.integers(len(pool)))]
    first = int(rng.integers(FRAMES - LONG + 1))
    frames = np.arange(first, first + LONG)
    corners = np.tile(rng.integers(0, Shape().size - SIDE + 1, 2).astype(float), (LONG, 1))
    if rng.random() < AT_THINGS:
        thing = made.scene.things[int(rng.integers(len(made.scene.things)))]
        at = (frames / (FRAMES - 1)).astype(np.float32)
        where, (shift, scale) = pose(thing, at), view(made.scene, at)
        x = (where.x - shift) * scale + 0.5
        corners = np.stack([where.y, x], 1) * Shape().size + rng.integers(-2, 3, 2) - SIDE / 2
    places = np.clip(corners, 0, Shape().size - SIDE).astype(int)
    clip = made.clip[first : first + LONG]
    times = torch.from_numpy(frames / (FRAMES - 1)).float()[None]
    features = model.mended(clip[None], made.slots[None], times)
    parts, small, large = [], [], []
    for frame, i, (top, left) in zip(frames, range(LONG), places, strict=True):
        part = slice(top, top + SIDE), slice(left, left + SIDE)
        parts.append(features[i][:, *part])
        small.append(clip[i][part].permute(2, 0, 1))
        rows, columns = (slice(SCALE * one.start, SCALE * one.stop) for one in part)
        large.append(torch.from_numpy(made.large[frame, rows, columns]).permute(2, 0, 1))
    shown = model.drawn(torch.stack(parts).contiguous(memory_format=torch.channels_last), torch.stack(small))
    return (shown - (torch.stack(large).float() / 127.5 - 1)).abs().mean()
