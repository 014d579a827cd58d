"""The one path from a prompt to a file: moderation, then a model, then the seal.

Models return frames to these functions and know nothing of files; these functions hand the frames to
:func:`countermark.provenance.seal_clip` and give back what it says. There is no way around either.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from countermark.errors import PromptRefused, UsageError
from countermark.generate.adapter import DiffusersModel, frames_of
from countermark.generate.models import Request, VideoModel, load_model
from countermark.moderation import Decision, moderate
from countermark.provenance import Clip, Maker, Sealed, keys_of, seal_clip
from countermark.settings import Settings, load_settings

__all__ = ["generate", "protect"]


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
    device: str | None = None,
    dtype: str | None = None,
    noise_mark: bool = False,
    settings: Settings | None = None,
    progress: bool = False,
) -> Sealed:
    """Generates a video, marks and signs it, and writes it to ``output`` (an mp4; named after the prompt if None).

    ``seconds`` and ``fps`` (frames per second), ``size`` (width, height in pixels), ``steps``, ``guidance`` and
    ``negative`` as in diffusers; ``seed`` is drawn when None, and reported. ``noise_mark``: mark the initial noise
    too, under the watermark key (:mod:`countermark.generate.noise_mark`). Raises PromptRefused before anything is
    generated; UsageError, ModelUnavailable, SealFailed and the others of :mod:`countermark.errors`.
    """
    settings = settings or load_settings()
    _allow(prompt, settings)
    seed = secrets.randbits(31) if seed is None else seed
    if not 0 <= seed < 1 << 63:
        raise UsageError("seed must be between 0 and 2^63 - 1")
    out = Path(output) if output is not None else _free_name(prompt, seed)
    if out.suffix.lower() not in (".mp4", ".m4v") or not out.parent.is_dir():
        raise UsageError(f"the output must be an mp4 in an existing folder, not {out}")
    maker = load_model(model, device=device, dtype=dtype) if isinstance(model, str) else model
    if noise_mark and not getattr(maker, "marks_noise", False):
        raise UsageError(f"{maker.name} cannot mark its noise; the embedded model can")
    with _bar(progress) as tick:
        request = Request(
            prompt,
            seconds,
            size,
            fps,
            steps,
            guidance,
            seed,
            style,
            negative,
            Path(image) if image is not None else None,
            tick,
            keys_of(settings, create=True)[0] if noise_mark else None,
        )
        result = maker.generate(request)
    return seal_clip(
        Clip.of_array(result.frames, result.fps),
        out,
        Maker(maker.name, maker.version),
        settings=settings,
        model=maker.name,
        seed=seed,
        warnings=result.warnings,
    )


def protect(pipe: Any, *, settings: Settings | None = None) -> Callable[..., list[Sealed]]:
    """Wraps a diffusers text-to-video pipeline: the same arguments, but what comes out is sealed files.

    The callable takes the pipeline's own arguments and ``output``, the mp4 to write (a number is added where a call
    makes several videos), and returns one Sealed a video. Frames never leave it, and every prompt is moderated.
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
        for text in texts:
            _allow(text, chosen)
        given = pipe(*args, **kwargs)
        rate = bound.get("frame_rate") or bound.get("fps")
        fps = float(rate) if rate else model.usual_fps
        first = Path(output) if output is not None else _free_name(texts[0], secrets.randbits(31))
        clips = frames_of(given)
        outs = [first] + [first.with_stem(f"{first.stem}-{i}") for i in range(2, len(clips) + 1)]
        return [
            seal_clip(
                Clip.of_array(clip, fps), out, Maker(model.name, model.version), settings=chosen, model=model.name
            )
            for clip, out in zip(clips, outs, strict=True)
        ]

    return protected


def _allow(prompt: str, settings: Settings) -> Decision:
    if not prompt.strip():
        raise UsageError("the prompt is empty")
    decision = moderate(prompt, policy=settings.policy)
    if not decision.allowed:
        raise PromptRefused(decision.explain(), decision)
    return decision


def _free_name(prompt: str, seed: int) -> Path:
    stem = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:48].rstrip("-") or "video"
    return Path(f"{stem}-{seed}.mp4")


@contextlib.contextmanager
def _bar(show: bool) -> Iterator[Callable[[int], object]]:
    """A progress bar over denoising steps, on a terminal only."""
    from tqdm import tqdm

    with tqdm(desc="denoising", unit="step", disable=None if show else True, leave=False) as bar:

        def tick(total: int) -> None:
            bar.total = total
            bar.update()

        yield tick
