"""The clip as the reader keeps it: mean pictures of short slices of time, on the canonical canvas.

A mark that stands still outlives averaging and moving content does not, so a mean over a quarter of a second loses
nothing that the reader needs (measured against working frame by frame), and makes a frame cost two milliseconds.
Memory and work are bounded: when there are too many slices, neighbours are joined, slices become twice as long, and
half as many frames of a second are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.watermark.carriers import canvas_size

__all__ = ["Planes", "Slices"]

Floats = npt.NDArray[np.float32]
SPAN = 0.25  # seconds of a slice, at first
RATE = 16.0  # frames of a second that are looked at, at first: more say nothing new
MOST = 240  # slices kept: a minute at a quarter of a second


@dataclass(frozen=True, eq=False)
class Planes:
    """Mean picture from ``start`` to ``end`` seconds: luma ``y`` (H x W) and colour ``c`` (H/2 x W/2 x 2; Cr, Cb).

    Values are in 8-bit steps, kept in half precision about 128; ``frames`` were averaged.
    """

    y: npt.NDArray[np.float16]
    c: npt.NDArray[np.float16]
    frames: int
    start: float
    end: float


class Slices:
    """Averages the frames of one clip, all of one size, slice by slice."""

    def __init__(self, width: int, height: int) -> None:
        self.canvas = canvas_size(width, height)
        self.done: list[Planes] = []
        self.frames = 0
        self._span, self._apart = SPAN, 1 / RATE
        self._sum = np.zeros((*self.canvas[::-1], 3), np.float32)
        self._count = 0
        self._start = self._last = self._next = 0.0

    def add(self, frame: npt.NDArray[np.uint8], time: float) -> None:
        """Adds a frame (H x W x 3, uint8, RGB) shown at ``time`` seconds, or passes it over."""
        import cv2

        if self.frames and time < self._next and time >= self._last:
            return
        if self._count and not self._start <= time < self._start + self._span - 1e-6:
            self._close(time)
        if not self._count:
            self._start = time
        self._last, self._next = time, time + self._apart - 1e-3
        shrinks = frame.shape[0] > self.canvas[1]
        small = cv2.resize(frame, self.canvas, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        cv2.accumulate(small, self._sum)
        self._count += 1
        self.frames += 1

    def finish(self) -> list[Planes]:
        """All slices, in the order of the frames; more frames may follow."""
        if self._count:
            self._close(self._last + self._apart)
        return self.done

    def _close(self, end: float) -> None:
        import cv2

        planes = cv2.cvtColor(self._sum / np.float32(self._count), cv2.COLOR_RGB2YCrCb) - np.float32(128)
        planes[..., 1:] += np.float32(127.5)  # colour differences of float pictures lie about a half
        colour = cv2.resize(planes[..., 1:], (self.canvas[0] // 2, self.canvas[1] // 2), interpolation=cv2.INTER_AREA)
        end = min(end, self._start + 2 * self._span) if end > self._start else self._last + self._apart
        halves = planes[..., 0].astype(np.float16), colour.astype(np.float16)
        self.done.append(Planes(*halves, self._count, self._start, end))
        self._sum[:], self._count = 0, 0
        if len(self.done) >= MOST:
            pairs = zip(self.done[::2], self.done[1::2], strict=False)
            self.done = [join(pair) for pair in pairs]
            self._span, self._apart = self._span * 2, self._apart * 2


def join(slices: list[Planes] | tuple[Planes, ...]) -> Planes:
    """One slice of several, weighted by their frames."""
    total = sum(s.frames for s in slices)
    y = sum(s.y.astype(np.float32) * (s.frames / total) for s in slices)
    c = sum(s.c.astype(np.float32) * (s.frames / total) for s in slices)
    ends = (min(s.start for s in slices), max(s.end for s in slices))
    return Planes(np.asarray(y, np.float16), np.asarray(c, np.float16), total, *ends)
