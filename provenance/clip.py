"""A clip that is to be sealed: frames one by one, and how they become a video file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia
from countermark.media import Source, Timed
from countermark.writer import AudioFeed, VideoWriter

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """Frames to be sealed: ``frames`` starts them from the beginning each time it is called.

    ``width``, ``height`` in pixels, ``rate`` in frames per second. ``audio``: a file whose audio is copied.
    """

    kind: ClassVar[str] = "a video"
    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".m4v")
    frames: Callable[[], Iterator[Timed]]
    width: int
    height: int
    rate: Fraction
    audio: Source | None = None

    @classmethod
    def of_array(cls, frames: npt.NDArray[np.uint8], fps: float) -> Clip:
        """A clip of an array: uint8, T x H x W x 3, RGB, at ``fps`` frames per second."""
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
            raise BadMedia(f"expected uint8 frames of T x H x W x 3, got {frames.dtype} {frames.shape}")
        return cls(
            lambda: (Timed(i / fps, frame) for i, frame in enumerate(frames)),
            frames.shape[2],
            frames.shape[1],
            Fraction(fps).limit_denominator(1001),
        )

    @property
    def lasts(self) -> float:
        """Seconds that a frame is shown."""
        return float(1 / self.rate)

    def write(self, path: Path, frames: Iterable[Timed]) -> None:
        """Encodes frames, the marked ones of this clip, as H.264 with its audio. Raises BadMedia or OSError."""
        with (
            AudioFeed(self.audio) as audio,
            VideoWriter(path, self.width, self.height, self.rate, audio=audio.stream) as writer,
        ):
            for timed in frames:
                writer.write(timed.time, timed.rgb)
                audio.pass_on(writer, until=timed.time)
            audio.pass_on(writer)
