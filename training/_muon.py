"""Muon for matrices, AdamW for the rest."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Optimisers"]


class Optimisers:
    """Steps both kinds of parameters of a model together (Muon: Jordan et al. 2024); ``matrices``: those Muon takes."""

    def __init__(
        self,
        model: nn.Module,
        rates: tuple[float, float],
        *,
        matrices: list[nn.Parameter],
        decay: float = 0.01,
    ) -> None:
        self.rates = rates
        chosen = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self.all: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=rates[0], weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rates[1], betas=(0.9, 0.97), weight_decay=0.0),
        )

    def step(self, factor: float) -> None:
        """Steps with the learning rates times ``factor``, and clears the gradients."""
        for optimiser, rate in zip(self.all, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
