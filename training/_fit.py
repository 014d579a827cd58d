"""Trains the network on a pool of patches for a time, and judges clips with it."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from countermark.detect.network import Network
from countermark.training._batches import Batch, Pool
from countermark.training._cache import Shelf
from countermark.training._muon import Optimisers

__all__ = ["fit", "judge"]

SMOOTH = 0.05  # labels are this far from certain


def fit(
    pool: Pool, seconds: float, path: Path, *, seed: int = 0, clips: int = 12, pairs: int = 6, pull: float = 0.3
) -> Network:
    """Trains for a time, from the checkpoint at ``path`` if there is one; gives the averaged network.

    ``pull``: how much matched fakes count in the main output; their own output always learns from them.
    """
    torch.manual_seed(seed)
    model = Network()
    average = copy.deepcopy(model).requires_grad_(False)
    optimisers = Optimisers(model, (3e-3, 2e-3), decay=0.02)
    gone, step = 0.0, 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for optimiser, state in zip(optimisers.all, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        gone, step = saved["gone"], saved["step"]
        pool.rng = np.random.default_rng([seed, step])
    losses: list[tuple[float, float]] = []
    last = time.monotonic()
    while gone < seconds:
        batch = pool.batch(clips, pairs)
        main, aux = _loss(model, batch, pull)
        (main + aux).backward()  # type: ignore[no-untyped-call]
        optimisers.step(min(1.0, (step + 1) / 50, 2.0 * (1 - gone / seconds) + 0.01))
        step += 1
        keep = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, 1 - keep)
        losses.append((main.item(), aux.item()))
        now_ = time.monotonic()
        gone, last = gone + now_ - last, now_
        if step % 100 == 0:
            main_, aux_ = np.mean(losses, 0)
            print(f"{path.stem} step {step} after {gone:.0f} s: loss {main_:.4f}, matched {aux_:.4f}", flush=True)
            losses = []
        if step % 200 == 0 or gone >= seconds:
            state = {"model": model.state_dict(), "average": average.state_dict(), "gone": gone, "step": step}
            state["optimisers"] = [o.state_dict() for o in optimisers.all]
            torch.save(state, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
    return average.eval()


def _loss(model: Network, batch: Batch, pull: float) -> tuple[Tensor, Tensor]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch.luma, batch.chroma)
    logits = logits.float().view(-1, batch.patches, 2).mean(1)
    target = batch.label * (1 - 2 * SMOOTH) + SMOOTH
    each = functional.binary_cross_entropy_with_logits(logits[:, 0], target, reduction="none")
    weight = torch.where(batch.paired, pull, 1.0)
    main = (each * weight).sum() / weight.sum()
    if not batch.paired.any():
        return main, main.new_zeros(())
    pair = batch.paired
    return main, 0.5 * functional.binary_cross_entropy_with_logits(logits[pair, 1], target[pair])


def judge(model: Network, shelf: Shelf, names: Sequence[str], most: int = 24) -> dict[str, npt.NDArray[np.float32]]:
    """Mean logits and embeddings of clips, and the deviation of the main logit over patches: name -> 2 + 1 + width."""
    luma, chroma = shelf.array("luma"), shelf.array("chroma")
    found = {}
    for name in names:
        entry = shelf.entries.get(name)
        if entry is None or not entry.count:
            continue
        rows = entry.first + np.unique(np.linspace(0, entry.count - 1, min(most, entry.count)).round().astype(int))
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            x = model.forward_features(torch.from_numpy(luma[rows]), torch.from_numpy(chroma[rows])).float()
        logits = model.forward_head(x).detach()
        spread = logits[:, 0].std(unbiased=False)[None]
        found[name] = torch.cat([logits.mean(0), spread, x.mean(0)]).numpy().astype(np.float32)
    return found
