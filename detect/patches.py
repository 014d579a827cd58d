"""Looks at a video through small windows: three frames a seventh of a second apart, in a few native-scale patches.

Design decisions:

* Frames are chosen by time, never by number, and the gap between them is the same for every frame rate: a clip of 6
  frames a second and one of 30 are seen alike. Frames that merely repeat the one before (a rate raised by
  duplication) do not count.
* Patches are never resized: what a generator leaves lies in single pixels. They keep away from the corners, where
  logos are, and cover flat and busy places alike.
* One window every half second, decided when the half second is over: memory does not grow with the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FRAMES", "GAP", "PATCHES", "SIDE", "SMALLEST", "WHOLE", "WINDOW", "Sampler", "Window", "shrunk", "triple"]

Bytes = npt.NDArray[np.uint8]
SIDE = 96  # pixels of a patch
FRAMES = 3  # frames of a window
PATCHES = 6  # patches of a window
WINDOW = 0.5  # seconds from one window to the next
GAP = 0.14  # seconds between the frames of a window that are aimed at: what every usual frame rate can give
CLOSEST = 0.038  # seconds between frames that are kept to choose from
SMALLEST = 112  # pixels on the shorter side, below which no patch keeps away from the edges
LARGE = 9_000_000  # pixels of a frame from which on fewer are kept to choose from
REPEATED = 0.15  # mean difference in 8-bit steps below which a frame repeats the one before
FLATTEST = 0.6  # mean gradient in 8-bit steps below which a place is blank: a bar, a fade, a title's ground
WHOLE = 224  # pixels a side that the whole frame is squeezed into
THUMB = 64
SHOWN = 480  # pixels of a picture's longer side


@dataclass(frozen=True)
class Window:
    """What is looked at of half a second: P patches of three frames.

    ``luma``: uint8, P x 3 x 96 x 96; ``chroma``: uint8, P x 3 x 2 x 48 x 48 (Cb, Cr); ``places``: top and left of each
    patch in pixels; ``times``: of the three frames, seconds; ``whole``: uint8, 3 x 224 x 224 x 3, the frames squeezed
    into a square; ``thumb``: uint8, 3 x 64 x 64, the same, smaller, luma alone.
    ``picture``: the middle frame, at most 480 pixels a side, where pictures were asked for.
    """

    start: float
    end: float
    times: tuple[float, float, float]
    luma: Bytes
    chroma: Bytes
    places: tuple[tuple[int, int], ...]
    whole: Bytes
    thumb: Bytes
    picture: Bytes | None = None


@dataclass
class _Kept:
    time: float
    rgb: Bytes
    fresh: bool


class Sampler:
    """Takes the frames of a video in order and gives a window each half second.

    ``gap``: seconds between a window's frames. ``every``: seconds from window to window; more for very long files.
    ``pictures``: whether windows keep one to show.
    """

    def __init__(self, gap: float = GAP, every: float = WINDOW, *, pictures: bool = False) -> None:
        self.gap, self.every, self.pictures = gap, every, pictures
        self.blank = 0  # windows with nothing but blank places
        self.short = 0  # windows with less than three frames
        self._kept: list[_Kept] = []
        self._start = 0.0
        self._last: npt.NDArray[np.int16] | None = None

    def add(self, time: float, rgb: Bytes) -> Window | None:
        """Takes a frame (H x W x 3, uint8, RGB) and its time in seconds; gives the window that it completes, if any."""
        done = None
        if time >= self._start + WINDOW and len(self._kept) >= FRAMES:
            done = self._close(time)
            self._start = max(self._start + self.every, time // self.every * self.every)
        if time < self._start:
            return done
        spacing = CLOSEST if rgb.shape[0] * rgb.shape[1] < LARGE else 0.1
        if self._kept and time - self._kept[-1].time < spacing:
            return done
        sparse = rgb[8::16, 8::16, 1].astype(np.int16)
        last = self._last
        fresh = last is None or sparse.shape != last.shape or float(np.abs(sparse - last).mean()) > REPEATED
        if fresh:
            self._last = sparse
        self._kept.append(_Kept(time, rgb, fresh))
        return done

    def finish(self) -> Window | None:
        """The last window, which may be shorter."""
        return self._close()

    def _close(self, until: float | None = None) -> Window | None:
        kept, self._kept = self._kept, []
        fresh = [k for k in kept if k.fresh]
        chosen = fresh if len(fresh) >= FRAMES else kept
        which = triple([k.time for k in chosen], self.gap)
        if which is None:
            self.short += bool(kept)
            return None
        frames = [chosen[i] for i in which]
        places = _places(frames[1].rgb)
        if not places:
            self.blank += 1
            return None
        cubes = [_cut([f.rgb for f in frames], top, left) for top, left in places]
        times = (frames[0].time, frames[1].time, frames[2].time)
        whole = np.stack([_squeezed(f.rgb) for f in frames])
        return Window(
            start=self._start,
            end=min(self._start + WINDOW, kept[-1].time if until is None else until),
            times=times,
            luma=np.stack([luma for luma, _ in cubes]),
            chroma=np.stack([chroma for _, chroma in cubes]),
            places=places,
            whole=whole,
            thumb=np.stack([_thumb(rgb) for rgb in whole]),
            picture=shrunk(frames[1].rgb) if self.pictures else None,
        )


def triple(times: list[float], gap: float) -> tuple[int, int, int] | None:
    """Which three frames lie ``gap`` apart, evenly, around the middle; None for less than three frames.

    ``times``: seconds, increasing.
    """
    count = len(times)
    if count < FRAMES:
        return None
    middle = (times[0] + times[-1]) / 2
    best, cost = None, np.inf
    for j in range(1, count - 1):
        for i in range(j):
            before = times[j] - times[i]
            for k in range(j + 1, count):
                after = times[k] - times[j]
                price = abs(before - gap) + abs(after - gap) + 2 * abs(after - before) + 0.3 * abs(times[j] - middle)
                if price < cost:
                    best, cost = (i, j, k), price
    return best


def _places(rgb: Bytes) -> tuple[tuple[int, int], ...]:
    """Top-left corners of patches, from the flattest place to the busiest; none where everything is blank."""
    import cv2

    height, width = rgb.shape[:2]
    if min(height, width) < SMALLEST:
        return ()
    luma = rgb[..., 1]
    gradient = (
        cv2.absdiff(luma[1:, :], luma[:-1, :])[:, :-1].astype(np.uint16) + cv2.absdiff(luma[:, 1:], luma[:, :-1])[:-1]
    )
    total = cv2.integral(gradient.astype(np.float32))
    tops, lefts = _grid(height), _grid(width)
    top, left = (a.ravel() for a in np.meshgrid(tops, lefts, indexing="ij"))
    side = SIDE - 1
    busy = total[top + side, left + side] - total[top, left + side] - total[top + side, left] + total[top, left]
    busy /= side * side
    usable = busy > FLATTEST
    inner = ~(_at_end(top, height) & _at_end(left, width))  # not in a corner
    if (usable & inner).sum() >= PATCHES:
        usable &= inner
    found = np.flatnonzero(usable)
    if len(found) == 0:
        return ()
    found = found[np.argsort(busy[found], kind="stable")]
    chosen = found[np.linspace(0, len(found) - 1, PATCHES).round().astype(int)]
    return tuple((int(top[i]), int(left[i])) for i in chosen)


def _grid(length: int) -> npt.NDArray[np.int64]:
    """Even offsets of patches along a side, away from its ends; even, since chroma has half the samples."""
    edge = max(4, int(0.04 * length))
    last = max(edge, length - SIDE - edge)
    count = max(1, min(24, 1 + round((last - edge) / (SIDE / 2))))
    if last == edge:
        return np.array([max(0, (length - SIDE) // 4 * 2)])
    return np.linspace(edge, last, max(2, count)).astype(np.int64) // 2 * 2


def _at_end(offset: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.bool_]:
    """Whether patches reach into the first or last sixth of a side."""
    return np.asarray((offset < length / 6) | (offset + SIDE > length * 5 / 6))


def _cut(frames: list[Bytes], top: int, left: int) -> tuple[Bytes, Bytes]:
    import cv2

    luma = np.empty((FRAMES, SIDE, SIDE), np.uint8)
    chroma = np.empty((FRAMES, 2, SIDE // 2, SIDE // 2), np.uint8)
    for i, rgb in enumerate(frames):
        patch = np.ascontiguousarray(rgb[top : top + SIDE, left : left + SIDE])
        y, cr, cb = cv2.split(cv2.cvtColor(patch, cv2.COLOR_RGB2YCrCb))
        luma[i] = y
        for j, channel in enumerate((cb, cr)):
            chroma[i, j] = cv2.resize(channel, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return luma, chroma


def _squeezed(rgb: Bytes) -> Bytes:
    import cv2

    return np.asarray(cv2.resize(rgb, (WHOLE, WHOLE), interpolation=cv2.INTER_AREA), np.uint8)


def _thumb(rgb: Bytes) -> Bytes:
    import cv2

    small = cv2.resize(rgb, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def shrunk(rgb: Bytes, longest: int = SHOWN) -> Bytes:
    """A copy of a frame (H x W x 3) whose longer side has at most ``longest`` pixels."""
    import cv2

    height, width = rgb.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
