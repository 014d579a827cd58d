"""Small media that the tests make themselves, and a home of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the library is imported: a fixture may come too late
if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a core, and its libraries are not to start a thread for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

Frames = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys, store and settings of one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("COUNTERMARK_HOME", str(folder))
    return folder


@pytest.fixture
def stored(home: Path) -> Callable[[], int]:
    """How many entries the store of the test's home has by now."""

    def count() -> int:
        from countermark.provenance import Store
        from countermark.settings import load_settings

        with Store(load_settings().store) as store:
            return len(store)

    return count


@pytest.fixture(autouse=True)
def short_ladder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the watermark's own tests, marks are looked for on the canvas as it is: a vain search takes seconds."""
    if "watermark" not in request.node.path.parts:
        monkeypatch.setattr("countermark.watermark.search._rungs", list)


@pytest.fixture(autouse=True)
def unseen_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished frames are looked at in the tests of that alone: others are the same with and without the extra."""
    if request.node.path.name != "test_output_moderation.py" and {"generate", "hall"} & set(request.node.path.parts):
        monkeypatch.setattr("countermark.generate.pipeline.load_frame_model", _Blind)


class _Blind:
    """A model of pictures that sees nothing."""

    name = "blind"

    def judge(self, frames: Sequence[Frames]) -> list[dict[str, float]]:
        return [{} for _ in frames]


@pytest.fixture(scope="session")
def clip() -> Callable[..., Frames]:
    """Makes a clip: a soft texture, and a smaller one that glides over it; uint8, T x H x W x 3."""

    def make(frames: int = 24, height: int = 256, width: int = 256, seed: int = 0) -> Frames:
        import cv2

        rng = np.random.default_rng(seed)

        def texture(h: int, w: int) -> Any:
            coarse = rng.random((8, 8, 3)).astype(np.float32)
            fine = rng.random((h // 5 + 2, w // 5 + 2, 3)).astype(np.float32)
            base = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC) * 170 + 35
            return np.clip(base + (cv2.resize(fine, (w, h), interpolation=cv2.INTER_CUBIC) - 0.5) * 20, 0, 255)

        video = np.repeat(texture(height, width)[None], frames, 0)
        h, w = height // 4, width // 4
        glider = texture(h, w)
        for i, frame in enumerate(video):
            x = round((width - w) * i / max(frames, 2))
            frame[height // 2 : height // 2 + h, x : x + w] = glider
        return video.round().astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Writes frames with PyAV, by any codec, pixel format and container; ``times`` in ms makes the rate variable."""

    def run(
        path: Path,
        frames: Frames,
        fps: int = 24,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        times: list[int] | None = None,
        rotate: int = 0,
        audio: bool = False,
    ) -> Path:
        quick = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
        with av.open(str(path), "w", options=quick) as container:
            stream: Any = container.add_stream(codec, rate=fps, options=options or {})
            stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            sound: Any = container.add_stream("aac", rate=44100) if audio else None
            for i, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format=pix_fmt)
                frame.pts, frame.time_base = (times[i], Fraction(1, 1000)) if times else (i, Fraction(1, fps))
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if audio:
                _tone(container, sound, len(frames) / fps)
        if rotate:
            _rotate(path, rotate)
        return path

    return run


def _tone(container: Any, stream: Any, seconds: float) -> None:
    wave = np.sin(np.arange(int(44100 * seconds)) * 2 * np.pi * 440 / 44100).astype(np.float32) * 0.3
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _rotate(path: Path, degrees: int) -> None:
    """Sets the rotation in the track header of an mp4, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + 40 if data[at] == 0 else at + 52
    one, minus = (0x00010000).to_bytes(4, "big"), (0xFFFF0000).to_bytes(4, "big")
    zero = bytes(4)
    rows = {90: (zero, one, minus, zero), 180: (minus, zero, zero, minus), 270: (zero, minus, one, zero)}[degrees]
    for offset, value in zip((0, 4, 12, 16), rows, strict=True):
        data[matrix + offset : matrix + offset + 4] = value
    path.write_bytes(bytes(data))
