"""What marking, reading and searching cost on one core, on soft and moving clouds of colour."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import cv2
import numpy as np

from countermark.benchmarks._table import table
from countermark.watermark import Embedder, Key, Reader

__all__ = ["cost"]

SIZES = ((256, 256), (854, 480), (1280, 720))


def cost(small: bool) -> str:
    """A table of frames a second, and of seconds that a search in vain takes; ``small`` only shows that it runs."""
    with _one_core():
        rows = [_row(width, height, 1 if small else 10) for width, height in (SIZES[:1] if small else SIZES)]
    return table(["size", "mark, frames/s", "read, frames/s", "tier", "search in vain, s"], rows) + "\n"


def _row(width: int, height: int, seconds: int) -> list[str]:
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8) for _ in range(2)]
    first, last = (cv2.resize(s, (width, height), interpolation=cv2.INTER_CUBIC) for s in small)
    still = [cv2.addWeighted(first, 1 - k / 30, last, k / 30, 0) for k in range(30)]
    key = Key(bytes(32))
    embedder, reader, taken = Embedder(width, height, 5, key, like=still[:2]), Reader(), np.zeros(2)
    for i, frame in enumerate(still * seconds):
        start = time.perf_counter()
        marked = embedder.mark(frame, i / 30)
        between = time.perf_counter()
        reader.add(marked, i / 30)
        taken += between - start, time.perf_counter() - between
    start = time.perf_counter()
    found = reader.read(key)
    taken[1] += time.perf_counter() - start
    marking, reading = len(still) * seconds / taken
    start = time.perf_counter()
    reader.read(Key(bytes([1]) * 32))
    vain = time.perf_counter() - start
    return [f"{width}x{height}", f"{marking:.0f}", f"{reading:.0f}", found.tier, f"{vain:.1f}"]


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Everything inside runs on one core, in one thread a library: two threads on one core would hinder each other."""
    import torch

    threads = cv2.getNumThreads(), torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
        if cores:
            os.sched_setaffinity(0, cores)
