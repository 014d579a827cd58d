"""What the stages of the generator's training keep in their folder: the text encoder, checkpoints and logs."""

from __future__ import annotations

import copy
import csv
import time
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from countermark.generate.text import TextEncoder, Vocabulary
from countermark.training._muon import Optimisers
from countermark.training._together import same

__all__ = ["Checkpoint", "Log", "load_text"]

Network = TypeVar("Network", bound=nn.Module)
KEEP = 300  # seconds between checkpoints


def load_text(runs: Path) -> tuple[TextEncoder, Vocabulary]:
    """The trained text encoder, frozen, and its vocabulary."""
    saved = torch.load(runs / "text.pt", weights_only=True)
    vocabulary = Vocabulary(saved["words"])
    encoder = TextEncoder(len(vocabulary)).eval().requires_grad_(False)
    encoder.load_state_dict(saved["model"])
    return encoder, vocabulary


class Checkpoint(Generic[Network]):
    """A network in training, its moving average, which is what is exported, and its optimisers, in a file.

    ``network``: what is averaged; ``whole``: all that is trained, heads that are left out of the export included;
    ``memory``: steps that the average looks back, at most.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        whole: nn.Module,
        optimisers: Optimisers,
        *,
        memory: int,
        device: str = "cpu",
    ) -> None:
        self.path, self.network, self.whole, self.optimisers, self.memory = path, network, whole, optimisers, memory
        self.step, self.seen, self.kept = 0, 0, time.monotonic()
        if path.exists():
            saved = torch.load(path, map_location=device, weights_only=True)
            network.load_state_dict(saved["average"])
        with torch.no_grad():
            for p in whole.parameters():
                same(p)
        self.average = copy.deepcopy(network).requires_grad_(False)
        if path.exists():
            self.step, self.seen = saved["step"], saved["seen"]
            if "whole" in saved:  # not of weights that shipped
                whole.load_state_dict(saved["whole"])
                for optimiser, state in zip(optimisers.all, saved["optimisers"], strict=True):
                    optimiser.load_state_dict(state)

    def add(self, seen: int) -> None:
        """Counts a step and what it has seen, and takes it into the average."""
        self.step, self.seen = self.step + 1, self.seen + seen
        keep = min(1 - 1 / self.memory, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)

    def due(self) -> bool:
        """Whether it is time to write the file again."""
        return time.monotonic() - self.kept > KEEP

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        self.kept = time.monotonic()
        state = {
            "average": self.average.state_dict(),
            "whole": self.whole.state_dict(),
            "step": self.step,
            "seen": self.seen,
        }
        state["optimisers"] = [optimiser.state_dict() for optimiser in self.optimisers.all]
        torch.save(state, self.path.with_suffix(".new"))
        self.path.with_suffix(".new").replace(self.path)


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
