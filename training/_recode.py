"""Frames through an encoder and back, in memory."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["recode", "reencode"]

Frame = npt.NDArray[np.uint8]


def reencode(frames: Frame, fps: float, codec: str, crf: int, preset: str | None = None) -> Frame:
    """Frames (T x H x W x 3, uint8) after a codec of PyAV at a constant quality; odd last rows and columns are lost."""
    options = {"crf": str(crf)}
    if codec == "libvpx-vp9":
        options |= {"b": "0", "cpu-used": "4", "deadline": "good"}
    elif codec == "libsvtav1":
        options["preset"] = "8"
    elif preset:
        options["preset"] = preset
    if codec == "libx265":
        options["x265-params"] = "log-level=none"
    return np.stack(recode(list(frames), Fraction(fps).limit_denominator(1001), codec, options))


def recode(
    frames: Sequence[Frame], rate: Fraction, codec: str, options: dict[str, str], *, threads: int = 0
) -> list[Frame]:
    """Frames (H x W x 3, uint8, RGB) after an encoder with its own options, at 4:2:0 and even sides.

    ``threads``: of the encoder and the decoder, 0 for as many as they like.
    """
    import av
    import av.logging

    os.environ.setdefault("SVT_LOG", "0")  # its encoder writes to stderr by itself
    av.logging.set_libav_level(av.logging.PANIC)  # not set_level: a callback into Python can stop a closing decoder
    file = io.BytesIO()
    with _same_priority(), av.open(file, "w", format="matroska") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = (side // 2 * 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = threads
        for number, rgb in enumerate(frames):
            even = np.ascontiguousarray(rgb[: stream.height, : stream.width])
            frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        container.streams.video[0].codec_context.thread_count = threads
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@contextlib.contextmanager
def _same_priority() -> Iterator[None]:
    """SVT-AV1, run as root, leaves the calling thread with real-time priority: everything else would then starve."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)
