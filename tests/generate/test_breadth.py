"""Every kind of text-to-video and image-to-video pipeline of diffusers, from a folder, through the public path."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from countermark.errors import ModelUnavailable, UsageError
from countermark.generate import Request, load_model
from countermark.generate.adapter import DiffusersModel

TEXT = {  # class -> (width = height, frames, frames a second)
    "AllegroPipeline": (128, 24, 15.0),
    "AnimateDiffPAGPipeline": (64, 5, 8.0),
    "AnimateDiffPipeline": (64, 5, 8.0),
    "AnyFlowPipeline": (64, 9, 16.0),
    "CogVideoXPipeline": (64, 9, 8.0),
    "CosmosTextToWorldPipeline": (64, 9, 30.0),
    "EasyAnimatePipeline": (64, 9, 8.0),
    "HeliosPipeline": (64, 33, 24.0),
    "HunyuanVideo15Pipeline": (64, 9, 24.0),
    "HunyuanVideoPipeline": (64, 9, 24.0),
    "Kandinsky5T2VPipeline": (64, 9, 24.0),
    "LTX2ConditionPipeline": (64, 9, 24.0),
    "LTX2Pipeline": (64, 9, 24.0),
    "LTXConditionPipeline": (64, 9, 25.0),
    "LTXPipeline": (64, 9, 25.0),
    "LattePipeline": (64, 9, 8.0),
    "MochiPipeline": (64, 7, 30.0),
    "MotifVideoPipeline": (64, 9, 24.0),
    "SanaVideoPipeline": (64, 9, 16.0),
    "SkyReelsV2DiffusionForcingPipeline": (64, 9, 24.0),
    "SkyReelsV2Pipeline": (64, 9, 24.0),
    "TextToVideoSDPipeline": (64, 5, 16.0),
    "WanPipeline": (64, 9, 16.0),
    "WanVACEPipeline": (64, 9, 16.0),
}
IMAGE = {
    "CogVideoXImageToVideoPipeline": (64, 9, 8.0),
    "Cosmos2VideoToWorldPipeline": (64, 9, 16.0),
    "CosmosVideoToWorldPipeline": (64, 9, 30.0),
    "HunyuanSkyreelsImageToVideoPipeline": (64, 9, 24.0),
    "HunyuanVideo15ImageToVideoPipeline": (None, 9, 24.0),
    "HunyuanVideoImageToVideoPipeline": (64, 9, 24.0),
    "Kandinsky5I2VPipeline": (64, 17, 24.0),
    "LTX2ImageToVideoPipeline": (64, 9, 24.0),
    "LTXConditionPipeline": (64, 9, 25.0),
    "LTXImageToVideoPipeline": (64, 9, 25.0),
    "SanaImageToVideoPipeline": (64, 9, 16.0),
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": (64, 9, 24.0),
    "SkyReelsV2ImageToVideoPipeline": (64, 9, 24.0),
    "WanImageToVideoPipeline": (64, 9, 16.0),
}
OPEN = {  # what no tiny pipeline is built of, and why
    "AnimateDiffControlNetPipeline": "needs frames to follow",
    "AnimateDiffSDXLPipeline": "as AnimateDiffPipeline, with the text encoders of SDXL",
    "AnimateDiffSparseControlNetPipeline": "needs frames to follow",
    "AnyFlowFARPipeline": "as AnyFlowPipeline, chunk by chunk",
    "ChronoEditPipeline": "edits a picture",
    "ConsisIDPipeline": "needs a face's identity beside its picture",
    "Cosmos2_5_PredictBasePipeline": "its text encoder is a vision model of seven billion parameters and its own chat",
    "Cosmos2_5_TransferPipeline": "needs a video of controls",
    "Cosmos3OmniPipeline": "one model of text, sound and video, with a tokenizer of its own",
    "EasyAnimateControlPipeline": "needs a video to follow",
    "EasyAnimateInpaintPipeline": "needs a video and a mask",
    "HeliosPyramidPipeline": "as HeliosPipeline, at three sizes; takes no steps",
    "HunyuanVideoFramepackPipeline": "as HunyuanVideoImageToVideoPipeline, window by window",
    "I2VGenXLPipeline": "no longer kept up in diffusers",
    "Kandinsky6TI2VAPipeline": "sound and video at once, with weights of its own kind",
    "LTX2DFRPipeline": "a stage of a chain of pipelines",
    "LTX2DFRTemporalRefinePipeline": "a stage of a chain of pipelines",
    "LTX2HDRPipeline": "gives tensors of high dynamic range",
    "LTX2InContextPipeline": "needs reference videos",
    "LTXI2VLongMultiPromptPipeline": "gives latents, of several prompts",
    "LucyEditPipeline": "edits a video",
    "MotifVideoImage2VideoPipeline": "as MotifVideoPipeline, with a vision tower in its text encoder",
    "PIAPipeline": "no longer kept up in diffusers",
    "SanaWMPipeline": "needs a path of the camera",
    "SkyReelsV2DiffusionForcingVideoToVideoPipeline": "continues a video",
    "TextToVideoZeroPipeline": "no longer kept up in diffusers",
    "TextToVideoZeroSDXLPipeline": "no longer kept up in diffusers",
}


class _Guard:
    """In the place of Cosmos's own guardrail, whose weights only a hub has."""

    def to(self, *_: object) -> "_Guard":
        return self

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: np.ndarray) -> np.ndarray:
        return frames


@pytest.fixture
def load(tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Saves a pipeline of a class and loads it back."""

    def run(name: str) -> DiffusersModel:
        import diffusers

        if not hasattr(diffusers, name):
            pytest.skip(f"diffusers {diffusers.__version__} has no {name}")
        if name.startswith("Cosmos"):
            module = __import__(getattr(diffusers, name).__module__, fromlist=["x"])
            monkeypatch.setattr(module, "CosmosSafetyChecker", _Guard)
        return load_model(str(tiny.save(name, tmp_path / name)), device="cpu")

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def _runs(model: DiffusersModel, side: int | None, count: int, fps: float, image: Path | None = None) -> None:
    steps: list[int] = []
    size = None if side is None else (side, side)
    request = Request("a red ball", frames=count, size=size, steps=2, seed=3, image=image, on_step=steps.append)
    result = model.generate(request)
    assert result.frames.shape == (count, side or 64, side or 64, 3)
    assert (result.frames.dtype, result.fps) == (np.uint8, fps)
    assert result.frames.std() > 1
    assert steps[-2:] == [2, 2]
    assert ["sound" in one for one in result.warnings] == [True] * model.limits.name.startswith("LTX2")


@pytest.mark.parametrize("name", list(TEXT))
def test_a_text_to_video_pipeline_loads_from_disk_and_runs(load, picture: Path, name: str):
    model = load(name)
    side, count, fps = TEXT[name]
    _runs(model, side, count, fps)
    _refuses_what_it_would_round(model, side)
    if name not in IMAGE and "image" not in model._parameters:
        with pytest.raises(UsageError, match=f"{name} takes no image"):
            model.generate(Request("x", image=picture))


def _refuses_what_it_would_round(model: DiffusersModel, side: int) -> None:
    limits = model.limits
    assert limits.width.nearest(side) == side
    with pytest.raises(UsageError, match=f"the nearest is {side}x{side}$"):
        model.generate(Request("x", size=(side + 1, side + 1)))
    if limits.frames.step != 1:
        near = limits.nearest(limits.nearest(17) + 1)
        with pytest.raises(UsageError, match=f"the nearest is {near}$"):
            model.generate(Request("x", frames=limits.nearest(17) + 1))


@pytest.mark.parametrize("name", list(IMAGE))
def test_an_image_to_video_pipeline_runs_from_a_picture_and_not_without(load, picture: Path, name: str):
    model = load(name)
    if name not in TEXT:
        with pytest.raises(UsageError, match=f"{name} needs an image to start from"):
            model.generate(Request("x", frames=IMAGE[name][1]))
    _runs(model, *IMAGE[name], picture)
    if IMAGE[name][0] is None:
        with pytest.raises(UsageError, match="takes no size"):
            model.generate(Request("x", size=(64, 64), image=picture))
    for bad, message in ((picture.with_name("none.png"), "No such file"), (Path(__file__), "cannot identify")):
        with pytest.raises(UsageError, match=f"cannot be read: .*{message}"):
            model.generate(Request("x", image=bad))


def test_every_class_of_the_installed_release_is_accounted_for(tiny: ModuleType):
    """A new release's classes turn up here: give them a tiny pipeline, or a reason."""
    import inspect

    import diffusers

    found = set()
    for name in dir(diffusers):
        kind = getattr(diffusers, name) if name.endswith("Pipeline") else None
        if not inspect.isclass(kind) or ".dummy_" in kind.__module__:
            continue
        takes = inspect.signature(kind.__call__).parameters.keys()
        if "prompt" in takes and takes & {"num_frames", "video_length", "frames"}:
            found.add(name)
    assert found - set(TEXT) - set(IMAGE) - set(OPEN) == set()
    assert set(tiny.PARTS) == set(TEXT) | set(IMAGE)
    with pytest.raises(ModelUnavailable, match="not a text-to-video pipeline"):
        DiffusersModel(diffusers.CogVideoXVideoToVideoPipeline(None, None, None, None, diffusers.DDIMScheduler()), "v")
