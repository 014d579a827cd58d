from pathlib import Path

import numpy as np
import pytest

from countermark.errors import ModelUnavailable, UsageError
from countermark.generate import Request, load_model
from countermark.generate.exchange import frames_of
from countermark.generate.limits import Limits, Steps


def test_a_seed_gives_the_same_bits_again(wan: Path):
    model = load_model(str(wan), device="cpu")
    first, again, other = (
        model.generate(Request("a red ball", frames=9, size=(64, 64), steps=2, seed=seed)).frames for seed in (3, 3, 4)
    )
    assert (again == first).all()
    assert (other != first).any()


def test_a_length_becomes_the_nearest_count_and_is_told_where_it_differs(wan: Path):
    model = load_model(str(wan), device="cpu")
    exact = model.generate(Request("x", seconds=0.56, size=(64, 64), steps=1))
    assert (len(exact.frames), exact.warnings) == (9, ())
    told = model.generate(Request("x", seconds=1, fps=7, size=(64, 64), steps=1))
    assert (len(told.frames), told.fps) == (9, 7)
    assert told.warnings == ("WanPipeline makes 9 frames, which at 7 a second last 1.29 s",)


def test_what_is_rounded_all_the_same_is_told(wan: Path):
    model = load_model(str(wan), device="cpu")
    model.limits = Limits("a pipeline that says nothing of itself")
    result = model.generate(Request("x", frames=10, size=(64, 64), steps=1))
    assert result.warnings == ("WanPipeline made 9 frames, not the 10 asked for",)


def test_limits_name_the_nearest():
    four = Steps(1, 4)
    assert [four.nearest(n) for n in (0.2, 1, 2, 3, 4, 5, 7, 9.6)] == [1, 1, 1, 5, 5, 5, 9, 9]
    assert [four.below(n) for n in (1, 4, 5, 8)] == [1, 1, 5, 5]
    assert (str(four), str(Steps(16, 16)), str(Steps(16, 0))) == ("4k + 1", "multiples of 16", "16 alone")
    chunks = Limits("H", frames=four, chunk=33)
    assert [chunks.nearest(n) for n in (1, 33, 49, 66, 97, 132)] == [33, 33, 65, 65, 97, 129]
    sizes = Limits("S", Steps(320, 240), Steps(16, 16))
    sizes.check_size(560, 16)
    sizes.check_size(None, 32)
    for size, message in (
        ((100, 20), "100x20: widths are 240k [+] 320, heights multiples of 16; the nearest is 320x16"),
        ((None, 20), "anyx20: .* the nearest is anyx16"),
    ):
        with pytest.raises(UsageError, match=message):
            sizes.check_size(*size)


def test_a_negative_prompt_is_never_ignored(tiny, wan: Path, tmp_path: Path):
    model = load_model(str(wan), device="cpu")
    asked = {"frames": 5, "size": (64, 64), "steps": 2, "seed": 1}
    plain = model.generate(Request("a red ball", **asked)).frames
    assert (model.generate(Request("a red ball", negative="night", **asked)).frames != plain).any()
    with pytest.raises(UsageError, match=r"no heed .* guidance_scale of 1; give a guidance above 1"):
        model.generate(Request("a red ball", negative="night", guidance=1, **asked))
    distilled = load_model(str(tiny.save("HunyuanVideoPipeline", tmp_path)), device="cpu")
    with pytest.raises(UsageError, match=r"HunyuanVideoPipeline pays no heed .* true_cfg_scale of 1$"):
        distilled.generate(Request("a red ball", negative="night", **asked))


def test_guidance_reaches_a_guider_and_does_not_stay(tiny, tmp_path: Path):
    model = load_model(str(tiny.save("HunyuanVideo15Pipeline", tmp_path)), device="cpu")
    asked = {"frames": 5, "size": (64, 64), "steps": 2, "seed": 1}
    plain = model.generate(Request("a red ball", **asked)).frames
    strong = model.generate(Request("a red ball", guidance=30, **asked)).frames
    assert (strong != plain).any()
    assert (model.generate(Request("a red ball", **asked)).frames == plain).all()
    assert "progress_bar" not in vars(model.pipe), "the bar that counted the steps is put back"


def test_what_a_pipeline_fails_with_is_one_line(wan: Path, monkeypatch: pytest.MonkeyPatch):
    model = load_model(str(wan), device="cpu")
    for error, kind in ((AssertionError(), ModelUnavailable), (ValueError("no\nway"), UsageError)):
        monkeypatch.setattr(model.pipe, "encode_prompt", _raising(error))
        with pytest.raises(kind) as caught:
            model.generate(Request("x", frames=5, size=(64, 64), steps=1))
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(model.pipe, "encode_prompt", _raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        model.generate(Request("x", frames=5, size=(64, 64), steps=1))


def _raising(error: BaseException):
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_dtype_and_offload(wan: Path, monkeypatch: pytest.MonkeyPatch):
    import torch
    from diffusers import DiffusionPipeline

    half = load_model(str(wan), device="cpu", dtype="bfloat16", offload="none")
    assert half.pipe.transformer.dtype == torch.bfloat16
    assert half.generate(Request("x", frames=5, size=(64, 64), steps=1)).frames.std() > 1
    for kind in ("model", "sequential"):
        with pytest.raises(UsageError, match=f"offload {kind} needs a GPU"):
            load_model(str(wan), device="cpu", offload=kind)
    with pytest.raises(UsageError, match="offload must be one of none, model, sequential"):
        load_model(str(wan), device="cpu", offload="disk")
    with pytest.raises(UsageError, match="takes no offload"):
        load_model("embedded", offload="model")
    with pytest.raises(UsageError, match="the device cuda:99 is not there"):
        load_model(str(wan), device="cuda:99")
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for kind in ("model", "sequential"):
        monkeypatch.setattr(
            DiffusionPipeline, f"enable_{kind}_cpu_offload", lambda _, device, k=kind: asked.append((k, device))
        )
        assert load_model(str(wan), device="cuda", offload=kind).pipe.transformer.dtype == torch.bfloat16
    assert asked == [("model", "cuda"), ("sequential", "cuda")]


def test_what_a_pipeline_does_not_take_is_an_error(wan: Path, tmp_path: Path):
    model = load_model(str(wan), device="cpu")
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="WanPipeline takes no image"):
        model.generate(Request("x", image=tmp_path / "a.png", steps=1))


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
    array[:, 0] = np.nan
    assert frames_of((array,))[0][0].max() == 0
    array[:] = np.nan
    with pytest.raises(ModelUnavailable, match="NaN"):
        frames_of((array,))
    for bad in (object(), (np.zeros((1, 2, 8, 8, 1)),)):
        with pytest.raises(UsageError):
            frames_of(bad)
