"""Muon for matrices and, as matrices, convolution kernels; AdamW for the rest."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Optimisers"]


class Optimisers:
    """Steps both kinds of parameters of a model together (Muon: Jordan et al. 2024).

    torch's Muon takes matrices only: a kernel's twin here is its own storage seen as out x (in * height * width).
    """

    def __init__(self, model: nn.Module, rates: tuple[float, float], decay: float = 0.01) -> None:
        self.model = model
        self.rates = rates
        self.kernels = [p for p in model.parameters() if p.ndim > 2]
        self.twins = [nn.Parameter(p.detach().view(len(p), -1)) for p in self.kernels]
        matrices = [p for p in model.parameters() if p.ndim == 2] + self.twins
        rest = [p for p in model.parameters() if p.ndim < 2]
        self.all: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=rates[0], weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rates[1], betas=(0.9, 0.97), weight_decay=0.0),
        )

    def step(self, factor: float) -> None:
        """Steps with the learning rates times ``factor``, and clears the gradients."""
        for kernel, twin in zip(self.kernels, self.twins, strict=True):
            twin.grad = None if kernel.grad is None else kernel.grad.reshape(twin.shape)
        for optimiser, rate in zip(self.all, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
        self.model.zero_grad()
