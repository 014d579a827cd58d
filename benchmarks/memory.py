"""Peak memory of sealing and scanning as files get longer: ``countermark bench memory``.

One table: files of each length are made, sealed and scanned, each step in a process of its own whose peak resident
memory is read off; bounded memory shows as figures that stop growing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from countermark.benchmarks._table import table
from countermark.media import Timed
from countermark.writer import VideoWriter

FPS = 30
MEGABYTE = 1024.0**2 if sys.platform == "darwin" else 1024.0  # as ru_maxrss counts: in bytes there, else kilobytes


def main(argv: list[str]) -> int:
    """Prints the table; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench memory", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", default="10,60,600", help="lengths of the files")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--small", action="store_true", help="two short small files: only shows that it runs")
    args = parser.parse_args(argv)
    lengths = [float(part) for part in ("1,2" if args.small else args.seconds).split(",")]
    width, height = (int(part) for part in ("256x256" if args.small else args.size).split("x"))
    rows = []
    for seconds in lengths:
        with tempfile.TemporaryDirectory(prefix="countermark-bench-") as folder:
            plain, sealed = Path(folder) / "plain.mp4", Path(folder) / "sealed.mp4"
            _write(plain, width, height, seconds)
            steps = ["seal", str(plain), str(sealed)], ["scan", str(sealed)], ["scan", str(plain)]
            rows.append([f"{seconds:g}", *(cell for step in steps for cell in _alone(step, Path(folder)))])
    head = ["seconds", "seal, MB", "s", "scan, MB", "s", "scan unmarked, MB", "s"]
    print(table(head, rows))
    print(f"\nPeak resident memory of a process that does one step, {width}x{height} at {FPS} frames per second.")
    return 0


def _write(path: Path, width: int, height: int, seconds: float) -> None:
    """Drifting clouds of colour."""
    with VideoWriter(path, width, height, Fraction(FPS), crf=23) as writer:
        for timed in _frames(width, height, round(seconds * FPS)):
            writer.write(timed.time, timed.rgb)


def _frames(width: int, height: int, count: int) -> Iterator[Timed]:
    import cv2

    rng = np.random.default_rng(0)
    sky = cv2.resize(
        rng.integers(0, 256, (24, 40, 3), np.uint8), (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC
    )
    for i in range(count):
        x, y = (int((1 + np.sin(i / rate)) / 2 * side) for rate, side in ((97, width), (61, height)))
        yield Timed(i / FPS, np.ascontiguousarray(sky[y : y + height, x : x + width]))


def _alone(arguments: list[str], folder: Path) -> list[str]:
    """Peak memory in MB, and seconds, of a ``countermark`` command."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from countermark.cli import main; main()", *arguments]
    environment = {**os.environ, "COUNTERMARK_HOME": str(folder / "home")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"countermark {arguments[0]} left with {process.returncode}")
    return [f"{used.ru_maxrss / MEGABYTE:.0f}", f"{time.perf_counter() - start:.1f}"]
