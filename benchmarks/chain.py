"""What sealing and scanning cost beside the codec's own work: ``countermark bench chain``.

One table: at each size, ``seal`` (mark, encode, read back, sign, store) as a ratio to encoding the same frames with the
same writer, and ``scan`` as a ratio to decoding the same file. Each ratio is taken within one repeat, its two sides one
after the other, and the table shows the median over repeats: ratios hold on a busy machine, seconds do not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import table
from countermark.detect import scan
from countermark.media import open_source
from countermark.provenance import Clip, Maker, keys_of, seal_clip, sealing
from countermark.settings import Settings
from countermark.watermark import Embedder
from countermark.writer import VideoWriter

Frames = npt.NDArray[np.uint8]
FPS = 24
SIZES = {256: (256, 256), 480: (854, 480), 720: (1280, 720), 1080: (1920, 1080)}
HEAD = {  # column -> (what is measured, beside what); without the latter it is shown in seconds
    "encode, s": ("encode", None),
    "seal / encode": ("seal", "encode"),
    "of it mark": ("mark", "encode"),
    "read back": ("_payload_reads_back", "encode"),
    "sign": ("_sign", "encode"),
    "store": ("_publish", "encode"),
    "decode, s": ("decode", None),
    "scan / decode": ("scan", "decode"),
    "unmarked: scan / decode": ("scan unmarked", "decode unmarked"),
}


def main(argv: list[str]) -> int:
    """Prints the table; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench chain", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help=f"length of the clips, at {FPS} frames per second")
    parser.add_argument(
        "--sizes", type=_sizes, default="256,480,720", help=f"heights out of {', '.join(map(str, SIZES))}"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="one size, few frames, one repeat: only shows that it runs"
    )
    args = parser.parse_args(argv)
    heights, seconds, repeats = ([256], 0.5, 1) if args.small else (args.sizes, args.seconds, max(1, args.repeats))
    count = max(2, round(seconds * FPS))
    rows = []
    with tempfile.TemporaryDirectory(prefix="countermark-bench-") as folder:
        settings = Settings(Path(folder) / "home")
        _measure(_clip(2, 256, 256), Path(folder), settings)  # imports, keys and store are there from now on
        for height in heights:
            frames = _clip(count, *SIZES[height])
            rows.append(_row(height, [_measure(frames, Path(folder), settings) for _ in range(repeats)]))
    print(table(["size", *HEAD], rows))
    print(
        f"\nMedians of {repeats}, clips of {count} frames, {os.cpu_count()} cores. The columns from mark to store are "
        "parts of seal, as ratios to encoding; sign includes reading the manifest back."
    )
    return 0


def _sizes(text: str) -> list[int]:
    heights = [int(part) for part in text.split(",")]
    if not set(heights) <= set(SIZES):
        raise ValueError(text)
    return heights


def _clip(count: int, width: int, height: int) -> Frames:
    """A soft texture, and a smaller one that glides over it: T x H x W x 3."""
    import cv2

    rng = np.random.default_rng(0)

    def texture(h: int, w: int) -> npt.NDArray[np.float32]:
        coarse, fine = (rng.random((*size, 3)).astype(np.float32) for size in ((8, 8), (h // 5 + 2, w // 5 + 2)))
        light = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC) * 170 + 35
        return np.asarray(np.clip(light + (cv2.resize(fine, (w, h), interpolation=cv2.INTER_CUBIC) - 0.5) * 20, 0, 255))

    video = np.repeat(texture(height, width).round().astype(np.uint8)[None], count, 0)
    h, w = height // 4, width // 4
    glider = texture(h, w).round().astype(np.uint8)
    for i, frame in enumerate(video):
        x = round((width - w) * i / count)
        frame[height // 2 : height // 2 + h, x : x + w] = glider
    return video


def _measure(frames: Frames, folder: Path, settings: Settings) -> dict[str, float]:
    """Seconds of each step, one after the other."""
    took: dict[str, float] = {}
    plain, sealed = folder / "plain.mp4", folder / "sealed.mp4"
    clip = Clip.of_array(frames, FPS)
    with _clock(took, "encode"):
        _encode(plain, clip)
    with _watched(took, "_payload_reads_back", "_sign", "_publish"), _clock(took, "seal"):
        seal_clip(clip, sealed, Maker("benchmark"), settings=settings)
    with _clock(took, "mark"):
        embedder = Embedder(clip.width, clip.height, 1, keys_of(settings)[0])
        for timed in clip.frames():
            embedder.mark(timed.rgb, timed.time)
    for path, name in ((sealed, ""), (plain, " unmarked")):
        with _clock(took, "decode" + name):
            for _ in open_source(path).frames():
                pass
        with _clock(took, "scan" + name):
            scan(path, settings=settings)
    return took


def _encode(path: Path, clip: Clip) -> None:
    with VideoWriter(path, clip.width, clip.height, Fraction(FPS)) as writer:
        for timed in clip.frames():
            writer.write(timed.time, timed.rgb)


@contextmanager
def _clock(took: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    took[name] = took.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def _watched(took: dict[str, float], *names: str) -> Iterator[None]:
    """Times steps inside ``seal`` by the names of their functions."""

    def watch(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with _clock(took, name):
                return step(*args, **kwargs)

        return run

    steps = {name: getattr(sealing, name) for name in names}
    try:
        for name, step in steps.items():
            setattr(sealing, name, watch(name, step))
        yield
    finally:
        for name, step in steps.items():
            setattr(sealing, name, step)


def _row(height: int, repeats: list[dict[str, float]]) -> list[str]:
    width, _ = SIZES[height]
    cells = [f"{width}x{height}"]
    for name, beside in HEAD.values():
        values = [one[name] / (one[beside] if beside else 1.0) for one in repeats]
        cells.append(f"{statistics.median(values):.2f}")
    return cells
