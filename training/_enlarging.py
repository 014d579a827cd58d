"""The stage ``upscale`` of the generator's training: the decoder learns to draw what the transformer makes.

What is behind the things is drawn as in a rendered scene without them, and their looks are those that the renderer
knows. Painting them by their looks is a stage of its own, which needs no clip (:mod:`._painting`).
"""

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
from countermark.generate.things import part
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import FRAMES
from countermark.training._looks import attention_loss, look_loss, teaching_scene, true_looks
from countermark.training._muon import Optimisers
from countermark.training._runs import Checkpoint, Log, load_text
from countermark.training._together import mean_gradients, together, workers

__all__ = ["train_upscaler"]

POOL, FIRST = 96, 8  # clips to take parts of, at most and while it fills at each step
EVERY = 3  # steps to a new clip: making one takes longer than a step
WINDOWS, LONG = 2, 10  # a step, and their frames
SIDE = 8  # pixels of the small grid, of the part of each frame that is compared
TRUE = 0.15  # share of clips that are as they were drawn, as pictures to start from are
LEAST, MOST = 0.05, 0.75  # noise that a clip is denoised from; from more, things would not be where they were
STEPS, GUIDANCE = 6, 1.5
AT_THINGS = 0.5  # share of windows that follow a thing
FOUND = 0.3  # weight of the losses of looks


@dataclass(frozen=True)
class Made:
    """A scene's slots (slots x width), its small clip (T x H x W x 3, -1..1) as the transformer shows it, what is
    behind the things (uint8, T x 16H x 16W x 3), and how they look (T x 3 x 25).
    """

    slots: Tensor
    clip: Tensor
    bare: npt.NDArray[np.uint8]
    looks: Tensor


def train_upscaler(args: argparse.Namespace) -> None:
    """Trains the decoder for ``--minutes``, from the last checkpoint if there is one."""
    together(workers(args), _train_upscaler, args)


def _train_upscaler(rank: int, args: argparse.Namespace) -> None:
    encoder, vocabulary = load_text(args.runs)
    video = VideoTransformer(Shape()).eval().requires_grad_(False)
    video.load_state_dict(torch.load(args.runs / "video.pt", map_location="cpu", weights_only=True)["average"])
    model = Upscaler()
    model.painter.requires_grad_(False)
    rng = np.random.default_rng(args.seed + int(time.time()) * 100 + rank)
    matrices = [p for p in model.parameters() if p.ndim == 2 and p.requires_grad]
    optimisers = Optimisers(model, (2e-3 * args.rate, 2e-3 * args.rate), matrices=matrices)
    state = Checkpoint(args.runs / "upscale.pt", model, model, optimisers, memory=300)
    log = Log(args.runs / "upscale.csv", every=20)
    pool: list[Made] = []
    start, passed = time.monotonic(), 0.0
    while passed < 1:
        if len(pool) < FIRST or state.step % EVERY == 0:
            pool.append(_make(rng, video, encoder, vocabulary))
            if len(pool) > POOL:
                pool.pop(int(rng.integers(POOL)))
        losses = torch.stack([_window_losses(rng, model, pool) for _ in range(WINDOWS)]).mean(0)
        (losses * torch.tensor([1.0, FOUND, FOUND])).sum().backward()  # type: ignore[no-untyped-call]  # torch's has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        *means, passed = mean_gradients(model, torch.tensor([*losses.tolist(), passed])).tolist()
        fall = min(1.0, 0.01 + 2 * max(0.0, 1 - passed)) if args.decay else 1.0
        optimisers.step(fall * min(1.0, (state.step + 1) / 20))
        state.add(WINDOWS * LONG * workers(args))
        if rank == 0:
            log.add(state.step, state.seen, *means)
            if state.due() or passed >= 1:
                state.write()


def _make(rng: np.random.Generator, video: VideoTransformer, encoder: TextEncoder, vocabulary: Vocabulary) -> Made:
    """A scene's clip, most often noised and denoised again, so that it has the transformer's faults."""
    scene = teaching_scene(rng)
    clip = torch.from_numpy(render_small(scene, Shape().size)).float()[None] / 127.5 - 1
    text, said = caption(scene, rng)
    with torch.inference_mode():
        slots = encoder(vocabulary.batch([text]))
    if rng.random() > TRUE:
        start = float(rng.uniform(LEAST, MOST))
        noise = torch.from_numpy(rng.standard_normal(clip.shape, np.float32))
        mixed = clip * (1 - start) + noise * start
        clip = sample(video, slots, steps=STEPS, guidance=GUIDANCE, seeds=[], noise=mixed, start=start).clamp(-1, 1)
    looks = true_looks(scene, said.things, np.linspace(0, 1, FRAMES, dtype=np.float32))
    return Made(slots[0].clone(), clip[0].clone(), render(scene, Shape().size * SCALE, bare=True), looks)


def _window_losses(rng: np.random.Generator, model: Upscaler, pool: list[Made]) -> Tensor:
    """Of a few frames in a row of a clip of the pool: mean error of a part of each, most often at a thing, without its
    things, how far attention misses them, and the error of their looks.
    """
    made = pool[int(rng.integers(len(pool)))]
    first = int(rng.integers(FRAMES - LONG + 1))
    frames = np.arange(first, first + LONG)
    looks, clip = made.looks[first : first + LONG], made.clip[first : first + LONG]
    corners = np.tile(rng.integers(0, Shape().size - SIDE + 1, 2).astype(float), (LONG, 1))
    if rng.random() < AT_THINGS:
        things = [i for i in range(looks.shape[1]) if part(looks[0, i], "there") > 0]
        middle = part(looks[:, int(rng.choice(things))], "place").numpy()[:, ::-1]
        corners = middle * Shape().size + rng.integers(-2, 3, 2) - SIDE / 2
    places = np.clip(corners, 0, Shape().size - SIDE).astype(int)
    times = torch.from_numpy(frames / (FRAMES - 1)).float()[None]
    features = model.mended(clip[None], made.slots[None], times)
    parts, small, large = [], [], []
    for frame, i, (top, left) in zip(frames, range(LONG), places, strict=True):
        cut = slice(top, top + SIDE), slice(left, left + SIDE)
        parts.append(features[i][:, *cut])
        small.append(clip[i][cut].permute(2, 0, 1))
        rows, columns = (slice(SCALE * one.start, SCALE * one.stop) for one in cut)
        large.append(torch.from_numpy(made.bare[frame, rows, columns]).permute(2, 0, 1))
    shown = model.drawn(torch.stack(parts).contiguous(memory_format=torch.channels_last), torch.stack(small))
    behind = (shown - (torch.stack(large).float() / 127.5 - 1)).abs().mean()
    found, attention = model.found(features, clip[None], made.slots[None], times)
    missed = attention_loss(attention[0], looks, model.finder.cells)
    return torch.stack([behind, missed, look_loss(found[0], looks)])
