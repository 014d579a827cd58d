"""What scanning costs beside decoding alone, and what a batch saves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from countermark.benchmarks._table import table
from countermark.detect import scan, scan_many
from countermark.detect.classifier import load_classifier
from countermark.media import open_source
from countermark.provenance import keys_of
from countermark.settings import Settings
from countermark.writer import VideoWriter

__all__ = ["cost"]

BATCH = 4  # files that are scanned together


def cost(folder: Path, size: tuple[int, int], seconds: float) -> None:
    """Prints what decoding takes, what the classifier adds, what a scan by all layers takes, and what a file takes
    with a process of its own, in a batch, and in a batch on two processes, starting the processes included.
    """
    import resource

    path = _clip(folder / "cost.mp4", size, seconds)
    classifier, settings = load_classifier(), Settings(folder / "home")
    keys_of(settings, create=True)  # without a key no mark would be looked for
    scan(path, settings=settings)  # weights and caches are warm from here on
    taken = []
    for step in ("decode", "decode and classifier", "scan, all layers"):
        start = time.perf_counter()
        if step.startswith("scan"):
            scan(path, settings=settings)
        else:
            media = open_source(path)
            judge = classifier.start(media.facts)
            for timed in media.frames():
                if "classifier" in step:
                    judge.add(timed.time, timed.rgb)
            judge.finish()
        taken.append((step, time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    command = [sys.executable, "-c", "from countermark.cli import main; main()", "scan", str(path), "--json"]
    environment = {**os.environ, "COUNTERMARK_HOME": str(settings.home)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    taken.append(("scan, a process of its own", time.perf_counter() - start))
    files = [Path(shutil.copy(path, folder / f"cost-{i}.mp4")) for i in range(BATCH)]
    for workers in (1, 2):
        start = time.perf_counter()
        if any("error" in found for found in list(scan_many(files, workers=workers, settings=settings))):
            raise SystemExit("a file of the batch could not be scanned")
        taken.append((f"scan, each of {BATCH}, workers: {workers}", (time.perf_counter() - start) / BATCH))
    decode = taken[0][1]
    rows = [[step, f"{t:.2f}", f"{t / decode:.2f}", f"{t / seconds:.2f}"] for step, t in taken]
    print(f"\n{seconds:g} s of {size[0]}x{size[1]} at 24 a second\n")
    print(table(["step", "seconds", "of decoding", "of its length"], rows))
    print(f"\npeak memory of one process: {peak:.0f} MB")


def _clip(path: Path, size: tuple[int, int], seconds: float) -> Path:
    """A pattern that glides past."""
    import cv2

    (width, height), rng = size, np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 256, (height // 6, width // 4, 3), np.uint8), (width + 4 * 24 * 10, height))
    with VideoWriter(path, width, height, Fraction(24)) as writer:
        for t in range(round(24 * seconds)):
            writer.write(t / 24, np.ascontiguousarray(ground[:, 4 * t : 4 * t + width]))
    return path
