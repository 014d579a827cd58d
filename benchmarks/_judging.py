"""Clips of the embedded model, of the renderer and of noise, held against scenes: on all cores."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from countermark.benchmarks._table import wilson
from countermark.generate import Request
from countermark.generate.embedded import EmbeddedModel, networks
from countermark.generate.render import render, render_small
from countermark.generate.sampler import GUIDANCE, STEPS, sample
from countermark.generate.transformer import Shape
from countermark.generate.verifier import CHECKS, Checked, verify
from countermark.generate.world import FRAMES, Scene

__all__ = ["Job", "Judged", "judge", "row"]

Frames = npt.NDArray[np.uint8]
MANY = 16  # jobs that are worth processes of their own


@dataclass(frozen=True)
class Job:
    """A clip to make, and scenes to hold it against.

    ``source``: ``model``, ``truth`` (of the first scene), ``noise``, or ``noised``: truth on the model's grid, of which
    a share ``start`` is noise, denoised and enlarged. ``still``: its first frame, repeated; ``picture``: it goes on
    from the first frame of the truth.
    """

    scenes: tuple[Scene, ...]
    prompt: str = ""
    seed: int = 0
    source: str = "model"
    still: bool = False
    picture: bool = False
    seconds: float | None = None
    steps: int | None = None
    guidance: float | None = None
    start: float = 1.0


@dataclass(frozen=True)
class Judged:
    """What each scene's checks say; seconds to make the clip; mean difference of its first frame from a given one."""

    checked: tuple[Checked, ...]
    spent: float
    away: float


def judge(jobs: Sequence[Job]) -> list[Judged]:
    """Each job's outcome, in order; a process a core where there are many."""
    workers = os.cpu_count() or 1
    if len(jobs) < MANY or workers == 1:
        return [_judge(job) for job in jobs]
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return list(pool.map(_judge, jobs, chunksize=4))


def row(name: str, checked: Sequence[Checked]) -> list[str]:
    """A row of a table: how many clips, and each check's rate with its interval."""
    cells = [name, str(len(checked))]
    for check in CHECKS:
        passed = [value for one in checked if (value := getattr(one, check)) is not None]
        low, high = wilson(sum(passed), len(passed))
        cells.append(f"{100 * np.mean(passed):.0f} % ({100 * low:.0f}-{100 * high:.0f})" if passed else "-")
    return cells


def _judge(job: Job) -> Judged:
    start = time.monotonic()
    frames, away = _frames(job)
    spent = time.monotonic() - start
    if job.still:
        frames = np.repeat(frames[:1], len(frames), 0)
    return Judged(tuple(verify(frames, scene) for scene in job.scenes), spent, away)


def _frames(job: Job) -> tuple[Frames, float]:
    if job.source == "truth":
        return render(job.scenes[0], 256, round(FRAMES * (job.seconds or 4.0) / 4.0)), 0.0
    if job.source == "noise":
        rng = np.random.default_rng(job.seed)
        return rng.integers(0, 256, (FRAMES, 256, 256, 3), dtype=np.uint8), 0.0
    if job.source == "noised":
        return _from_noised(job), 0.0
    request = Request(job.prompt, seed=job.seed, steps=job.steps, guidance=job.guidance, seconds=job.seconds)
    if not job.picture:
        return EmbeddedModel().generate(request).frames, 0.0
    return _from_picture(job)


def _from_picture(job: Job) -> tuple[Frames, float]:
    import cv2

    first = render(job.scenes[0], 256, at=0)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.png"
        cv2.imwrite(str(path), first[..., ::-1])
        request = Request(job.prompt, seed=job.seed, steps=job.steps, guidance=job.guidance, image=path)
        made = EmbeddedModel().generate(request).frames
    return made, float(np.abs(made[0].astype(float) - first).mean())


def _from_noised(job: Job) -> Frames:
    text, video, upscaler, vocabulary = networks()
    rng = np.random.default_rng(job.seed)
    clip = render_small(job.scenes[0], Shape().size).astype(np.float32)[None] / 127.5 - 1
    mixed = torch.from_numpy(clip * (1 - job.start) + rng.standard_normal(clip.shape, np.float32) * job.start)
    with torch.inference_mode():
        slots = text(vocabulary.batch([job.prompt]))
        if job.start:
            guidance, steps = GUIDANCE if job.guidance is None else job.guidance, job.steps or STEPS
            mixed = sample(video, slots, steps=steps, guidance=guidance, seeds=[], noise=mixed, start=job.start)
        large = upscaler(mixed, slots, torch.linspace(0, 1, FRAMES)[None])[0].clamp(-1, 1)
    pixels: Frames = ((large + 1) * 127.5).round().to(torch.uint8).numpy()
    return pixels
