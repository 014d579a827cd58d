"""Makes probabilities of logits that were measured out of source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["platt"]


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
