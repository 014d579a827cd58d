"""Encoding of media files, through PyAV.

Nothing here watermarks or signs: a writer's file is only for :mod:`countermark.provenance` to finish.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia
from countermark.media import Source, open_container

__all__ = ["AudioFeed", "VideoWriter"]

Frame = npt.NDArray[np.uint8]


class AudioFeed:
    """Passes the packets of a file's first audio track on to a writer, in step with the video. None feeds nothing."""

    def __init__(self, source: Source | None) -> None:
        self.stream: Any = None
        self._source = source
        self._held = contextlib.ExitStack()
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None

    def __enter__(self) -> AudioFeed:
        if self._source is not None:
            container = self._held.enter_context(open_container(self._source.path))
            self.stream = container.streams.audio[0]
            self._packets = (p for p in container.demux(self.stream) if p.dts is not None)
            self._next = next(self._packets, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def pass_on(self, writer: VideoWriter, until: float = float("inf")) -> None:
        """Passes on what is heard until a time, in seconds from the first frame."""
        if self._source is None:
            return
        base = float(self.stream.time_base)
        shift = round(self._source.start / base)
        while self._next is not None and (self._next.dts - shift) * base <= until:
            packet, self._next = self._next, next(self._packets, None)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            writer.copy_audio(packet)


class VideoWriter:
    """Writes H.264 in mp4 (4:2:0, BT.709 tagged, index first), with the audio of another file copied if wanted.

    Sides are made even by repeating the last row or column. Use as a context manager; on an error the caller removes
    the file. OSError of the disk reaches the caller.
    """

    def __init__(
        self, path: Path, width: int, height: int, rate: Fraction, *, crf: int = 17, audio: Any = None
    ) -> None:
        import av
        import av.logging
        from av.video.reformatter import Colorspace

        av.logging.set_libav_level(av.logging.PANIC)
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._pad = (height % 2, width % 2)
        options = {"crf": str(crf), "preset": "medium", "x264-params": "log-level=none"}
        self._stream: Any = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        self._stream.time_base = context.time_base = Fraction(1, 90000)
        self._matrix = Colorspace.ITU709
        self._audio: Any = None
        if audio is not None:
            try:
                self._audio = self._container.add_stream_from_template(audio)
            except Exception:
                self._container.close()
                raise BadMedia(f"its audio ({audio.codec_context.name}) cannot be copied into an mp4") from None
        self._last = -1

    def write(self, time: float, rgb: Frame) -> None:
        """Encodes a frame shown from ``time``, in seconds; times must increase."""
        import av
        from av.video.reformatter import ColorRange

        if any(self._pad):
            rgb = np.pad(rgb, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        self._last = frame.pts = max(round(time * 90000), self._last + 1)
        frame.time_base = Fraction(1, 90000)
        self._container.mux(self._stream.encode(frame))

    def copy_audio(self, packet: Any) -> None:
        """Passes on a packet of the template's audio stream, as it is."""
        packet.stream = self._audio
        self._container.mux(packet)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
