"""The one path from a prompt to a file: moderation, then a model, moderation of its frames, then the seal.

Models return frames to these functions and know nothing of files; these functions hand the frames to
:func:`countermark.provenance.seal_clip` and give back what it says. There is no way around either.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import ModelUnavailable, PromptRefused, UnsafeOutput, UsageError
from countermark.generate.adapter import DiffusersModel
from countermark.generate.exchange import frames_of
from countermark.generate.models import Request, VideoModel, load_model
from countermark.moderation import Moderator, moderator_of
from countermark.moderation.frames import FrameModel, check_frames, load_frame_model
from countermark.provenance import Clip, Maker, Sealed, keys_of, seal_clip
from countermark.settings import Settings, load_settings

__all__ = ["Gate", "generate", "produce", "protect", "slug"]

UNCHECKED = (
    "the finished frames were not checked: pip install 'countermark[safety]', or set frames = \"off\" in [moderation]"
)


def generate(
    prompt: str,
    output: str | Path | None = None,
    *,
    model: str | VideoModel = "embedded",
    seconds: float | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    style: str | None = None,
    negative: str | None = None,
    image: str | Path | None = None,
    frames: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    offload: str | None = None,
    noise_mark: bool = False,
    settings: Settings | None = None,
    progress: bool = False,
) -> Sealed:
    """Generates a video, marks and signs it, and writes it to ``output`` (an mp4; named after the prompt if None).

    ``seconds`` and ``fps`` (frames per second), ``size`` (width, height in pixels), ``steps``, ``guidance`` and
    ``negative`` as in diffusers; ``seed`` is drawn when None, and reported. ``frames``: their exact number instead of
    ``seconds``, for a diffusers pipeline. ``device``, ``dtype``, ``offload``: where and how a diffusers pipeline runs
    (:meth:`.adapter.DiffusersModel.load`). ``noise_mark``: mark the initial noise too, under the watermark key
    (:mod:`countermark.generate.noise_mark`). Raises PromptRefused before anything is generated, and UnsafeOutput, with
    nothing written, when the finished frames are refused; UsageError, ModelUnavailable, SealFailed and the others of
    :mod:`countermark.errors`. An interrupt (KeyboardInterrupt) comes through once nothing is left behind.
    """
    gate = Gate(settings or load_settings(), "generate")
    gate.admit([prompt])
    seed = secrets.randbits(31) if seed is None else seed
    picture = Path(image) if image is not None else None
    request = Request(prompt, seconds, size, fps, steps, guidance, seed, style, negative, picture, frames=frames)
    out = Path(output) if output is not None else Path(f"{slug(prompt)}-{seed}.mp4")
    if out.suffix.lower() not in (".mp4", ".m4v") or not out.parent.is_dir():
        raise UsageError(f"the output must be an mp4 in an existing folder, not {out}")
    maker = load_model(model, device=device, dtype=dtype, offload=offload) if isinstance(model, str) else model
    return produce(request, out, maker, gate, noise_mark=noise_mark, progress=progress)


def produce(
    request: Request, out: Path, maker: VideoModel, gate: Gate, *, noise_mark: bool = False, progress: bool = False
) -> Sealed:
    """Generates, checks and seals the video of a request whose prompt ``gate`` has admitted; errors as ``generate``."""
    if noise_mark and not getattr(maker, "marks_noise", False):
        raise UsageError(f"{maker.name} cannot mark its noise; the embedded model can")
    if request.frames is not None and not getattr(maker, "counts_frames", False):
        raise UsageError(f"{maker.name} takes seconds, not frames")
    key = keys_of(gate.settings, create=True)[0] if noise_mark else None
    with _bar(progress) as tick:
        result = maker.generate(replace(request, on_step=tick, noise_key=key))
    notes = gate.check(request.prompt, result.frames, result.fps)
    return seal_clip(
        Clip.of_array(result.frames, result.fps),
        out,
        Maker(maker.name, maker.version),
        settings=gate.settings,
        model=maker.name,
        seed=request.seed,
        warnings=result.warnings + notes,
    )


def protect(pipe: Any, *, settings: Settings | None = None) -> Callable[..., list[Sealed]]:
    """Wraps a diffusers text-to-video pipeline: the same arguments, but what comes out is sealed files.

    The callable takes the pipeline's own arguments and ``output``, the mp4 to write (a number is added where a call
    makes several videos), and returns one Sealed a video. Frames never leave it, and every prompt is moderated, as
    are the frames of all videos before the first is written.
    """
    model = DiffusersModel(pipe, getattr(pipe, "name_or_path", None) or type(pipe).__name__)
    signature = inspect.signature(pipe.__call__)

    def protected(*args: Any, output: str | Path | None = None, **kwargs: Any) -> list[Sealed]:
        chosen = settings or load_settings()
        bound = signature.bind(*args, **kwargs).arguments
        prompts = [bound.get(name) for name in ("prompt", "prompt_2")]
        texts = [text for one in prompts if one for text in ([one] if isinstance(one, str) else list(one))]
        if not texts:
            raise UsageError("a protected pipeline needs its prompt as text, to moderate it")
        if bound.get("output_type") == "latent":
            raise UsageError("a protected pipeline gives sealed videos, never latents")
        gate = Gate(chosen, "protect")
        gate.admit(texts)
        model.limits.check(bound)
        given = pipe(*args, **kwargs)
        rate = bound.get("frame_rate") or bound.get("fps")
        fps = float(rate) if rate else model.usual_fps
        first = Path(output) if output is not None else Path(f"{slug(texts[0])}-{secrets.randbits(31)}.mp4")
        videos = frames_of(given)
        outs = [first] + [first.with_stem(f"{first.stem}-{i}") for i in range(2, len(videos) + 1)]
        clips = [Clip.of_array(frames, fps) for frames in videos]
        asked = "\n".join(texts)  # which video is which prompt's, only the pipeline knows
        notes = [gate.check(texts[i] if len(texts) == len(videos) else asked, f, fps) for i, f in enumerate(videos)]
        maker = Maker(model.name, model.version)
        return [
            seal_clip(clip, out, maker, settings=chosen, model=model.name, warnings=told)
            for clip, out, told in zip(clips, outs, notes, strict=True)
        ]

    return protected


class Gate:
    """Moderation before and after a model: of prompts, and of the finished frames. ``source`` names who asks."""

    def __init__(self, settings: Settings, source: str) -> None:
        self.settings = settings
        self._source = source

    @cached_property
    def _moderator(self) -> Moderator:
        return moderator_of(self.settings, self._source)

    @cached_property
    def frames(self) -> FrameModel | None:
        """What looks at finished frames; None where nothing does. Raises ModelUnavailable where something must."""
        model = load_frame_model() if self.settings.frames != "off" else None
        if model is None and self.settings.frames == "on":
            raise ModelUnavailable("the check of finished frames needs: pip install 'countermark[safety]'")
        return model

    def admit(self, prompts: list[str]) -> None:
        """Raises PromptRefused for prompts that do not pass, and ModelUnavailable for a check that cannot be made."""
        if not all(prompt.strip() for prompt in prompts):
            raise UsageError("the prompt is empty")
        for decision in self._moderator.check_all(prompts):
            if not decision.allowed:
                raise PromptRefused(decision.explain(), decision)
        _ = self.frames  # before anything is generated

    def check(self, prompt: str, frames: npt.NDArray[np.uint8], fps: float) -> tuple[str, ...]:
        """What the user should know about the frames of a video. Raises UnsafeOutput when they are refused."""
        if self.frames is None:
            return (UNCHECKED,) if self.settings.frames == "auto" else ()
        policy, audit = self._moderator.policy, self._moderator.audit
        decision = check_frames(frames, fps, policy, self.frames)
        if audit is not None:
            audit.add_frames(prompt, decision, policy.label, self.frames.name)
        if decision.action == "refuse":
            raise UnsafeOutput(f"the video was refused and not written: {decision.explain()}")
        return (f"for review: {decision.explain()}",) if decision.action == "review" else ()


def slug(prompt: str) -> str:
    """The beginning of a prompt, as a file may be called."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:48].rstrip("-") or "video"


@contextlib.contextmanager
def _bar(show: bool) -> Iterator[Callable[[int], object]]:
    """A progress bar over denoising steps, on a terminal only."""
    from tqdm import tqdm

    with tqdm(desc="denoising", unit="step", disable=None if show else True, leave=False) as bar:

        def tick(total: int) -> None:
            bar.total = total
            bar.update()

        yield tick
