"""What the stages of the generator's training keep in their folder: the text encoder for the others, and logs."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import torch

from countermark.generate.text import TextEncoder, Vocabulary

__all__ = ["Log", "load_text"]


def load_text(runs: Path) -> tuple[TextEncoder, Vocabulary]:
    """The trained text encoder, frozen, and its vocabulary."""
    saved = torch.load(runs / "text.pt", weights_only=True)
    vocabulary = Vocabulary(saved["words"])
    encoder = TextEncoder(len(vocabulary)).eval().requires_grad_(False)
    encoder.load_state_dict(saved["model"])
    return encoder, vocabulary


class Log:
    """Prints the mean loss now and then, and keeps it as CSV: step, clips seen, losses, clips per second."""

    def __init__(self, path: Path, every: int = 50) -> None:
        self.path, self.every = path, every
        self.losses: list[tuple[float, ...]] = []
        self.last, self.before = time.monotonic(), 0

    def add(self, step: int, seen: int, *losses: float) -> None:
        """Takes a step's losses."""
        self.losses.append(losses)
        if step % self.every:
            return
        now = time.monotonic()
        pace = (seen - self.before) / (now - self.last) if self.before else 0.0
        means = [f"{mean:.5f}" for mean in np.mean(self.losses, 0)]
        row = (step, seen, *means, f"{pace:.1f}")
        print(f"step {step} seen {seen} loss {' '.join(means)} clips/s {pace:.1f}", flush=True)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
        self.losses, self.last, self.before = [], now, seen
