"""Decoding and facts of media files, through PyAV (FFmpeg's libraries).

Frames are uint8, H x W x 3, RGB, as a viewer sees them: rotation applied, alpha dropped, more than 8 bits rounded.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, CountermarkError
from countermark.report import MediaFacts

__all__ = [
    "EXTENSIONS",
    "IMAGES",
    "MIME",
    "Source",
    "Timed",
    "open_container",
    "open_source",
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
            with open_container(self.path) as container:
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
        with open_container(path) as container:
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
        reason = "animated WebP cannot be decoded" if _animated_webp(path) else _plain(error)
        raise BadMedia(f"{path.name}: not a readable image or video ({reason})") from None


def _animated_webp(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(64)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and b"ANIM" in head


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
def open_container(path: Path) -> Iterator[Any]:
    """PyAV's container of a file, closed afterwards."""
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.PANIC)
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
