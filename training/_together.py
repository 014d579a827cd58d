"""Several processes that train one network on a CPU: a core each, with the mean of their gradients."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

__all__ = ["mean_gradients", "same", "together", "workers"]


def together(workers: int, work: Callable[..., None], *args: object) -> None:
    """Calls ``work(rank, *args)`` in so many processes, a thread each; in this one alone where there is one worker.

    Two processes of a thread do more than one of two: between the products of matrices, which share well, lies work
    that one thread does.
    """
    if workers == 1:
        work(0, *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        meet = (Path(folder) / "meet").as_uri()
        spawn(_join, (workers, meet, work, args), nprocs=workers)  # type: ignore[no-untyped-call]  # torch's has no types


def _join(rank: int, workers: int, meet: str, work: Callable[..., None], args: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=workers)
    try:
        work(rank, *args)
    finally:
        distributed.destroy_process_group()


def mean_gradients(model: nn.Module, figures: Tensor) -> Tensor:
    """Sets each gradient to its mean over the processes; gives the mean of ``figures`` (1-D, float32)."""
    if not distributed.is_initialized():
        return figures
    trained = [p for p in model.parameters() if p.requires_grad]
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trained]
    flat = torch.cat([*(g.flatten() for g in gradients), figures])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    *parts, out = torch.split(flat, [*(g.numel() for g in gradients), len(figures)])
    for p, part in zip(trained, parts, strict=True):
        p.grad = part.view_as(p)
    return out


def same(tensor: Tensor) -> None:
    """Sets a tensor to the first process's."""
    if distributed.is_initialized():
        distributed.broadcast(tensor, 0)


def workers(args: argparse.Namespace) -> int:
    """As many processes as asked for, else as cores, or one with a GPU."""
    return int(args.workers or (1 if torch.cuda.is_available() else os.cpu_count() or 1))
