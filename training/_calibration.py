"""Probabilities from logits of rows that a model had not seen, and how well these rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countermark.training._metrics import auc
from countermark.training._prompts import Example
from countermark.training._sources import COMMENTS, PRIOR, VIDEO

__all__ = ["Scored", "calibrate", "out_of_source", "platt"]


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows and the logit ``any`` that a model gave them which had not seen them."""

    rows: list[Example]
    logits: NDArray[np.floating[Any]]


def calibrate(scored: Sequence[Scored]) -> tuple[float, float]:
    """Slope and offset of the logit ``any``, for a share ``PRIOR`` of harmful prompts.

    Comments that are merely not hateful take no part: they are no measure of what a harmless prompt is.
    """
    rows = [row for part in scored for row in part.rows]
    use = np.array([row.harmful or row.source not in COMMENTS for row in rows])
    logits = np.concatenate([part.logits for part in scored])
    truth, sources = np.array([row.harmful for row in rows]), np.array([row.source for row in rows])
    return platt(logits[use], truth[use], sources[use], PRIOR)


def platt(
    logits: NDArray[np.floating[Any]], truth: NDArray[np.bool_], sources: NDArray[np.str_], prior: float
) -> tuple[float, float]:
    """Slope and offset (Platt 1999) for a share ``prior`` of positives; within both classes each source counts alike.

    One entry a row in all three. Rows that say nothing must have been left out before.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros(len(truth))
    for positive, share in ((True, prior), (False, 1 - prior)):
        part = truth == positive
        names = np.unique(sources[part])
        for name in names:
            here = part & (sources == name)
            weights[here] = share / len(names) / here.sum()
    model = LogisticRegression(C=1e6)
    model.fit(logits[:, None], truth, sample_weight=weights * len(truth))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def out_of_source(scored: Sequence[Scored]) -> str:
    """A table of harmful rows by source, against the harmless video prompts that the same model had not seen."""
    lines = ["| source | rows | AUC | at 1 % | at 2 % | at 5 % |", "|---" * 6 + "|"]
    for part in scored:
        harmful = np.array([row.harmful for row in part.rows])
        sources = np.array([row.source if row.source in VIDEO or row.harmful else "" for row in part.rows])
        video = part.logits[~harmful & (sources != "")]
        cuts = [float(np.quantile(video, 1 - rate)) for rate in (0.01, 0.02, 0.05)]
        for name in sorted(set(sources[harmful])):
            here = part.logits[harmful & (sources == name)]
            both, truth = np.r_[video, here], np.r_[np.zeros(len(video), bool), np.ones(len(here), bool)]
            shares = " | ".join(f"{np.mean(here > cut):.3f}" for cut in cuts)
            lines.append(f"| {name} | {len(here)} | {auc(both, truth):.3f} | {shares} |")
    return "\n".join(lines)
