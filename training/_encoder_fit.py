"""Fits the encoder to rows of prompts: batches by length, the loss, the schedule, and what it says of texts."""

from __future__ import annotations

import copy
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from countermark.training._encoder import Encoder, padded
from countermark.training._prompts import HEADS, Example, mixed

__all__ = ["Recipe", "fit", "logits_of"]

Tokenise = Callable[[str], list[int]]
_PAIRED = 0.5  # weight of the loss that orders the two rows of a pair
_CATEGORIES = 0.3  # weight of the categories' loss beside that of ``any``
_SMOOTH = 0.02  # whether a row is harmful is this far from certain


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: ``epochs`` over the rows, peak ``rate``, ``fade`` from one layer to the next below it."""

    epochs: float = 3.0
    rate: float = 1e-4
    fade: float = 0.9
    tokens: int = 1024


def fit(
    model: Encoder, rows: Sequence[Example], weights: NDArray[np.float32], tokenise: Tokenise, recipe: Recipe,
    path: Path, seed: int = 0,
) -> Encoder:  # fmt: skip
    """Trains from the checkpoint at ``path`` if there is one; gives the average of the weights along the way."""
    torch.manual_seed(seed)
    groups = []
    depth = len(model.layers)
    for number, layer in enumerate(model.layers):
        groups.append({"params": list(layer.parameters()), "scale": recipe.fade ** (depth - 1 - number)})
    groups.append({"params": list(model.out.parameters()), "scale": 10.0})
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=0.01, betas=(0.9, 0.98), foreach=True)
    average = copy.deepcopy(model)
    step, epoch, skip = 0, 0, 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, epoch, skip = saved["step"], saved["epoch"], saved["skip"]
    total = sum(1 for _ in _batches(rows, weights, tokenise, recipe.tokens, seed)) * recipe.epochs
    losses: list[float] = []
    began = time.monotonic()
    while step < total:
        for number, batch in enumerate(_batches(rows, weights, tokenise, recipe.tokens, seed + epoch)):
            if number < skip:
                continue
            factor = min(1.0, (step + 1) / (0.06 * total), max(0.0, (total - step) / (0.94 * total)) + 0.01)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * factor * group["scale"]
            loss = _loss(model.train(), *batch)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            step, skip = step + 1, number + 1
            _follow(average, model, min(0.998, (1 + step) / (10 + step)))
            losses.append(loss.item())
            if step % 100 == 0:
                pace = (time.monotonic() - began) / 100
                print(f"{path.stem} step {step} of {total:.0f}: loss {np.mean(losses):.4f}, {pace:.2f} s", flush=True)
                losses, began = [], time.monotonic()
            if step % 500 == 0 or step >= total:
                state: dict[str, Any] = {"model": model.state_dict(), "average": average.state_dict()}
                state |= {"optimiser": optimiser.state_dict(), "step": step, "epoch": epoch, "skip": skip}
                torch.save(state, path.with_suffix(".new"))
                path.with_suffix(".new").replace(path)
            if step >= total:
                break
        epoch, skip = epoch + 1, 0
    return average.eval()


def logits_of(model: Encoder, texts: Sequence[str], tokenise: Tokenise, tokens: int = 2048) -> NDArray[np.float32]:
    """The logits of each text, texts x ``HEADS``."""
    ids = [tokenise(text) for text in texts]
    found = np.zeros((len(texts), model.shape.outputs), np.float32)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for chunk in _chunks(order, [len(i) for i in ids], tokens):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            found[chunk] = model.eval()(padded([ids[i] for i in chunk])).float().numpy()
    return found


def _follow(average: Encoder, model: Encoder, keep: float) -> None:
    with torch.no_grad():
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            if now.requires_grad:
                mean.lerp_(now, 1 - keep)


def _loss(model: Encoder, ids: Tensor, harmful: Tensor, shares: Tensor, weights: Tensor, pairs: Tensor) -> Tensor:
    """Whether a row is harmful (cross entropy), of which category where that is known (softmax), the order of pairs."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(ids).float()
    wanted = harmful * (1 - 2 * _SMOOTH) + _SMOOTH
    loss = functional.binary_cross_entropy_with_logits(logits[:, 0], wanted, weights)
    loss = loss + _CATEGORIES * (functional.cross_entropy(logits[:, 1:], shares, reduction="none") * weights).mean()
    if len(pairs):
        loss = loss + _PAIRED * functional.softplus(1 - logits[pairs[:, 0], 0] + logits[pairs[:, 1], 0]).mean()
    return loss


Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _batches(
    rows: Sequence[Example], weights: NDArray[np.float32], tokenise: Tokenise, tokens: int, seed: int
) -> Iterator[Batch]:
    """The rows once, those of a pair in one batch, texts of like length together, batches in random order."""
    rng = random.Random(seed)
    texts = [row.text for row in mixed(rows, 0.2, seed)]
    ids = [tokenise(text) for text in texts]
    units: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        units[row.pair or str(number)].append(number)
    whole = list(units.values())
    rng.shuffle(whole)
    whole.sort(key=lambda unit: max(len(ids[i]) for i in unit) + rng.random() * 6)
    chunks: list[list[int]] = [[]]
    for unit in whole:
        longest = max([2 + len(ids[i]) for i in (*chunks[-1], *unit)])
        if chunks[-1] and longest * (len(chunks[-1]) + len(unit)) > tokens:
            chunks.append([])
        chunks[-1] += unit
    rng.shuffle(chunks)
    for chunk in chunks:
        harmful = torch.tensor([float(rows[i].harmful) for i in chunk])
        shares = torch.tensor([[float(head in rows[i].categories) for head in HEADS[1:]] for i in chunk])
        places: dict[str, dict[bool, int]] = defaultdict(dict)
        for place, i in enumerate(chunk):
            if rows[i].pair:
                places[rows[i].pair][rows[i].harmful] = place
        pairs = [(both[True], both[False]) for both in places.values() if len(both) == 2]
        yield (
            padded([ids[i] for i in chunk]), harmful, shares / shares.sum(1, keepdim=True).clamp(min=1),
            torch.from_numpy(weights[chunk]),
            torch.tensor(pairs, dtype=torch.long).view(-1, 2),
        )  # fmt: skip


def _chunks(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    chunk: list[int] = []
    for i in order:
        if chunk and (2 + min(254, lengths[i])) * (len(chunk) + 1) > tokens:
            yield chunk
            chunk = []
        chunk.append(i)
    if chunk:
        yield chunk
