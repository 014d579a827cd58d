"""What the mark survives, on clips of up to three seconds at 256 pixels; the wide measurement is a benchmark's."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from countermark.errors import BadMedia, UsageError
from countermark.generate.render import render
from countermark.generate.world import sample_scene
from countermark.watermark import (
    Embedder,
    Key,
    Reader,
    best_payload,
    embed,
    embed_stream,
    read,
    read_stream,
    resemblance,
)
from countermark.watermark.code import encode, variants

KEY = Key(bytes(range(32)))
PAYLOAD = 0x0123456789ABCDEF


@pytest.fixture(scope="module", params=["texture", "flat"])
def clips(request, clip):
    """A clip and its marked copy: moving texture, and the flat, still world of the embedded model."""
    world = render(sample_scene(np.random.default_rng(5)), 256, 24)
    frames = clip(72) if request.param == "texture" else world
    return frames, embed(frames, PAYLOAD, KEY), request.param


def _psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def _again(write, path: Path, frames, crf: int, fps: int):
    write(path, frames, fps, options={"crf": str(crf)})
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_looks(clips):
    frames, marked, _ = clips
    assert marked.dtype == np.uint8
    assert marked.shape == frames.shape
    assert _psnr(frames, marked) >= 43
    singly = [_psnr(a, b) for a, b in zip(frames, marked, strict=True)]
    assert min(singly) >= 40.9  # the opening of a scene
    assert min(singly[len(singly) // 2 :]) >= 43


def test_a_picture_alone_keeps_the_floor(clips):
    frames, _, _ = clips
    height, width = frames.shape[1:3]
    assert _psnr(frames[0], Embedder(width, height, PAYLOAD, KEY, opens=False).mark(frames[0])) >= 43


def test_survives(clips, write, tmp_path: Path):
    frames, marked, kind = clips
    fps = len(frames) // 3
    small = np.stack([cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for f in marked])
    attacked = {
        "nothing": marked,
        "crf 33": _again(write, tmp_path / "a.mp4", marked, 33, fps),
        "scale 50 %": _again(write, tmp_path / "b.mp4", small, 23, fps),
        "1 s": _again(write, tmp_path / "c.mp4", marked[fps : 2 * fps], 23, fps),
        "half the frames": _again(write, tmp_path / "d.mp4", marked[::2], 23, fps // 2),
        "backwards": marked[::-1],
        "grey": np.repeat(marked.mean(-1, keepdims=True), 3, -1).round().astype(np.uint8),
        "negative": 255 - marked,
    }
    for name, video in attacked.items():
        reading = read(video, KEY, fps=fps)
        assert reading.payload == PAYLOAD, (kind, name, reading)
        assert reading.tier == "payload"
        assert reading.p_value <= 1e-9


def _turned(frames, degrees: float):
    matrix = cv2.getRotationMatrix2D((frames.shape[2] / 2, frames.shape[1] / 2), degrees, 1.0)
    return np.stack([cv2.warpAffine(f, matrix, frames.shape[2:0:-1]) for f in frames])


def _tilted(frames):
    height, width = frames.shape[1:3]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + np.array([[12, 6], [-4, 0], [0, -14], [9, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return np.stack([cv2.warpPerspective(f, matrix, (width, height)) for f in frames])


def test_finds_the_lattice_again(clips):
    _, marked, kind = clips
    some = marked[: len(marked) // 3]
    if kind == "texture":
        attacked = {
            "crop 75 %": (some[:, 20:212, 37:229], 0.75),
            "turned by 90 degrees": (np.rot90(some, 1, (1, 2)), 1.0),
            "tilted": (_tilted(some), 1.0),
        }
    else:
        attacked = {
            "crop 50 %": (some[:, 50:178, 90:218], 0.5),
            "turned by 7 degrees": (_turned(some, 7), 1.0),
            "mirrored": (some[:, :, ::-1], 1.0),
            "stretched": (np.stack([cv2.resize(f, (300, 220)) for f in some]), 1.0),
            "letterbox": (np.pad(some, ((0, 0), (50, 50), (0, 0), (0, 0))), 1.18),
        }
    for name, (video, scale) in attacked.items():
        reading = read(np.ascontiguousarray(video), KEY)
        assert reading.payload == PAYLOAD, (kind, name, reading)
        assert reading.scale == pytest.approx(scale, rel=0.1), name


def test_an_average_over_the_frames_does_not_take_the_mark_away(clips):
    """The attacker's estimate: what stands still in the difference to a smoothed copy."""
    _, marked, _ = clips
    pattern = np.mean([f - cv2.GaussianBlur(f.astype(np.float32), (0, 0), 6) for f in marked.astype(np.float32)], 0)
    cleaned = np.clip(np.rint(marked - pattern), 0, 255).astype(np.uint8)
    assert read(cleaned, KEY, fps=len(marked) / 3).payload == PAYLOAD


def test_the_choice_of_the_payload_helps(clips):
    frames, _, _ = clips
    soft = resemblance(list(frames[:4]), KEY)
    likeness = [best_of(soft, best_payload(soft)) for _ in range(5)]
    fixed = [best_of(soft, payload) for payload in range(5)]
    plain = [float((1.0 - 2.0 * encode([payload])[0]) @ soft) for payload in range(5)]
    assert np.mean(likeness) > np.mean(fixed)
    assert min(fixed) > max(plain)


def best_of(soft, payload: int) -> float:
    return float(np.max((1.0 - 2.0 * (encode([payload]) ^ variants())) @ soft))


def test_other_keys_and_several_keys(clips):
    _, marked, _ = clips
    other = Key(bytes(32))
    several = read(marked, [other, KEY])
    assert several.payload == PAYLOAD
    assert several.key_id == KEY.id
    assert read(marked, []).tier == "none"


def test_several_keys_are_priced_in(clip):
    keys = [Key(bytes([i] * 32)) for i in range(2)]
    frames = clip(3)
    alone = [read(frames, key).p_value for key in keys]
    assert read(frames, keys).p_value == pytest.approx(min(1, len(keys) * min(alone)))


def test_streams_give_the_same(clips):
    frames, marked, _ = clips
    streamed = np.stack(list(embed_stream(iter(frames), PAYLOAD, KEY)))
    assert read(streamed, KEY).payload == PAYLOAD
    assert read_stream(iter(marked), KEY) == read(marked, KEY)
    assert Reader().read(KEY).tier == "none"


def test_wrong_input(clip):
    with pytest.raises(BadMedia, match="64 pixels"):
        embed(clip(1, 32, 32), 1, KEY)
    with pytest.raises(UsageError, match="64 bits"):
        embed(clip(1), 1 << 64, KEY)
    with pytest.raises(UsageError, match="subtle, standard, strong"):
        embed(clip(1), 1, KEY, strength="loud")
    with pytest.raises(BadMedia, match="expected uint8"):
        embed(clip(1).astype(np.float32), 1, KEY)


def test_wide_tall_and_odd_sizes(clip):
    for height, width in ((241, 427), (480, 270), (200, 600)):
        frames = clip(4, height, width)
        assert read(embed(frames, PAYLOAD, KEY), KEY).payload == PAYLOAD
