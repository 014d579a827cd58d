"""Any text-to-video or image-to-video pipeline of diffusers as a :class:`~countermark.generate.models.VideoModel`.

Arguments are mapped by the signature of the pipeline's call, since classes name them differently (``num_frames``,
``video_length`` or ``frames``; ``frame_rate``, ``fps`` or none); what a pipeline does not take is an error, never
ignored, and what it would round is refused (:mod:`countermark.generate.limits`). Where the user asks for nothing, the
pipeline's own defaults stand.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from countermark.errors import ModelUnavailable, UsageError
from countermark.generate.exchange import Frames, frames_of, picture_of
from countermark.generate.limits import COUNTS, limits_of
from countermark.generate.models import Request, Result
from countermark.hub import best_device, first_line, quiet
from countermark.torchvision_shim import mend_torchvision

__all__ = ["DiffusersModel"]

FPS = {  # frames per second that families were trained at, where the call takes none (model cards, examples)
    "Allegro": 15.0,
    "AnimateDiff": 8.0,
    "CogVideoX": 8.0,
    "EasyAnimate": 8.0,
    "Helios": 24.0,
    "Hunyuan": 24.0,
    "Kandinsky": 24.0,
    "LTX": 24.0,
    "Latte": 8.0,
    "Mochi": 30.0,
    "MotifVideo": 24.0,
    "Sana": 16.0,
    "SkyReels": 24.0,
    "Wan": 16.0,
}
USUAL_FPS = 16.0
DEVICES = ("cuda", "mps", "cpu")
OFFLOADS = ("none", "model", "sequential")
PICTURES = ("image", "cond_image")
FROM_PICTURE = re.compile(
    "ImageToVideo|Image2Video|I2V|VideoToWorld"
)  # classes that fail without a picture, whatever they declare


class DiffusersModel:
    """A loaded pipeline. ``name`` is its folder or hub id, ``version`` its class, ``limits`` what it makes exactly."""

    counts_frames = True

    def __init__(self, pipe: Any, name: str) -> None:
        self.pipe = pipe
        self.name = str(name)
        self.version: str | None = type(pipe).__name__
        self._parameters = inspect.signature(pipe.__call__).parameters
        if "prompt" not in self._parameters or not self._parameters.keys() & set(COUNTS):
            raise ModelUnavailable(f"{name}: {self.version} is not a text-to-video pipeline")
        self.limits = limits_of(pipe)
        if type(getattr(pipe, "vae", None)).__name__ == "AutoencoderKLAllegro":
            pipe.vae.enable_tiling()  # it decodes only in tiles, and fails without

    @classmethod
    def load(
        cls, name: str, *, device: str | None = None, dtype: str | None = None, offload: str | None = None
    ) -> DiffusersModel:
        """Loads a pipeline from a folder or the hub.

        ``device``: cuda, mps or cpu (the first that is there); ``dtype``: bfloat16, float16 or float32 (bfloat16 on
        a GPU, float32 on a CPU). ``offload``: model keeps only the part of the pipeline that works on the GPU,
        sequential only the layer, none (the default) all of it. Raises ModelUnavailable, for a missing folder as for
        a hub that cannot be reached, and UsageError for a device that is not there.
        """
        try:
            import torch

            mend_torchvision()
            from diffusers import DiffusionPipeline
        except ImportError:
            raise ModelUnavailable("models other than embedded need: pip install 'countermark[diffusers]'") from None
        device = _device(device)
        kind = dtype or ("float32" if device == "cpu" else "bfloat16")
        if kind not in ("float32", "float16", "bfloat16"):
            raise UsageError(f"dtype must be float32, float16 or bfloat16, not {kind!r}")
        if offload is not None and offload not in OFFLOADS:
            raise UsageError(f"offload must be one of {', '.join(OFFLOADS)}, not {offload!r}")
        if offload not in (None, "none") and device == "cpu":
            raise UsageError(f"offload {offload} needs a GPU, and this runs on the CPU")
        try:
            with quiet("diffusers", "transformers"):
                pipe = DiffusionPipeline.from_pretrained(name, dtype=getattr(torch, kind))
                if offload == "model":
                    pipe.enable_model_cpu_offload(device=device)
                elif offload == "sequential":
                    pipe.enable_sequential_cpu_offload(device=device)
                else:
                    pipe = pipe.to(device)
        except Exception as error:
            raise ModelUnavailable(f"the model {name!r} cannot be loaded: {first_line(error)}") from None
        return cls(pipe, name)

    def generate(self, request: Request) -> Result:
        """Runs the pipeline.

        Raises UsageError for an option that it does not take, or a value that it would refuse or round: the message
        names the nearest one. A length in seconds becomes the nearest number of frames; the result says so.
        """
        import torch

        fps = self.usual_fps if request.fps is None else request.fps
        count, warnings = self._count(request, fps)
        given: dict[str, Any] = {
            "prompt": request.prompt if request.style is None else f"{request.prompt}, {request.style}",
            "generator": torch.Generator("cpu").manual_seed(request.seed),
        }
        self._give(given, "negative", self._negative(request), "negative_prompt")
        if self.limits.name.startswith("EasyAnimate"):
            given.setdefault("negative_prompt", "")  # it trips over its own default of None
        self._give(given, "steps", request.steps, "num_inference_steps")
        if request.size is not None:
            self._give(given, "size", request.size[0], "width")
            self._give(given, "size", request.size[1], "height")
            if self._takes("use_resolution_binning"):  # Sana would make the nearest of its own sizes, and resize
                given["use_resolution_binning"] = False
        self._give(given, "frames", None if count is None else count + self.limits.cut, *COUNTS)
        if self._takes("frame_rate", "fps"):
            self._give(given, "fps", request.fps, "frame_rate", "fps")
        self._give(given, "image", picture_of(request.image), *PICTURES)
        if "output_type" in self._parameters:
            given["output_type"] = "np"
        self._check_whole(given)
        self.limits.check(given)
        with self._guided(request.guidance, given), self._watched(request, given):
            output = self._run(given)
        frames = frames_of(output)[0]
        return Result(frames, fps, (*warnings, *self._surprises(given, output, frames)))

    def _check_whole(self, given: Mapping[str, Any]) -> None:
        """Raises UsageError where a call of the pipeline with these arguments would miss one."""
        picture = self._parameters.get("image")
        starts = picture is not None and (picture.default is picture.empty or FROM_PICTURE.search(self.limits.name))
        if starts and "image" not in given:
            raise UsageError(f"{self.version} needs an image to start from")
        for name, parameter in self._parameters.items():
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if named and parameter.default is parameter.empty and name not in given:
                raise UsageError(f"{self.version} needs {name}, which no option gives")

    @property
    def usual_fps(self) -> float:
        """Frames per second of the pipeline: its call's default, else what its family was trained at."""
        for name in ("frame_rate", "fps"):
            default = self._parameters[name].default if name in self._parameters else None
            if isinstance(default, int | float):
                return float(default)
        return next((fps for family, fps in FPS.items() if self.limits.name.startswith(family)), USUAL_FPS)

    def _takes(self, *names: str) -> str | None:
        """The first of these arguments that the pipeline takes."""
        return next((name for name in names if name in self._parameters), None)

    def _give(self, given: dict[str, Any], option: str, value: Any, *names: str) -> None:
        """Sets the first of the names that the pipeline takes; an error when it takes none."""
        if value is None:
            return
        name = self._takes(*names)
        if name is None:
            raise UsageError(f"{self.version} takes no {option}")
        given[name] = value

    def _count(self, request: Request, fps: float) -> tuple[int | None, tuple[str, ...]]:
        """How many frames to ask for, and what the user should know about that."""
        if request.seconds is None:
            return request.frames, ()
        asked = request.seconds * fps
        count = self.limits.nearest(asked)
        if abs(count - asked) < 1:
            return count, ()
        return count, (f"{self.version} makes {count} frames, which at {fps:g} a second last {count / fps:.3g} s",)

    def _negative(self, request: Request) -> str | None:
        """The negative prompt; an error where the pipeline would ignore it."""
        if request.negative is None or not self._takes("negative_prompt"):
            return request.negative
        scale = self._takes("true_cfg_scale", "guidance_scale")
        weight = self._parameters[scale].default if scale else None
        if scale == "guidance_scale" and request.guidance is not None:
            weight = request.guidance
        if isinstance(weight, int | float) and weight <= 1:
            hint = "; give a guidance above 1" if scale == "guidance_scale" else ""
            raise UsageError(f"{self.version} pays no heed to a negative prompt at its {scale} of {weight:g}{hint}")
        return request.negative

    @contextlib.contextmanager
    def _guided(self, guidance: float | None, given: dict[str, Any]) -> Iterator[None]:
        """Sets the guidance scale of a call, or of the guider where the pipeline has one of these instead."""
        guider: Any = getattr(self.pipe, "guider", None)
        if guidance is None or self._takes("guidance_scale") or not hasattr(guider, "guidance_scale"):
            self._give(given, "guidance", guidance, "guidance_scale")
            yield
            return
        usual, guider.guidance_scale = guider.guidance_scale, guidance
        try:
            yield
        finally:
            guider.guidance_scale = usual

    @contextlib.contextmanager
    def _watched(self, request: Request, given: dict[str, Any]) -> Iterator[None]:
        """Has each step of a call told, by the pipeline's callback or, where it has none, by its progress bar."""
        if self._takes("callback_on_step_end"):
            given["callback_on_step_end"] = _callback(request)
            yield
            return

        def bar(iterable: Any = None, total: int | None = None) -> Any:
            return _Steps(request, total)

        self.pipe.progress_bar = bar
        try:
            yield
        finally:
            del self.pipe.progress_bar

    def _run(self, given: dict[str, Any]) -> Any:
        try:
            with quiet("diffusers", "transformers"):
                if hasattr(self.pipe, "set_progress_bar_config"):
                    self.pipe.set_progress_bar_config(disable=True)
                return self.pipe(**given)
        except ValueError as error:
            raise UsageError(f"{self.version} refuses: {first_line(error)}") from None
        except Exception as error:  # out of memory, shapes that do not fit, parts that are missing
            raise ModelUnavailable(f"{self.version} failed: {first_line(error)}") from None

    def _surprises(self, given: dict[str, Any], output: Any, frames: Frames) -> Iterator[str]:
        """Where the outcome is not what was asked for, or not all that was made."""
        name = self._takes(*COUNTS)
        count = given[name] - self.limits.cut if name in given else len(frames)
        if len(frames) != count:
            yield f"{self.version} made {len(frames)} frames, not the {count} asked for"
        sides = (given.get("width", frames.shape[2]), given.get("height", frames.shape[1]))
        if sides != (frames.shape[2], frames.shape[1]):
            yield f"{self.version} made {frames.shape[2]}x{frames.shape[1]}, not the {sides[0]}x{sides[1]} asked for"
        if getattr(output, "audio", None) is not None:
            yield f"{self.version} made sound, too, which is left out"


@dataclass
class _Steps:
    """A progress bar that shows nothing and tells a request of each step."""

    request: Request
    total: int | None

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, count: int = 1) -> None:
        """A step was taken."""
        self.request.on_step(self.total or count)


def _callback(request: Request) -> Callable[..., dict[str, Any]]:
    def callback(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        request.on_step(int(getattr(pipe, "num_timesteps", 0) or getattr(pipe, "_num_timesteps", 0) or step + 1))
        return values

    return callback


def _device(name: str | None) -> str:
    """A device that is there, the best when none is named. Raises UsageError for another."""
    import torch

    device = name or best_device()
    kind, _, number = device.partition(":")
    if kind not in DEVICES or (number and not number.isdecimal()):
        raise UsageError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}[kind]
    if int(number or 0) >= there:
        raise UsageError(f"the device {device} is not there; this machine has {best_device()}")
    return device
