"""Adds the mark to frames, as strongly as their content hides it.

The mark of a clip is one map a band, which changes slowly as its segments pass into each other; each frame adds it,
weighted by a mask that follows texture and brightness, and scaled down where the frame would fall under the PSNR
floor. At the start of every scene the mark is stronger for a quarter of a second: that is the picture which every
later encoder keeps best and copies on, and eyes see least just after a cut. What its frames take beyond the floor, the
following ones give back, so that the clip keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, UsageError
from countermark.watermark.carriers import FPS, Carrier, canvas_size, carriers, fade, pattern
from countermark.watermark.code import encode
from countermark.watermark.informed import best_variant, resemblance
from countermark.watermark.keys import Key

__all__ = ["STRENGTHS", "Embedder", "Strength", "embed", "embed_stream"]

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
SMALLEST = 64  # pixels on the shorter side: below, no mark fits
AHEAD = 12  # frames of a stream that the choice of the variant looks at
LOOKED = 16  # frames of a clip that it looks at
OPENING = {"y": 1.2, "cr": 1.6, "cb": 1.6}  # factor on the first frame of a scene
OPENING_FADES = 0.25  # seconds in which that falls to 1/e
OPENING_EXTRA = 0.65  # how much more mean square error than the floor's that frame may have: 2.2 dB
GIVEN_BACK = 0.15  # share of the floor's mean square error that later frames leave out until the mean is right
ROUNDING = 1 / 12  # mean square that rounding to whole steps adds
# BT.601 differences to RGB, whatever matrix the file uses: the detector repeats the same transform
TO_RGB = np.array([[1, 1.402, 0], [1, -0.714136, -0.344136], [1, 0, 1.772]], np.float32)
CUT = 22.0  # mean change of luma from frame to frame that starts a scene


@dataclass(frozen=True)
class Strength:
    """Rms of each band's mark on a flat surface, in 8-bit steps, and the PSNR that no frame falls below, in dB."""

    y: float
    cr: float
    cb: float
    psnr: float


STRENGTHS = {
    "subtle": Strength(0.40, 0.63, 0.72, 46.0),
    "standard": Strength(0.61, 0.86, 0.99, 43.18),
    "strong": Strength(1.00, 1.35, 1.53, 40.0),
}


class Embedder:
    """Marks frames of one clip: the same payload, key and size throughout.

    ``like``: some of the clip's frames, from which the best variant of the code is chosen; without them the
    first one is taken. ``opens``: whether the first frames of a scene are marked more strongly. Raises UsageError for
    an unknown strength or a payload that is not 64 bits, BadMedia for frames too small to mark. ``variant`` is the one
    that was chosen.
    """

    def __init__(
        self,
        width: int,
        height: int,
        payload: int,
        key: Key,
        strength: str = "standard",
        *,
        like: Sequence[Frame] = (),
        opens: bool = True,
    ) -> None:
        if strength not in STRENGTHS:
            raise UsageError(f"unknown strength {strength!r}: choose {', '.join(STRENGTHS)}")
        if not 0 <= payload < 1 << 64:
            raise UsageError("a payload has 64 bits")
        if min(width, height) < SMALLEST:
            raise BadMedia(
                f"a watermark needs {SMALLEST} pixels on the shorter side, these frames are {width}x{height}"
            )
        self.width, self.height = width, height
        self._strength = STRENGTHS[strength]
        self._canvas = canvas_size(width, height)
        for frame in like:
            self._check(frame)
        self.variant = best_variant(payload, resemblance(like, key)) if len(like) else 0
        self._flips = 1.0 - 2.0 * encode([payload], self.variant)[0].astype(np.float32)
        self._bands = carriers(key)
        self._still = {c.band.name: self._map(c, c.sign, ~c.changes) for c in self._bands}
        self._moving: dict[int, Floats] = {}
        self._shown: tuple[object, ...] | None = None
        # fresh memory of this size costs more than the arithmetic: these are written again and again
        self._mark, self._scratch = (np.zeros((height, width, 3), np.float32) for _ in range(2))
        self._large = np.zeros((3, height, width), np.float32)
        self._energy = 0.0
        self._before: Floats | None = None
        self._opens, self._scene = opens, 0.0
        self._owed = 0.0  # mean square error that earlier frames took beyond the floor's

    def _map(self, carrier: Carrier, signs: Floats, where: npt.NDArray[np.bool_]) -> Floats:
        flips = np.where(carrier.role < 0, np.float32(1), self._flips[np.maximum(carrier.role, 0)])
        return pattern(np.asarray(signs * flips * where, np.float32), carrier, self._canvas)

    def _segment(self, number: int) -> Floats:
        if number not in self._moving:
            if len(self._moving) > 1:
                self._moving.clear()
            luma = self._bands[0]
            self._moving[number] = self._map(luma, luma.signs[number], luma.changes)
        return self._moving[number]

    def _opening(self, time: float) -> float:
        """How much of a scene's opening is left: 1 on its first frame, then less and less."""
        left = round(float(np.exp(-(time - self._scene) / OPENING_FADES)), 2) if self._opens else 0.0
        return left if left > 0.02 else 0.0

    def _show(self, time: float) -> None:
        """Brings the full-size mark, in RGB and 8-bit steps, up to a time."""
        import cv2

        first, second, a, b = fade(time)
        opening = self._opening(time)
        state = (first, second if b else first, round(a, 2), opening)
        if state == self._shown:
            return
        self._shown = state
        luma = self._still["y"] + a * self._segment(first) + (b * self._segment(second) if b else 0)
        planes = {"y": luma, "cr": self._still["cr"], "cb": self._still["cb"]}
        rms = [getattr(self._strength, name) * (1 + (OPENING[name] - 1) * opening) for name in planes]
        for plane, large in zip(planes.values(), self._large, strict=True):
            cv2.resize(plane, (self.width, self.height), large, interpolation=cv2.INTER_CUBIC)
        cv2.merge(list(self._large), self._scratch)
        cv2.transform(self._scratch, TO_RGB * np.array(rms, np.float32), self._mark)
        self._energy = cv2.norm(self._mark, cv2.NORM_L2SQR) / self._mark.size

    def mark(self, frame: Frame, time: float = 0.0) -> Frame:
        """A marked copy of a frame (H x W x 3, uint8, RGB) shown at ``time`` seconds; times must not fall."""
        self._check(frame)
        import cv2

        small = cv2.resize(frame, (self._canvas[0] // 2, self._canvas[1] // 2), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        cut = self._before is None or float(np.mean(cv2.absdiff(luma, self._before))) > CUT
        if cut and not self._owed:
            self._scene = time
        self._before = luma
        self._show(time)
        mask = self._within_floor(_mask(luma), self._opening(time))
        full = self._scratch
        cv2.resize(cv2.merge([mask] * 3), (self.width, self.height), full, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(self._mark, full, full)
        marked = cv2.add(frame, full, dtype=cv2.CV_8U)  # rounds and saturates
        return np.asarray(marked, np.uint8)

    def _within_floor(self, mask: Floats, opening: float) -> Floats:
        """The mask, scaled down to what a frame may take of the mean square error that the floor allows the clip."""
        floor = 255.0**2 / 10 ** (self._strength.psnr / 10) - ROUNDING
        share = 1 + OPENING_EXTRA * opening**2 if opening > 0.2 else 1 - GIVEN_BACK * bool(self._owed)
        wanted = self._energy * float(np.mean(mask**2)) + 1e-9
        taken = min(wanted, floor * share)
        self._owed = max(0.0, self._owed + taken - floor)
        return np.asarray(mask * np.float32(np.sqrt(taken / wanted)), np.float32)

    def _check(self, frame: Frame) -> None:
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise BadMedia(f"expected uint8 frames of {self.height}x{self.width}x3, got {frame.dtype} {frame.shape}")


def _mask(luma: Floats) -> Floats:
    """How much of the mark each place bears: h x w as luma, 1 on a flat surface of middle grey."""
    import cv2

    mean = cv2.blur(luma, (5, 5))
    spread = np.sqrt(np.maximum(cv2.blur(luma * luma, (5, 5)) - mean * mean, 0.0))
    spread = cv2.erode(cv2.blur(spread, (3, 3)), np.ones((3, 3), np.uint8))  # an edge beside a flat wall stays flat
    light = np.clip(0.4 + 0.6 * np.minimum(mean / 60.0, (255.0 - mean) / 25.0), 0.4, 1.0)
    return np.asarray((1.0 + np.minimum(spread, 30.0) * 0.078) * light, np.float32)


def embed_stream(
    frames: Iterable[Frame], payload: int, key: Key, *, strength: str = "standard", fps: float = FPS
) -> Iterator[Frame]:
    """Marks frames one by one, in constant memory, looking half a second ahead. See :func:`embed`."""
    stream = iter(frames)
    ahead = list(islice(stream, AHEAD))
    if not ahead:
        return
    height, width = ahead[0].shape[:2]
    embedder = Embedder(width, height, payload, key, strength, like=ahead)
    index = 0
    for part in (ahead, stream):
        for frame in part:
            yield embedder.mark(frame, index / fps)
            index += 1


def embed(frames: Frame, payload: int, key: Key, *, strength: str = "standard", fps: float = FPS) -> Frame:
    """Marks a clip.

    ``frames``: uint8, T x H x W x 3, RGB, ``fps`` a second. ``payload``: 64 bits as an integer. Returns frames of the
    same shape. Keyed spread spectrum after Cox et al. 1997, with a polar code; see ``docs/watermark.md``.
    """
    if frames.ndim != 4 or not len(frames):
        raise BadMedia(f"expected uint8 frames of T x H x W x 3, got {frames.dtype} {frames.shape}")
    like = frames[np.unique(np.linspace(0, len(frames) - 1, LOOKED).astype(int))]
    embedder = Embedder(frames.shape[2], frames.shape[1], payload, key, strength, like=list(like))
    return np.stack([embedder.mark(frame, index / fps) for index, frame in enumerate(frames)])
