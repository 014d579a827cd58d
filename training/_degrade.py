"""What happens to footage on its way: cropped, resized, blurred, thinned out, marked, drawn over and encoded again.

Settings are drawn without a look at the class, so that they say nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.patches import SMALLEST
from countermark.media import Timed
from countermark.training._recode import recode
from countermark.watermark import Embedder, Key

__all__ = ["FIXED", "Settings", "degrade", "draw", "encode"]

Frame = npt.NDArray[np.uint8]
CANVAS = 1280  # pixels a side that are encoded at most; what is larger is cropped
RATES = (24.0, 15.0, 12.0, 10.0, 8.0)
KEYS = tuple(bytes([n]) * 32 for n in (3, 5, 7, 11))


@dataclass(frozen=True)
class Settings:
    """One way of being degraded. ``chain``: codec and CRF (on x264's scale) of each generation of encoding."""

    chain: tuple[tuple[str, int], ...]
    scale: float = 1.0
    rate: float | None = None
    blur: float = 0.0
    noise: float = 0.0
    overlay: bool = False
    mark: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the cache's table."""
        return {"chain": [list(c) for c in self.chain], "scale": self.scale, "rate": self.rate, "mark": self.mark}


FIXED = {  # the ways that figures are reported for
    "crf28": Settings((("libx264", 28),)),
    "crf35": Settings((("libx264", 35),)),
    "half": Settings((("libx264", 23),), scale=0.5),
    "social": Settings((("libx264", 26), ("libx264", 31)), scale=0.6),
}


def draw(rng: np.random.Generator) -> Settings:
    """Random settings; every second clip is marked, every fourth loses frames, and so on."""
    codec = str(rng.choice(["libx264", "libx265", "libvpx-vp9"], p=[0.6, 0.2, 0.2]))
    return Settings(
        chain=((codec, int(rng.integers(18, 41))),),
        scale=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.6 else 1.0,
        rate=float(rng.choice(RATES)) if rng.random() < 0.25 else None,
        blur=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.15 else 0.0,
        noise=float(rng.uniform(0.5, 4.0)) if rng.random() < 0.2 else 0.0,
        overlay=bool(rng.random() < 0.15),
        mark=int(rng.integers(len(KEYS))) if rng.random() < 0.5 else None,
    )


def degrade(frames: Sequence[Timed], settings: Settings, rng: np.random.Generator) -> list[Timed]:
    """Frames after one way of being degraded; times stay. Raises BadMedia for frames too small to mark."""
    import cv2

    kept = _thin(frames, settings.rate)
    height, width = kept[0].rgb.shape[:2]
    scale = max(settings.scale, min(1.0, (SMALLEST + 8) / min(height, width)))
    rows, columns = (min(n, CANVAS) // 2 * 2 for n in (height, width))
    top, left = (int(rng.integers(0, n - m + 1)) // 2 * 2 for n, m in ((height, rows), (width, columns)))
    size = (round(columns * scale) // 2 * 2, round(rows * scale) // 2 * 2)
    embedder = None
    if settings.mark is not None:
        embedder = Embedder(width, height, int(rng.integers(1 << 62)), Key(KEYS[settings.mark]))
    ink = [_ink(rng, size) for _ in range(2)] if settings.overlay else []
    made = []
    for timed in kept:
        rgb = embedder.mark(timed.rgb, timed.time) if embedder else timed.rgb
        rgb = np.ascontiguousarray(rgb[top : top + rows, left : left + columns])
        if (rgb.shape[1], rgb.shape[0]) != size:
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        if settings.blur:
            rgb = cv2.GaussianBlur(rgb, (0, 0), settings.blur)
        if settings.noise:
            grain = rng.normal(0, settings.noise, rgb.shape).astype(np.float32)
            rgb = cv2.add(rgb, grain, dtype=cv2.CV_8U)
        for box, colour, text in ink:
            cv2.putText(rgb, text, box, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)
        made.append(Timed(timed.time, np.asarray(rgb, np.uint8)))
    for codec, crf in settings.chain:
        made = encode(made, codec, crf)
    return made


def _thin(frames: Sequence[Timed], rate: float | None) -> list[Timed]:
    if rate is None:
        return list(frames)
    kept: list[Timed] = []
    for timed in frames:
        if not kept or timed.time >= kept[-1].time + 1 / rate - 0.01:
            kept.append(timed)
    return kept if len(kept) >= 3 else list(frames)


def _ink(rng: np.random.Generator, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, ...], str]:
    place = (int(rng.integers(0, size[0])) // 2, int(rng.integers(12, size[1])))
    text = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVWXYZ 0123456789"), int(rng.integers(3, 14))))
    return place, tuple(int(c) for c in rng.integers(0, 256, 3)), text


def encode(frames: Sequence[Timed], codec: str, crf: int) -> list[Timed]:
    """Frames after encoding and decoding, in memory. ``crf`` is on x264's scale; VP9's is stretched to its own."""
    options = {
        "libx264": {"crf": str(crf), "preset": "veryfast", "x264-params": "log-level=none"},
        "libx265": {"crf": str(crf), "preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
        "libvpx-vp9": {"crf": str(round(crf * 63 / 51)), "b": "0", "deadline": "realtime", "cpu-used": "8"},
    }[codec]
    rate = max(1, round((len(frames) - 1) / max(frames[-1].time - frames[0].time, 1e-3)))
    pictures = recode([timed.rgb for timed in frames], Fraction(rate), codec, options, threads=1)
    return [Timed(timed.time, rgb) for timed, rgb in zip(frames, pictures, strict=False)]
