"""Figures of a detector: ranks, rates at fixed false alarms with exact intervals, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Rate", "auc", "auc_interval", "calibration_error", "clopper_pearson", "rate_at"]

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rate:
    """A proportion with its exact 95 % interval."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """The proportion; nan of nothing."""
        return self.hits / self.of if self.of else float("nan")

    def __str__(self) -> str:
        low, high = clopper_pearson(self.hits, self.of)
        return f"{self.share:.2f} ({low:.2f}-{high:.2f})" if self.of else "-"


def clopper_pearson(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934); (0, 1) without trials."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def auc(scores: Floats, positive: Flags) -> float:
    """The area under the ROC curve: how often a positive outranks a negative; nan without both."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores)) if 0 < positive.sum() < len(positive) else float("nan")


def auc_interval(
    scores: Floats, positive: Flags, group: npt.NDArray[np.str_], seed: int = 0, times: int = 400
) -> tuple[float, float]:
    """95 % interval of the AUC by drawing whole groups again (families and sources, not clips, are independent)."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(group == g) for g in np.unique(group)]
    found = []
    for _ in range(times):
        which = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        value = auc(scores[which], positive[which])
        if np.isfinite(value):
            found.append(value)
    return (float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))) if found else (0.0, 1.0)


def rate_at(scores: Floats, positive: Flags, false_alarms: float) -> Rate:
    """How many positives lie above the threshold that this share of the negatives exceeds."""
    negative = np.sort(scores[~positive])[::-1]
    threshold = negative[int(false_alarms * len(negative))] if len(negative) else np.inf
    return Rate(int((scores[positive] > threshold).sum()), int(positive.sum()))


def calibration_error(probability: Floats, positive: Flags, weight: Floats | None = None, bins: int = 10) -> float:
    """Expected calibration error over equally filled bins (Naeini et al. 2015)."""
    weight = np.ones(len(probability)) if weight is None else weight
    order = np.argsort(probability, kind="stable")
    total = 0.0
    for part in np.array_split(order, bins):
        w = weight[part]
        if w.sum() > 0:
            gap = np.average(probability[part], weights=w) - np.average(positive[part], weights=w)
            total += abs(float(gap)) * float(w.sum())
    return total / float(weight.sum())
