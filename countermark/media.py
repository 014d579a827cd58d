"""Decoding, encoding and facts of media files, through PyAV (FFmpeg's libraries).

Frames are uint8, H x W x 3, RGB, as a viewer sees them: rotation applied, alpha dropped, more than 8 bits rounded.
Nothing here watermarks or signs: a writer's file is only for :mod:`countermark.provenance` to finish.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, CountermarkError, OutputFailed
from countermark.report import MediaFacts

__all__ = [
    "EXTENSIONS",
    "IMAGES",
    "MIME",
    "AudioFeed",
    "Source",
    "Timed",
    "VideoWriter",
    "open_source",
    "output_error",
    "probe",
    "sha256_of",
    "unhashed_bytes",
]

Frame = npt.NDArray[np.uint8]
MIME = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".gif": "image/gif",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
EXTENSIONS = frozenset(MIME)
ISO = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2")
CONTAINERS = {  # names that FFmpeg gives the containers of an extension
    ".mp4": ISO,
    ".m4v": ISO,
    ".mov": ISO,
    ".avi": ("avi",),
    ".gif": ("gif",),
    ".png": ("png_pipe", "apng"),
    ".jpg": ("jpeg_pipe", "image2"),
    ".jpeg": ("jpeg_pipe", "image2"),
    ".webp": ("webp_pipe",),
    ".webm": ("matroska", "webm"),
    ".mkv": ("matroska", "webm"),
}
IMAGES = frozenset({"png_pipe", "jpeg_pipe", "webp_pipe", "image2", "bmp_pipe", "tiff_pipe", "apng"})
LARGEST = 16384  # pixels on a side; a header that claims more is refused before memory is taken
HD_LINES = 720  # from here on an untagged video is BT.709, below BT.601, as players assume


@dataclass(frozen=True)
class Timed:
    """A frame and its time in seconds from the start."""

    time: float
    rgb: Frame


@dataclass(frozen=True)
class Source:
    """An openable media file and its facts; :meth:`frames` decodes it from the start each time.

    ``start`` is the first frame's time on the file's own clock, in seconds; :meth:`frames` counts from it. ``losses``
    says what 8-bit H.264 cannot keep of it.
    """

    path: Path
    facts: MediaFacts
    rotation: int
    truncated: bool
    has_audio: bool
    container: str
    start: float
    losses: tuple[str, ...] = ()

    @property
    def named_right(self) -> bool:
        """Whether the file's extension fits its container."""
        return any(name in CONTAINERS.get(self.path.suffix.lower(), (name,)) for name in self.container.split(","))

    def frames(self) -> Iterator[Timed]:
        """Decodes frame after frame, in constant memory.

        Raises BadMedia where the file breaks off or is damaged, after the frames before it.
        """
        count = 0
        try:
            with _open(self.path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    time = float(frame.time) if frame.time is not None else count / (self.facts.fps or 25.0)
                    count += 1
                    yield Timed(max(0.0, time - self.start), self.to_rgb(frame))
        except CountermarkError:
            raise
        except Exception as error:
            raise BadMedia(f"{self.path.name}: damaged after {count} frames ({_plain(error)})") from None
        if count == 0:
            raise BadMedia(f"{self.path.name}: no frame of it can be decoded")

    def to_rgb(self, frame: Any) -> Frame:
        """A decoded frame as upright RGB."""
        rgb = np.asarray(_reformat(frame).to_ndarray(), np.uint8)
        quarter = self.rotation // 90 % 4
        return np.ascontiguousarray(np.rot90(rgb, quarter)) if quarter else rgb


def _reformat(frame: Any) -> Any:
    """To 8-bit RGB with the matrix that the file names, or the one that players assume for its size."""
    from av.video.reformatter import ColorRange, Colorspace

    named = {
        1: Colorspace.ITU709,
        5: Colorspace.ITU601,
        6: Colorspace.ITU601,
        4: Colorspace.FCC,
        7: Colorspace.SMPTE240M,
    }
    guess = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
    if frame.format.is_rgb:
        return frame.reformat(format="rgb24")
    matrix = named.get(int(frame.colorspace), guess)
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return frame.reformat(
        format="rgb24",
        src_colorspace=matrix,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )


def open_source(path: str | Path) -> Source:
    """Opens a file and reads its facts, decoding one frame.

    Raises BadMedia for a file that is missing, empty, of no known kind, or holds no picture that decodes.
    """
    path = Path(path)
    _check_readable(path)
    try:
        with _open(path) as container:
            if not container.streams.video:
                raise BadMedia(f"{path.name}: it has no video track")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise BadMedia(f"{path.name}: its video codec is unknown")
            if max(context.width, context.height) > LARGEST:
                raise BadMedia(f"{path.name}: {context.width}x{context.height} pixels are more than {LARGEST} a side")
            frame = next(container.decode(stream), None)
            if frame is None:
                raise BadMedia(f"{path.name}: no frame of it can be decoded")
            facts, rotation = _facts(path, container, stream, frame)
            start = float(frame.time) if frame.time is not None else 0.0
            sound, kind = bool(container.streams.audio), container.format.name
            return Source(path, facts, rotation, _truncated(path), sound, kind, start, _losses(frame))
    except CountermarkError:
        raise
    except Exception as error:
        raise BadMedia(f"{path.name}: not a readable image or video ({_plain(error)})") from None


def _facts(path: Path, container: Any, stream: Any, frame: Any) -> tuple[MediaFacts, int]:
    rotation = int(getattr(frame, "rotation", 0) or 0)
    width, height = frame.width, frame.height
    if rotation // 90 % 2:
        width, height = height, width
    image = container.format.name in IMAGES
    if image or (container.format.name == "gif" and stream.frames == 1):
        return MediaFacts("image", width, height, None, None, stream.codec_context.name, sha256_of(path)), rotation
    rate = stream.average_rate or stream.guessed_rate
    seconds = None
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / 1e6
    fps = round(float(rate), 3) if rate else None
    return (
        MediaFacts(
            "video",
            width,
            height,
            fps,
            round(seconds, 3) if seconds is not None else None,
            stream.codec_context.name,
            sha256_of(path),
        ),
        rotation,
    )


def _losses(frame: Any) -> tuple[str, ...]:
    found = []
    if any(component.bits > 8 for component in frame.format.components):
        found.append("more than 8 bits a channel become 8")
    see_through = any(component.is_alpha for component in frame.format.components)
    if see_through and frame.reformat(format="rgba").to_ndarray()[..., 3].min() < 255:
        found.append("transparency is dropped")
    if frame.width % 2 or frame.height % 2:
        found.append("an odd side is made even by repeating its last row or column")
    return tuple(found)


def probe(path: str | Path) -> MediaFacts:
    """Facts of a file. Raises BadMedia as :func:`open_source` does."""
    return open_source(path).facts


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise BadMedia(f"{path}: it is a folder")
        with path.open("rb") as file:
            if not file.read(1):
                raise BadMedia(f"{path.name}: the file is empty")
    except FileNotFoundError:
        raise BadMedia(f"{path}: no such file") from None
    except OSError as error:
        raise BadMedia(f"{path}: {error.strerror}") from None


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    import av
    import av.logging

    av.logging.set_level(av.logging.PANIC)
    # a file object instead of a name: no protocol, playlist or image sequence can reach other files or the network
    with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
        yield container


def _boxes(path: Path) -> Iterator[tuple[bytes, int, bool]]:
    """The top-level boxes of an ISO media file: kind, size in bytes, and whether the file ends before the box does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if at == 0 and kind not in (b"ftyp", b"moov", b"free", b"skip", b"wide", b"mdat", b"pnot", b"styp"):
                return
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            length = length or size - at  # 0: to the end of the file
            yield kind, length, at + length > size
            if length < 8:
                return
            at += length


def _truncated(path: Path) -> bool:
    """Whether an ISO media file ends before one of its boxes does."""
    return any(cut and kind in (b"mdat", b"moov", b"moof") for kind, _, cut in _boxes(path))


def unhashed_bytes(path: Path) -> int:
    """Bytes of an ISO media file in boxes that a C2PA manifest's hash leaves out (free, skip)."""
    return sum(length for kind, length, _ in _boxes(path) if kind in (b"free", b"skip"))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:120]


def output_error(path: Path, error: OSError) -> OutputFailed:
    """The one-line error of a failed write."""
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EFBIG: "the file would be too large",
        errno.EDQUOT: "the quota is used up",
        errno.EACCES: "no permission to write there",
        errno.EPERM: "no permission to write there",
        errno.EROFS: "the folder is read-only",
        errno.ENOENT: "its folder does not exist",
        errno.ENOTDIR: "its folder is not a folder",
    }.get(error.errno or 0, _plain(error))
    return OutputFailed(f"cannot write {path}: {reason}")


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
            container = self._held.enter_context(_open(self._source.path))
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

        av.logging.set_level(av.logging.PANIC)
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
