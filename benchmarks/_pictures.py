"""Pictures of the embedded model for the docs: clips side by side, from static to video, how its loss fell."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from countermark.generate import Request
from countermark.generate.embedded import EmbeddedModel, networks
from countermark.generate.sampler import levels
from countermark.generate.world import FPS

__all__ = ["PROMPTS", "draw_pictures"]

Frames = npt.NDArray[np.uint8]
PROMPTS = (
    "a red ball bounces to the left of a blue box, photorealistic, studio",
    "a cookie is bitten, animated",
    "a green cat walks to the right on a meadow, animated",
    "a yellow ball rolls right and knocks over a purple box, photorealistic, by day",
    "an orange star above a blue box, animated, at night",
    "a lamp goes out, photorealistic, studio",
    "ein roter Luftballon platzt, animiert, am Tag",
    "a purple robot walks to the left on a street, photorealistic",
)
SIDE, MARGIN, LINE, FONT = 192, 4, 14, 12
AT = (0, 2, 4, 6, 8, 10, 12)  # of 12 steps, where the way from static is shown


def draw_pictures(folder: Path, log: Path | None, prompts: tuple[str, ...], steps: int | None) -> None:
    """Writes ``embedded.webp``, ``denoising.jpg`` and, of a training's ``log``, ``training.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    _clips(folder / "embedded.webp", prompts, steps)
    _denoising(folder / "denoising.jpg", prompts[0])
    if log is not None:
        _curve(log, folder / "training.svg")


def _clips(path: Path, prompts: tuple[str, ...], steps: int | None, columns: int = 4) -> None:
    """An animated WebP of the clips of ``prompts``, seed 1, each with its words below."""
    from PIL import Image

    model = EmbeddedModel()
    clips = [model.generate(Request(prompt, seed=1, steps=steps)).frames for prompt in prompts]
    rows = -(-len(clips) // columns)
    cell = (SIDE + MARGIN, SIDE + MARGIN + 2 * LINE + 4)
    ground = Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), "white")
    for i, prompt in enumerate(prompts):
        _words(ground, prompt, (MARGIN + i % columns * cell[0], MARGIN + i // columns * cell[1] + SIDE + 2))
    frames = []
    for at in range(len(clips[0])):
        frame = ground.copy()
        for i, clip in enumerate(clips):
            small = Image.fromarray(clip[at]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            frame.paste(small, (MARGIN + i % columns * cell[0], MARGIN + i // columns * cell[1]))
        frames.append(frame)
    each = round(1000 / FPS)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=each, loop=0, quality=60, method=6)


def _denoising(path: Path, prompt: str, columns: int = 6) -> None:
    """A JPEG: rows are steps of the sampler from static to clip, columns frames; the last row is decoded."""
    import cv2
    from PIL import Image

    seen: list[npt.NDArray[np.float32]] = []

    def watch(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append(args[0][0].float().numpy())

    hook = networks()[1].register_forward_pre_hook(watch)
    try:
        made = EmbeddedModel().generate(Request(prompt, seed=1, steps=AT[-1])).frames
    finally:
        hook.remove()
    side, left = 112, 60
    rows = [seen[at] * 127.5 + 127.5 for at in AT[:-1]] + [made]
    sheet = Image.new("RGB", (left + columns * (side + MARGIN), len(rows) * (side + MARGIN)), "white")
    for row, (at, clip) in enumerate(zip(AT, rows, strict=True)):
        _words(sheet, f"step {at}\nnoise {levels(AT[-1])[at]:.2f}", (2, row * (side + MARGIN) + side // 2 - LINE))
        for column, number in enumerate(np.linspace(0, len(clip) - 1, columns).round().astype(int)):
            pixels = np.clip(clip[number], 0, 255).astype(np.uint8)
            how = cv2.INTER_AREA if len(pixels) > side else cv2.INTER_NEAREST
            cell = cv2.resize(pixels, (side, side), interpolation=how)
            sheet.paste(Image.fromarray(cell), (left + column * (side + MARGIN), row * (side + MARGIN)))
    sheet.save(path, quality=82)


def _curve(log: Path, path: Path) -> None:
    """An SVG of the losses in a log of ``countermark train generator --stage video``, both axes logarithmic."""
    with log.open(newline="") as file:
        rows = np.array([[float(value) for value in row] for row in csv.reader(file)])
    width, height, left, low = 640, 300, 52, 34
    x, losses = np.log10(rows[:, 1]), np.log10(rows[:, 2:4])
    ends_x, ends_y = (np.floor(x.min() * 2) / 2, x.max()), (losses.min() - 0.05, losses.max() + 0.05)

    def place(a: float, b: float) -> str:
        across = left + (a - ends_x[0]) / (ends_x[1] - ends_x[0]) * (width - left - 12)
        down = 12 + (ends_y[1] - b) / (ends_y[1] - ends_y[0]) * (height - low - 12)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height}" fill="white"/>'
    ]
    for value in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        if ends_y[0] <= np.log10(value) <= ends_y[1]:
            y = place(0, np.log10(value)).split(",")[1]
            parts.append(
                f'<path d="M{left},{y}H{width - 12}" stroke="#ddd"/><text x="8" y="{y}" dy="4">{value:g}</text>'
            )
    for clips in (3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000):
        if ends_x[0] <= np.log10(clips) <= ends_x[1]:
            at = place(np.log10(clips), 0).split(",")[0]
            parts.append(f'<path d="M{at},12V{height - low}" stroke="#ddd"/>')
            parts.append(f'<text x="{at}" y="{height - low + 16}" text-anchor="middle">{clips:,}</text>')
    for column, (name, colour) in enumerate((("loss of the clip", "#1f5fa8"), ("loss of the places", "#b3541e"))):
        points = " ".join(place(a, b) for a, b in zip(x, losses[:, column], strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<text x="{width - 150}" y="{28 + 18 * column}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{(width + left) / 2}" y="{height - 4}" text-anchor="middle">clips seen</text></svg>\n')
    path.write_text("\n".join(parts))


def _words(picture: Any, text: str, at: tuple[int, int]) -> None:
    """Writes words, broken where they would be wider than a clip."""
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT)
    lines = [""]
    for word in text.replace("\n", " \n ").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if word == "\n" or draw.textlength(longer, font=font) > SIDE:
            lines.append("")
            longer = word.strip()
        lines[-1] = longer
    draw.multiline_text(at, "\n".join(lines), fill="black", font=font, spacing=2)
