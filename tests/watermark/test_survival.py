"""What the first version survives, on clips of three seconds at 256 pixels: the issue's list."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from countermark.errors import BadMedia, UsageError
from countermark.generate.render import render
from countermark.generate.world import sample_scene
from countermark.watermark import Key, Reader, embed, embed_stream, read, read_stream

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
    assert min(_psnr(a, b) for a, b in zip(frames, marked, strict=True)) >= 43


def test_survives(clips, write, tmp_path: Path):
    frames, marked, kind = clips
    fps = len(frames) // 3
    half = [cv2.resize(f, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA) for f in marked]
    attacked = {
        "nothing": marked,
        "crf 28": _again(write, tmp_path / "a.mp4", marked, 28, fps),
        "scale 75 %": _again(write, tmp_path / "b.mp4", np.stack(half), 23, fps),
        "crop 90 %": marked[:, 9:239, 17:247],
        "1 s": _again(write, tmp_path / "c.mp4", marked[fps : 2 * fps], 23, fps),
        "half the frames": _again(write, tmp_path / "d.mp4", marked[::2], 23, fps // 2),
    }
    for name, video in attacked.items():
        reading = read(video, KEY)
        assert reading.payload == PAYLOAD, (kind, name, reading)
        assert reading.tier == "payload"
        assert reading.p_value <= 1e-9
    assert read(attacked["crop 90 %"], KEY).scale == pytest.approx(0.9, abs=0.01)


def test_other_keys_and_several_keys(clips):
    _, marked, _ = clips
    other = Key(bytes(32))
    assert not read(marked[:6], other).detected
    several = read(marked, [other, KEY])
    assert several.payload == PAYLOAD
    assert several.key_id == KEY.id
    assert read(marked, []).tier == "none"


def test_several_keys_are_priced_in(clip):
    keys = [Key(bytes([i] * 32)) for i in range(4)]
    frames = clip(3)
    alone = [read(frames, key).p_value for key in keys]
    assert min(alone) < 1 / 4, "none of these keys is near enough to show the price"
    assert read(frames, keys).p_value == pytest.approx(4 * min(alone))


def test_streams_give_the_same(clips):
    frames, marked, _ = clips
    assert (np.stack(list(embed_stream(iter(frames), PAYLOAD, KEY))) == marked).all()
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
