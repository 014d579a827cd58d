from pathlib import Path

import numpy as np
import pytest

from countermark.errors import ModelUnavailable, UsageError
from countermark.generate import Request, load_model
from countermark.generate.adapter import frames_of


@pytest.mark.parametrize(
    ("family", "seconds", "count", "fps"), [("wan", 0.6, 9, 16.0), ("ltx", 0.6, 17, 25.0), ("cogvideox", 1.0, 9, 8.0)]
)
def test_pipelines_load_from_disk_and_run(tiny, tmp_path: Path, family: str, seconds: float, count: int, fps: float):
    model = load_model(str(getattr(tiny, family)(tmp_path)), device="cpu")
    seen: list[int] = []
    request = Request("a red ball", seconds=seconds, size=(128, 128), steps=2, seed=3, on_step=seen.append)
    result = model.generate(request)
    assert result.frames.dtype == np.uint8
    assert result.frames.shape == (count, 128, 128, 3)
    assert result.fps == fps
    assert result.frames.std() > 1
    assert seen == [2, 2]
    if family == "wan":
        again = model.generate(request)
        other = model.generate(Request("a red ball", seconds=0.6, size=(128, 128), steps=2, seed=4))
        assert (again.frames == result.frames).all()
        assert (other.frames != result.frames).any()


def test_what_a_pipeline_does_not_take_is_an_error(wan: Path, tmp_path: Path):
    model = load_model(str(wan), device="cpu")
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="WanPipeline takes no image"):
        model.generate(Request("x", image=tmp_path / "a.png", steps=1))
    with pytest.raises(UsageError, match="divisible by 16"):
        model.generate(Request("x", size=(100, 100), steps=1))


@pytest.mark.parametrize("name", ["no/such-model", "./nowhere", "embeded"])
def test_an_unknown_model_is_one_line(tiny, name: str):
    with pytest.raises(ModelUnavailable, match="cannot be loaded") as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_video_pipeline(tiny, tmp_path: Path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "DDPMPipeline", "_diffusers_version": "0.42.0"}')
    with pytest.raises(ModelUnavailable):
        load_model(str(tmp_path))
    with pytest.raises(UsageError, match="device"):
        load_model(str(tmp_path), device="toaster")
    with pytest.raises(UsageError, match="dtype"):
        load_model(str(tmp_path), dtype="int3")


def test_frames_of_all_kinds_of_output():
    from PIL import Image
    from torch import zeros

    array = np.full((2, 3, 8, 8, 3), 0.5, np.float32)
    pictures = [[Image.new("RGB", (8, 8), (127, 127, 127))] * 3] * 2
    for given in ((array,), (pictures,), (zeros(2, 3, 3, 8, 8) + 0.5,)):
        clips = frames_of(given)
        assert len(clips) == 2
        for clip in clips:
            assert clip.shape == (3, 8, 8, 3)
            assert abs(int(clip[0, 0, 0, 0]) - 127) <= 1
    array[:] = np.nan
    assert frames_of((array,))[0].max() == 0
    for bad in (object(), (np.zeros((1, 2, 8, 8, 1)),)):
        with pytest.raises(UsageError):
            frames_of(bad)
