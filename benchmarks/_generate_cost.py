"""What a clip of the embedded model costs, and its transformer beside one of diffusers of the same size and tokens."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from countermark.generate.transformer import Shape, VideoTransformer

__all__ = ["HEAD", "cost_rows", "transformer_rows"]

HEAD = ("step", "seconds", "peak, MB")
MEGABYTE = 1024.0**2 if sys.platform == "darwin" else 1024.0  # as ru_maxrss counts: in bytes there, else kilobytes


def cost_rows(repeats: int, *options: str) -> list[list[str]]:
    """The command line from start to sealed file, in a process of its own: the median, and the greatest peak."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="countermark-bench-") as folder:
        environment = {**os.environ, "COUNTERMARK_HOME": f"{folder}/home"}
        for number in range(repeats + 1):  # the first one makes keys
            command = [sys.executable, "-c", "from countermark.cli import main; main()", "generate"]
            command += ["a red ball to the left of a blue box", "-o", str(Path(folder) / f"{number}.mp4"), *options]
            start = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            taken.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEGABYTE
    name = " ".join(["countermark generate", *options])
    return [[f"{name}: loading, making, marking, signing", f"{np.median(taken[1:]):.1f}", f"{peak:.0f}"]]


def transformer_rows(repeats: int) -> list[list[str]]:
    """One call of our transformer and of diffusers' Wan with as many weights and tokens; none without diffusers."""
    ours = VideoTransformer(Shape()).eval()
    shape, size = ours.shape, sum(p.numel() for p in ours.parameters())
    noisy, slots = (
        torch.randn(2, shape.frames, shape.size, shape.size, 3),
        torch.randn(2, shape.slots, shape.slot_width),
    )
    seconds = _median(lambda: ours(noisy, torch.full((2,), 0.5), slots), repeats)
    rows = [["ours", f"{size / 1e6:.1f}", f"{np.prod(shape.grid) + shape.slots}", f"{1000 * seconds:.0f}", "1.00"]]
    try:
        from countermark.torchvision_shim import mend_torchvision

        mend_torchvision()
        from diffusers import WanTransformer3DModel
    except ImportError:
        return rows
    wan: Any = None
    for layers in range(1, 16):  # as many layers as come nearest to our size
        made = WanTransformer3DModel(
            patch_size=(1, 1, 1), num_attention_heads=shape.heads, attention_head_dim=shape.width // shape.heads,
            in_channels=shape.patch_values, out_channels=shape.patch_values, text_dim=shape.slot_width, freq_dim=256,
            ffn_dim=8 * shape.width // 3, num_layers=layers,
        ).eval()  # fmt: skip
        if wan is None or abs(_size(made) - size) < abs(_size(wan) - size):
            wan = made
    latents = torch.randn(2, shape.patch_values, *shape.grid)
    other = _median(lambda: wan(latents, torch.full((2,), 500.0), slots), repeats)
    tokens = f"{np.prod(shape.grid)} and {shape.slots}"
    return [
        *rows,
        ["diffusers' Wan", f"{_size(wan) / 1e6:.1f}", tokens, f"{1000 * other:.0f}", f"{other / seconds:.2f}"],
    ]


def _size(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def _median(call: Callable[[], object], repeats: int) -> float:
    taken = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:]))
