"""The three methods of invisible-watermark 0.2 beside ours: the whole message by majority over the frames.

They stand here without the keyed check of :mod:`countermark.watermark.codecs`, which would cost them bits.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable

import cv2
import numpy as np

from countermark.benchmarks._attacks import ATTACKS, Frames
from countermark.benchmarks._clips import Clip, mark, secrets_of
from countermark.benchmarks._table import table
from countermark.watermark import read
from countermark.watermark._imwatermark import METHODS, ImwatermarkBits, installed

__all__ = ["beside", "installed"]

OTHERS = ("nothing", "H.264 23", "H.264 33", "scale 50 %", "crop 95 %", "mirrored")  # what other methods go through
OTHER_FRAMES = 8  # frames of a clip that other methods are tried on, for their speed's sake


class Method:
    """One of its methods, and how many bits it carries."""

    def __init__(self, name: str) -> None:
        self._channel = ImwatermarkBits(name)
        self.title = f"{name}, {self._channel.bits} bits"

    def _message(self, payload: int) -> list[int]:
        return [payload >> i & 1 for i in range(self._channel.bits)]

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marked frames (T x H x W x 3, uint8, RGB)."""
        return self._channel.put(frames, np.array(self._message(payload), np.uint8))

    def read(self, frames: Frames, payload: int) -> bool:
        """Whether the majority over the frames gives the payload back, whole; too small frames give nothing."""
        votes = self._channel.votes(frames)
        return len(votes) > 0 and [int(v > 0.5) for v in votes.mean(0)] == self._message(payload)


def beside(clips: Iterable[Clip]) -> str:
    """Ours and invisible-watermark's methods on the same few frames: payloads recovered whole, and ours to its best."""
    others = [Method(name) for name in METHODS]
    ours = "countermark, 64 bits"
    right: dict[str, dict[str, int]] = {title: defaultdict(int) for title in (ours, *(m.title for m in others))}
    seen: dict[str, list[float]] = defaultdict(list)
    count = 0
    for clip in itertools.islice(clips, 20):
        short = Clip(clip.name, clip.frames[:OTHER_FRAMES], clip.fps)
        key, payload = secrets_of(short)
        count += 1
        marked = {ours: mark(short)} | {method.title: method.embed(short.frames, payload) for method in others}
        for title, frames in marked.items():
            seen[title].append(cv2.PSNR(short.frames.reshape(-1), frames.reshape(-1)))
        for name in OTHERS:
            copies = {title: ATTACKS[name](frames, short.fps) for title, frames in marked.items()}
            frames, fps = copies[ours]
            right[ours][name] += read(frames, key, fps=fps).payload == payload
            for method in others:
                right[method.title][name] += method.read(copies[method.title][0], payload)
    rows = [
        [title, f"{np.mean(seen[title]):.1f}", *(f"{got[name]}/{count}" for name in OTHERS)]
        for title, got in right.items()
    ]
    best = {name: max(right[method.title][name] for method in others) for name in OTHERS}
    ratios = [f"{right[ours][name] / best[name]:.2f}" if best[name] else "none read" for name in OTHERS]
    rows.append(["ours to the best of its", "", *ratios])
    return table([f"method, {OTHER_FRAMES} frames", "PSNR, dB", *OTHERS], rows) + "\n"
