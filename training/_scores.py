"""Held-out scores: each clip judged by the network of the fold that has not seen its group, and its statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.detect.features import cube_features, motion_features
from countermark.detect.network import Network
from countermark.training._cache import Shelf
from countermark.training._fit import judge
from countermark.training._footage import Clip, weights
from countermark.training._fusion import INPUTS, fit_fusion, fit_hand, fused, hand_scores

__all__ = ["INPUTS", "LEARNT", "Scores", "collect_features", "collect_logits", "load_scores", "probabilities", "stack"]

Floats = npt.NDArray[np.float64]
LEARNT = ("raw", "re1", "re2")  # variants that training sees; the others only measure
MOST = 12  # patches of a clip that are judged
MATCHED = 0.8  # how far bands of frame rate, size and bitrate are re-weighted


@dataclass(frozen=True)
class Scores:
    """Of one variant, for each clip: network outputs (N x 2) and mean statistics (N x F); nan where it has none."""

    logits: Floats
    features: Floats

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Which clips have both."""
        return np.asarray(np.isfinite(self.logits[:, 0]) & np.isfinite(self.features[:, 0]))


def collect_features(shelf: Shelf, path: Path) -> Iterator[str]:
    """Mean statistics of every clip of a shelf, kept at ``path``; yields names, for a progress bar."""
    done = _load(path)
    luma, chroma, thumb = (shelf.array(kind) for kind in ("luma", "chroma", "thumb"))
    for name, entry in shelf.entries.items():
        if entry.count and name not in done:
            rows = _rows(entry.first, entry.count)
            cubes = cube_features(luma[rows], chroma[rows]).mean(0)
            motion = [motion_features(thumb[i]) for i in range(entry.window, entry.window + len(entry.per))]
            done[name] = np.concatenate([cubes, np.mean(motion, 0)])
        yield name
    _save(path, done)


def collect_logits(
    networks: dict[int, Network], clips: Sequence[Clip], fold: Sequence[int], shelf: Shelf, path: Path
) -> Iterator[str]:
    """Network outputs of every clip by the network of its fold, kept at ``path``; yields names.

    A clip of fold -1 was in no training and gets the mean of all networks.
    """
    done = _load(path)
    for clip, own in zip(clips, fold, strict=True):
        if clip.name not in done and (entry := shelf.entries.get(clip.name)) is not None and entry.count:
            asked = list(networks.values()) if own < 0 else [networks[own]]
            done[clip.name] = np.mean([judge(n, shelf, [clip.name], MOST)[clip.name][:2] for n in asked], 0)
        yield clip.name
    _save(path, done)


def _rows(first: int, count: int) -> npt.NDArray[np.int64]:
    return first + np.unique(np.linspace(0, count - 1, min(MOST, count)).round().astype(np.int64))


def _load(path: Path) -> dict[str, Floats]:
    if not path.exists():
        return {}
    with np.load(path) as file:
        return dict(zip((str(n) for n in file["names"]), file["values"], strict=True))


def _save(path: Path, values: dict[str, Floats]) -> None:
    with path.with_suffix(".new").open("wb") as file:
        np.savez(file, names=np.array(list(values)), values=np.stack(list(values.values())))
    path.with_suffix(".new").replace(path)


def load_scores(runs: Path, variant: str, clips: Sequence[Clip]) -> Scores:
    """What was collected for a variant, in the order of ``clips``."""
    found = []
    for kind in ("logits", "features"):
        values = _load(runs / f"{kind}-{variant}.npz")
        width = len(next(iter(values.values()))) if values else 1
        found.append(np.stack([values.get(c.name, np.full(width, np.nan)) for c in clips]))
    return Scores(found[0], found[1])


def stack(
    scores: dict[str, Scores], variants: Sequence[str], chosen: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Logits, features and clip numbers of the chosen clips over some variants."""
    which = [(v, np.flatnonzero(chosen & scores[v].there)) for v in variants]
    logits = np.concatenate([scores[v].logits[i] for v, i in which])
    features = np.concatenate([scores[v].features[i] for v, i in which])
    return logits, features, np.concatenate([i for _, i in which])


def probabilities(
    clips: Sequence[Clip], fold: npt.NDArray[np.int64], scores: dict[str, Scores]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Held-out fused probabilities (N) and their inputs (N x 3) of each variant; nan where a clip has no patches.

    Hand statistics and fusion are fitted anew for each fold, on the other folds' clips only. Clips of fold -1 (edited
    footage) are never fitted on.
    """
    generated = np.array([c.generated for c in clips])
    known = np.array([c.label in ("generated", "real") for c in clips])
    weight = np.zeros(len(clips))
    weight[known] = weights([c for c, k in zip(clips, known, strict=True) if k], matched=MATCHED)
    inputs = {v: np.full((len(clips), 3), np.nan) for v in scores}
    for v, s in scores.items():
        inputs[v][:, 0] = s.logits[:, 0]
    for own in np.unique(fold):
        _, features, which = stack(scores, LEARNT, known & (fold != own))
        hand = fit_hand(features, generated[which], weight[which])
        for v, s in scores.items():
            here = (fold == own) & s.there
            if here.any():
                inputs[v][here, 1:] = hand_scores(s.features[here], hand)
    found = {v: np.full(len(clips), np.nan) for v in scores}
    for own in np.unique(fold):
        rows = [(v, np.flatnonzero(known & (fold != own) & scores[v].there)) for v in LEARNT]
        x, which = np.concatenate([inputs[v][i] for v, i in rows]), np.concatenate([i for _, i in rows])
        fusion = fit_fusion(x, generated[which], weight[which])
        for v, s in scores.items():
            here = (fold == own) & s.there
            if here.any():
                found[v][here] = fused(inputs[v][here], fusion)
    return found, inputs
