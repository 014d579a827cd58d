"""Muon for matrices, AdamW for the rest, with the work shared among the processes of a training."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

__all__ = ["Muon", "Optimisers"]

TERMS = (3.4445, -4.7750, 2.0315)  # of the polynomial (Jordan et al. 2024)
STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal (Jordan et al. 2024, "Muon"), as large as AdamW's steps would be
    (Liu et al. 2025, "Muon is scalable for LLM training").

    torch's own works in bfloat16, half as quick as float32 on most CPUs, and every process would do all of it: it was
    a quarter of a training step.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float, *, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]  # nothing here wants a closure
        """One step; with a process group each process does its share of the matrices."""
        ranks = distributed.get_world_size() if distributed.is_initialized() else 1
        rank = distributed.get_rank() if ranks > 1 else 0
        for group in self.param_groups:
            matrices = group["params"]
            moves = []
            for i, matrix in enumerate(matrices):
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                mean = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                own = i % ranks == rank
                ahead = matrix.grad.lerp(mean, group["momentum"])
                moves.append(orthogonal(ahead) if own else torch.zeros_like(matrix))
            if ranks > 1:
                flat = torch.cat([move.flatten() for move in moves])
                distributed.all_reduce(flat)
                parts = torch.split(flat, [matrix.numel() for matrix in matrices])
                moves = [part.view_as(matrix) for part, matrix in zip(parts, matrices, strict=True)]
            for matrix, move in zip(matrices, moves, strict=True):
                matrix.mul_(1 - group["lr"] * group["decay"])
                matrix.add_(move, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with singular values of about 1, by Newton and Schulz's iteration; any shape (m x n)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x.bfloat16() if x.is_cuda else x
    x = x / (x.norm() + 1e-7)
    a, b, c = TERMS
    for _ in range(STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Optimisers:
    """Steps both kinds of parameters of a model together; ``matrices``: those Muon takes."""

    def __init__(self, model: nn.Module, rates: tuple[float, float], *, matrices: list[nn.Parameter]) -> None:
        self.rates = rates
        chosen = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
        self.all: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, rates[0]),
            torch.optim.AdamW(rest, lr=rates[1], betas=(0.9, 0.97), weight_decay=0.0),
        )

    def step(self, factor: float) -> None:
        """Steps with the learning rates times ``factor``, and clears the gradients."""
        for optimiser, rate in zip(self.all, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
