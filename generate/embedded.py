"""The embedded model: text encoder, transformer, sampler and decoder, with their weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from countermark.errors import BadMedia, UsageError
from countermark.generate.models import Request, Result
from countermark.generate.noise_mark import marked_noise
from countermark.generate.sampler import invert, sample
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import COLOURS, FPS, FRAMES, KINDS
from countermark.weights import pinned

__all__ = ["EmbeddedModel", "networks"]

WEIGHTS = Path(__file__).parent / "weights" / "embedded.safetensors"
SHA256 = "34823d138676566fc747ff665d598606731b1de655c77778e12fdb78a3b96eb5"
STEPS, GUIDANCE = 24, 3.0
CORRECTIONS = 3  # of the small clip that the decoder may have enlarged to given frames; more bring little
KNOWS = (
    f"it knows one or two of {', '.join(KINDS)} in {', '.join(COLOURS)}, that stand, bounce or move left, right, up or "
    "down, to the left or right of each other, by day, at night or in a studio, animated or photorealistic"
)


@cache
def networks() -> tuple[TextEncoder, VideoTransformer, Upscaler, Vocabulary]:
    """The three networks with their weights, in float32. Raises WeightsMissing unless the file is the expected one."""
    from safetensors import safe_open

    pinned(WEIGHTS, SHA256, "the embedded model")
    parts: dict[str, dict[str, torch.Tensor]] = {"text": {}, "video": {}, "upscale": {}}
    with safe_open(WEIGHTS, "pt") as file:
        words = json.loads(file.metadata()["words"])
        for name in file.keys():  # noqa: SIM118 - the handle is not iterable
            part, rest = name.split(".", 1)
            parts[part][rest] = file.get_tensor(name).float()
    vocabulary = Vocabulary(words)
    text, video, upscaler = TextEncoder(len(vocabulary)), VideoTransformer(Shape()), Upscaler()
    for network, part in ((text, "text"), (video, "video"), (upscaler, "upscale")):
        network.load_state_dict(parts[part])
        network.eval().requires_grad_(False)
    return text, video, upscaler, vocabulary


class EmbeddedModel:
    """A small video diffusion transformer of a small world; see its card in ``generate/weights``.

    A clip has 24 frames (3 seconds at 8 a second) of 256 x 256 pixels.
    """

    name = "countermark-embedded"
    version: str | None = "1"
    marks_noise = True

    def generate(self, request: Request) -> Result:
        """Makes a clip. Sizes are squares; longer clips and pictures to start from are beyond this version."""
        longest = FRAMES / FPS
        if request.image is not None:
            raise UsageError("the embedded model cannot start from an image")
        if request.seconds is not None and request.seconds > longest:
            raise UsageError(f"the embedded model makes at most {longest:g} seconds")
        side = Shape().size * SCALE
        width, height = request.size or (side, side)
        if width != height:
            raise UsageError(f"the embedded model makes squares, such as {side}x{side}")
        frames, warnings = self._frames(request)
        fps = request.fps or FPS
        count = max(1, round((request.seconds or longest) * fps))
        at = np.minimum((np.arange(count) * FPS / fps).astype(int), FRAMES - 1)  # keeps the pace at any frame rate
        return Result(_resize(frames[at], width), fps, warnings)

    def recover_noise(self, frames: npt.NDArray[np.uint8], prompt: str | None = None) -> npt.NDArray[np.float32]:
        """The noise (24 x 32 x 32 x 3) that one of its clips came from, for :func:`.noise_mark.read_noise`.

        ``frames``: uint8, 24 x S x S x 3, RGB, the clip's own frames in their order, whole, at any size; a cut, a
        crop or another rate leaves nothing to read. ``prompt`` helps a little where it is known. Raises BadMedia for
        anything else.
        """
        shape = Shape()
        if frames.ndim != 4 or len(frames) != shape.frames or frames.shape[1] != frames.shape[2]:
            raise BadMedia(f"a noise mark is read from {shape.frames} square frames, not from {frames.shape}")
        text, video, upscaler, vocabulary = networks()
        seen = torch.from_numpy(_resize(frames, shape.size).astype(np.float32) / 127.5 - 1)[None]
        small = seen
        with torch.inference_mode():
            slots = text(vocabulary.batch([prompt or ""]))
            for _ in range(CORRECTIONS):  # back-projection (Irani and Peleg 1991)
                shown = upscaler(small, slots).clamp(-1, 1)
                small = (small + seen - _shrunk(shown)).clamp(-1, 1)
            return invert(video, small, slots if prompt else None, steps=STEPS)[0].numpy()

    def _frames(self, request: Request) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
        text, video, upscaler, vocabulary = networks()
        prompt = request.prompt if request.style is None else f"{request.prompt}, {request.style}"
        tokens = vocabulary.encode(prompt)
        warnings = []
        if tokens.unknown or not tokens.ids:
            words = ", ".join(tokens.unknown) or "any word"
            warnings.append(f"the embedded model does not understand: {words}; {KNOWS}")
        warnings += [f"the embedded model read {word!r} as {known!r}" for word, known in tokens.read_as]
        steps = request.steps or STEPS
        with torch.inference_mode():
            slots = text(vocabulary.batch([prompt]))
            against = text(vocabulary.batch([request.negative])) if request.negative else None
            small = sample(
                video,
                slots,
                steps=steps,
                guidance=GUIDANCE if request.guidance is None else request.guidance,
                seeds=[request.seed],
                against=against,
                noise=_marked(request),
                on_step=lambda: request.on_step(steps),
            )
            large = upscaler(small.clamp(-1, 1), slots)[0]
        pixels = ((large.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
        return pixels, tuple(warnings)


def _marked(request: Request) -> torch.Tensor | None:
    """The request's noise with its key's public id in it (1 x T x H x W x 3), or None where no mark is wanted."""
    if request.noise_key is None:
        return None
    size = (Shape().frames, Shape().size, Shape().size, 3)
    return torch.from_numpy(marked_noise(size, request.seed, request.noise_key, int(request.noise_key.id, 16)))[None]


def _shrunk(large: torch.Tensor) -> torch.Tensor:
    """The decoder's clips (B x T x 8H x 8W x 3) as means over what was a pixel before."""
    batch, count, high, wide, _ = large.shape
    return large.view(batch, count, high // SCALE, SCALE, wide // SCALE, SCALE, 3).mean((3, 5))


def _resize(frames: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    if frames.shape[1] == side:
        return frames
    import cv2

    method = cv2.INTER_LANCZOS4 if side > frames.shape[1] else cv2.INTER_AREA
    return np.stack([cv2.resize(frame, (side, side), interpolation=method) for frame in frames])
