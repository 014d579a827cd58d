"""What is left of frames once their content is taken away: one image a channel, summed over the clip.

Each frame is brought to the canonical canvas, high-passed, divided by its local contrast and clipped, so that no
edge and no bright region outvotes the rest; then frames are added up. Nothing here depends on a key.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from countermark.watermark.carriers import CHANNELS, canvas_size, pulse

__all__ = ["Residual", "match"]

Floats = npt.NDArray[np.float32]
CONTRAST = {"y": 0.8, "cr": 0.4, "cb": 0.4}  # 8-bit steps: contrast below this is not amplified further
CLIP = 2.5
WINDOW = {"y": 17, "cr": 33, "cb": 33}  # canvas pixels over which contrast is measured


class Residual:
    """Sums the residuals of the frames of one clip, all of one size, in constant memory."""

    def __init__(self, width: int, height: int) -> None:
        self.canvas = canvas_size(width, height)
        self.frames = 0
        self._sums = {c.name: np.zeros(self.canvas[::-1], np.float32) for c in CHANNELS}

    def add(self, frame: npt.NDArray[np.uint8]) -> None:
        """Adds a frame (H x W x 3, uint8, RGB)."""
        import cv2

        shrinks = frame.shape[0] > self.canvas[1]
        small = cv2.resize(frame, self.canvas, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        planes = cv2.cvtColor(small.astype(np.float32), cv2.COLOR_RGB2YCrCb)
        for index, channel in enumerate(CHANNELS):
            plane = np.ascontiguousarray(planes[..., index])
            high = pulse(plane, channel)
            side = WINDOW[channel.name]
            contrast = _rms(high, side) + CONTRAST[channel.name]
            self._sums[channel.name] += np.clip(high / contrast, -CLIP, CLIP)
        self.frames += 1

    def images(self) -> dict[str, Floats]:
        """The mean residual of each channel, canvas-sized."""
        return {name: np.asarray(total / max(self.frames, 1), np.float32) for name, total in self._sums.items()}


def _rms(image: Floats, side: int) -> Floats:
    """Local root mean square; a box filter's running sums can fall a hair below zero."""
    import cv2

    return np.asarray(np.sqrt(np.maximum(cv2.blur(image * image, (side, side)), 0.0)), np.float32)


def match(images: dict[str, Floats]) -> dict[str, Floats]:
    """Residuals after the matched filter, again evened out so that every region counts alike."""
    out = {}
    for channel in CHANNELS:
        image = images[channel.name]
        side = WINDOW[channel.name]
        even = image / (_rms(image, side) + 0.02)
        out[channel.name] = pulse(np.clip(even, -CLIP, CLIP), channel)
    return out
