"""Any text-to-video pipeline of diffusers as a :class:`~countermark.generate.models.VideoModel`.

Arguments are mapped by the signature of the pipeline's call, since classes name them differently (``num_frames`` or
``video_length``, ``frame_rate``, ``fps`` or none); what a pipeline does not take is an error, never ignored. Where the
user asks for nothing, the pipeline's own defaults stand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import ModelUnavailable, UsageError
from countermark.generate.models import Request, Result
from countermark.hub import best_device, first_line, quiet
from countermark.torchvision_shim import mend_torchvision

__all__ = ["DiffusersModel", "frames_of"]

FPS = {  # frames per second that families were trained at, where the call takes none (model cards)
    "Wan": 16.0,
    "CogVideoX": 8.0,
    "HunyuanVideo": 24.0,
    "LTX": 24.0,
    "Mochi": 30.0,
    "Allegro": 15.0,
    "Latte": 8.0,
    "Sana": 16.0,
    "AnimateDiff": 8.0,
}
USUAL_FPS = 16.0
TIME_RATIOS = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
DEVICES = ("cuda", "mps", "cpu")


class DiffusersModel:
    """A loaded pipeline. ``name`` is its folder or hub id, ``version`` its class."""

    def __init__(self, pipe: Any, name: str) -> None:
        self.pipe = pipe
        self.name = str(name)
        self.version: str | None = type(pipe).__name__
        self._takes = set(inspect.signature(pipe.__call__).parameters)
        if "prompt" not in self._takes or not self._takes & {"num_frames", "video_length"}:
            raise ModelUnavailable(f"{name}: {self.version} is not a text-to-video pipeline")

    @classmethod
    def load(cls, name: str, *, device: str | None = None, dtype: str | None = None) -> DiffusersModel:
        """Loads a pipeline from a folder or the hub.

        ``device``: cuda, mps or cpu (the first that is there); ``dtype``: bfloat16, float16 or float32 (bfloat16 on
        a GPU, float32 on a CPU). Raises ModelUnavailable, for a missing folder as for a hub that cannot be reached.
        """
        try:
            import torch

            mend_torchvision()
            from diffusers import DiffusionPipeline
        except ImportError:
            raise ModelUnavailable("models other than embedded need: pip install 'countermark[diffusers]'") from None
        device = device or best_device()
        if device.split(":")[0] not in DEVICES:
            raise UsageError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
        kind = dtype or ("float32" if device == "cpu" else "bfloat16")
        if kind not in ("float32", "float16", "bfloat16"):
            raise UsageError(f"dtype must be float32, float16 or bfloat16, not {kind!r}")
        try:
            with quiet("diffusers", "transformers"):
                pipe = DiffusionPipeline.from_pretrained(name, dtype=getattr(torch, kind)).to(device)
        except Exception as error:
            raise ModelUnavailable(f"the model {name!r} cannot be loaded: {first_line(error)}") from None
        return cls(pipe, name)

    def generate(self, request: Request) -> Result:
        """Runs the pipeline; raises UsageError for an option that it does not take, or a value that it refuses."""
        import torch

        fps = self._fps(request)
        arguments: dict[str, Any] = {
            "prompt": request.prompt if request.style is None else f"{request.prompt}, {request.style}",
            "generator": torch.Generator("cpu").manual_seed(request.seed),
        }
        self._give(arguments, "negative", request.negative, "negative_prompt")
        self._give(arguments, "steps", request.steps, "num_inference_steps")
        self._give(arguments, "guidance", request.guidance, "guidance_scale")
        if request.size is not None:
            self._give(arguments, "size", request.size[0], "width")
            self._give(arguments, "size", request.size[1], "height")
        if request.seconds is not None:
            self._give(arguments, "seconds", self._count(request.seconds * fps), "num_frames", "video_length")
        if request.fps is not None and self._takes & {"frame_rate", "fps"}:
            self._give(arguments, "fps", request.fps, "frame_rate", "fps")
        if request.image is not None:
            self._give(arguments, "image", _picture(request), "image")
        if "callback_on_step_end" in self._takes:
            arguments["callback_on_step_end"] = self._step(request)
        if "output_type" in self._takes:
            arguments["output_type"] = "np"
        try:
            with quiet("diffusers", "transformers"):
                if hasattr(self.pipe, "set_progress_bar_config"):
                    self.pipe.set_progress_bar_config(disable=True)
                output = self.pipe(**arguments)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{self.version} refuses: {first_line(error)}") from None
        except RuntimeError as error:  # out of memory, shapes that do not fit
            raise ModelUnavailable(f"{self.version} failed: {first_line(error)}") from None
        return Result(frames_of(output)[0], fps)

    def _give(self, arguments: dict[str, Any], option: str, value: Any, *names: str) -> None:
        """Sets the first of the names that the pipeline takes; an error when it takes none."""
        if value is None:
            return
        for name in names:
            if name in self._takes:
                arguments[name] = value
                return
        raise UsageError(f"{self.version} takes no {option}")

    def _fps(self, request: Request) -> float:
        return self.usual_fps if request.fps is None else request.fps

    @property
    def usual_fps(self) -> float:
        """Frames per second of the pipeline: its call's default, else what its family was trained at."""
        parameters = inspect.signature(self.pipe.__call__).parameters
        for name in ("frame_rate", "fps"):
            default = parameters[name].default if name in parameters else None
            if isinstance(default, int | float):
                return float(default)
        return next((fps for family, fps in FPS.items() if (self.version or "").startswith(family)), USUAL_FPS)

    def _count(self, frames: float) -> int:
        """A number of frames that the pipeline's time compression divides: k n + 1."""
        ratio = next((int(getattr(self.pipe, name)) for name in TIME_RATIOS if hasattr(self.pipe, name)), 1)
        return max(1, round((frames - 1) / ratio) * ratio + 1)

    def _step(self, request: Request) -> Callable[..., dict[str, Any]]:
        def callback(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            request.on_step(int(getattr(pipe, "num_timesteps", 0) or getattr(pipe, "_num_timesteps", 0) or step + 1))
            return values

        return callback


def frames_of(output: Any) -> list[npt.NDArray[np.uint8]]:
    """The clips of a pipeline's output: each uint8, T x H x W x 3, RGB.

    Takes what diffusers gives back: arrays or tensors in 0..1 (B x T x H x W x C or B x T x C x H x W), or PIL images.
    """
    videos = output[0] if isinstance(output, tuple) else getattr(output, "frames", None)
    if videos is None:
        videos = getattr(output, "videos", None)
    if videos is None:
        raise UsageError("the pipeline's output holds no frames")
    clips = []
    for video in videos:
        array = video.float().cpu().numpy() if hasattr(video, "cpu") else np.stack([np.asarray(f) for f in video])
        if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
            array = array.transpose(0, 2, 3, 1)
        if array.ndim != 4 or array.shape[-1] != 3:
            raise UsageError(f"the pipeline's frames have the unexpected shape {array.shape}")
        if array.dtype != np.uint8:
            array = np.nan_to_num(np.clip(array, 0.0, 1.0) * 255.0).round().astype(np.uint8)
        clips.append(np.ascontiguousarray(array))
    return clips


def _picture(request: Request) -> Any:
    from PIL import Image

    try:
        with Image.open(request.image) as image:  # type: ignore[arg-type]  # callers check for None
            return image.convert("RGB")
    except OSError as error:
        raise UsageError(f"the image {request.image} cannot be read: {error}") from None
