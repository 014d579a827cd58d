"""The embedded model: text encoder, transformer, sampler and decoder, with their weights."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from countermark.errors import BadMedia, UsageError
from countermark.generate.models import Request, Result
from countermark.generate.noise_mark import marked_noise
from countermark.generate.sampler import GUIDANCE, STEPS, invert, sample
from countermark.generate.settle import settled
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import FPS, FRAMES, KINDS, PAINTED
from countermark.media import open_source
from countermark.weights import pinned

__all__ = ["EmbeddedModel", "networks"]

WEIGHTS = Path(__file__).parent / "weights" / "embedded.safetensors"
SHA256 = "70994c3f2e094fcf39f50f61e8556f5f97a920498796247314d43c8ca26fd3d6"
STEP = FRAMES // 2  # frames that a stretch adds to the ones before; as many are what it goes on from
LONGEST = 12.0  # seconds; beyond, a stretch would show less of its scene than any in training
NEXT_SEED = 1_000_003  # from the noise of a stretch to that of the next
CORRECTIONS = 3  # of the small clip that the decoder may have enlarged to given frames; more bring little
KNOWS = (
    f"it knows one to three of {', '.join(KINDS)} in {', '.join(PAINTED)}, that stand, bounce, circle, spin or move "
    "left, right, up or down, beside, above or behind each other, a cookie that is bitten, a balloon that pops, a lamp "
    "that goes out, a ball that knocks over a box, by day, at night, in a studio, on a meadow or a street, animated or "
    "photorealistic"
)


@cache
def networks() -> tuple[TextEncoder, VideoTransformer, Upscaler, Vocabulary]:
    """The three networks with their weights, in float32. Raises WeightsMissing unless the file is the expected one."""
    from safetensors import safe_open

    pinned(WEIGHTS, SHA256, "the embedded model")
    parts: dict[str, dict[str, torch.Tensor]] = {"text": {}, "video": {}, "upscale": {}}
    with safe_open(WEIGHTS, "pt") as file:
        words = json.loads(file.metadata()["about"])["words"]
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

    A clip has 32 frames (4 seconds at 8 a second) of 256 x 256 pixels. Longer ones are made in stretches, each going on
    from the last frames of the one before; shorter ones show the same scene faster.
    """

    name = "countermark-embedded"
    version: str | None = "2"
    marks_noise = True
    counts_frames = True

    def generate(self, request: Request) -> Result:
        """Makes a clip; sizes are squares. Raises UsageError for what is beyond it, BadMedia for what is no picture."""
        fps = request.fps or FPS
        seconds = request.frames / fps if request.frames is not None else request.seconds or FRAMES / FPS
        if seconds > LONGEST:
            raise UsageError(f"the embedded model makes at most {LONGEST:g} seconds")
        side = Shape().size * SCALE
        width, height = request.size or (side, side)
        if width != height:
            raise UsageError(f"the embedded model makes squares, such as {side}x{side}")
        stretches = max(0, math.ceil((seconds * FPS - FRAMES) / STEP))
        if stretches and request.noise_key is not None:
            raise UsageError(f"a noise mark takes a clip of {FRAMES / FPS:g} seconds")
        frames, warnings = self._frames(request, stretches)
        count = request.frames or max(1, round(seconds * fps))
        at = np.round(np.linspace(0, len(frames) - 1, count)).astype(int)
        return Result(_resize(frames[at], width), fps, warnings)

    def recover_noise(self, frames: npt.NDArray[np.uint8], prompt: str | None = None) -> npt.NDArray[np.float32]:
        """The noise (32 x 16 x 16 x 3) that one of its clips came from, for :func:`.noise_mark.read_noise`.

        ``frames``: uint8, 32 x S x S x 3, RGB, the clip's own frames in their order, whole, at any size; a cut, a
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
            times = torch.linspace(0, 1, shape.frames)[None]
            for _ in range(CORRECTIONS):  # back-projection (Irani and Peleg 1991)
                shown = upscaler(small, slots, times).clamp(-1, 1)
                small = (small + seen - _shrunk(shown)).clamp(-1, 1)
            return invert(video, small, slots if prompt else None, steps=STEPS)[0].numpy()

    def _frames(self, request: Request, stretches: int) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
        """A clip and what its user should know; ``stretches``: how many more follow on the first."""
        text, video, upscaler, vocabulary = networks()
        prompt = request.prompt if request.style is None else f"{request.prompt}, {request.style}"
        tokens = vocabulary.encode(prompt)
        warnings = []
        if tokens.unknown or not tokens.ids:
            words = ", ".join(tokens.unknown) or "any word"
            warnings.append(f"the embedded model does not understand: {words}; {KNOWS}")
        warnings += [f"the embedded model read {word!r} as {known!r}" for word, known in tokens.read_as]
        steps, total = request.steps or STEPS, FRAMES + STEP * stretches
        known = None if request.image is None else _first_frame(request.image)
        with torch.inference_mode():
            slots = text(vocabulary.batch([prompt]))
            if known is None:
                slots = settled(slots, request.seed)
            against = text(vocabulary.batch([request.negative])) if request.negative else None
            small = torch.zeros(1, 0, Shape().size, Shape().size, 3)
            for number in range(stretches + 1):
                first = STEP * number
                made = sample(
                    video,
                    slots,
                    steps=steps,
                    guidance=GUIDANCE if request.guidance is None else request.guidance,
                    seeds=[request.seed + number * NEXT_SEED],
                    against=against,
                    noise=_marked(request),
                    known=known,
                    span=(first / (total - 1), (first + FRAMES - 1) / (total - 1)),
                    on_step=lambda: request.on_step(steps * (stretches + 1)),
                )
                small = torch.cat([small[:, :first], made], 1)
                known = made[:, STEP:]
            large = upscaler(small, slots, torch.linspace(0, 1, total)[None])[0]
        pixels = ((large.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
        return pixels, tuple(warnings)


def _first_frame(path: Path) -> torch.Tensor:
    """A picture's middle square on the model's grid: 1 x 1 x 16 x 16 x 3, -1..1. Raises BadMedia for what is none."""
    import cv2

    rgb = next(iter(open_source(path).frames())).rgb
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    small = cv2.resize(square, (Shape().size, Shape().size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small.astype(np.float32) / 127.5 - 1)[None, None]


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
