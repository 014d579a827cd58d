"""The linear models above the networks: hand statistics, fusion and calibration, as plain arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["INPUTS", "fit_fusion", "fit_hand", "fit_range", "fused", "hand_scores", "normal"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
INPUTS = ("network", "linear", "kernel")  # what is fused: the networks' output, and two models of hand statistics
KNOTS = 33
WIDTH = 0.005  # of the machine's kernel
AXES = 12


def fit_hand(features: Floats, generated: Flags, weight: Floats, strength: float = 0.03) -> dict[str, Floats]:
    """A logistic regression and a support vector machine on statistics mapped to normal quantiles (N x F).

    Both are heavily damped, since families are few. Gives knots (F x Q), levels (Q), coef (F), bias (1), and the
    machine's points (M x F), their dual coefficients (M) and width, named as the weights file has them.
    """
    from scipy.stats import norm
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    shares = np.linspace(0.005, 0.995, KNOTS)
    knots = np.maximum.accumulate(np.quantile(features, shares, axis=0).T + np.arange(KNOTS) * 1e-9, axis=1)
    arrays = {"hand.knots": knots, "hand.levels": norm.ppf(shares)}
    x = normal(features, arrays)
    even = _even(generated, weight)
    line = LogisticRegression(C=strength, max_iter=1000).fit(x, generated, sample_weight=even)
    arrays |= {"hand.coef": line.coef_[0], "hand.bias": line.intercept_}
    kernel = SVC(C=1.0, gamma=WIDTH).fit(x, generated, sample_weight=even)
    arrays |= {"kernel.points": kernel.support_vectors_, "kernel.dual": kernel.dual_coef_[0]}
    return arrays | {"kernel.bias": kernel.intercept_, "kernel.width": np.array([WIDTH])}


def normal(features: Floats, arrays: dict[str, Floats]) -> Floats:
    """Statistics (N x F) mapped to a standard normal by their quantiles in training."""
    knots, levels = arrays["hand.knots"], arrays["hand.levels"]
    return np.stack([np.interp(column, k, levels) for column, k in zip(features.T, knots, strict=True)], 1)


def hand_scores(features: Floats, arrays: dict[str, Floats]) -> Floats:
    """What the two models make of statistics (N x F): N x 2."""
    x, points = normal(features, arrays), arrays["kernel.points"]
    linear = x @ arrays["hand.coef"] + arrays["hand.bias"][0]
    far = (x**2).sum(1)[:, None] + (points**2).sum(1) - 2 * x @ points.T
    kernel = np.exp(-arrays["kernel.width"][0] * far) @ arrays["kernel.dual"] + arrays["kernel.bias"][0]
    return np.stack([linear, kernel], 1)


def fit_fusion(inputs: Floats, generated: Flags, weight: Floats, strength: float = 0.05) -> dict[str, Floats]:
    """A logistic regression of held-out scores (N x 3), classes weighing alike: its output is the probability."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = inputs.mean(0), inputs.std(0) + 1e-9
    even = _even(generated, weight)
    model = LogisticRegression(C=strength * len(inputs), max_iter=1000).fit((inputs - mean) / scale, generated, even)
    return {"fusion.mean": mean, "fusion.scale": scale, "fusion.coef": model.coef_[0], "fusion.bias": model.intercept_}


def fused(inputs: Floats, arrays: dict[str, Floats]) -> Floats:
    """Calibrated probability of scores (N x 3)."""
    z = ((inputs - arrays["fusion.mean"]) / arrays["fusion.scale"]) @ arrays["fusion.coef"] + arrays["fusion.bias"][0]
    return np.asarray(1 / (1 + np.exp(-z)))


def fit_range(features: Floats, arrays: dict[str, Floats]) -> dict[str, Floats]:
    """Main axes of training's statistics, scaled to unit deviation: a clip far out along them is unlike training."""
    x = normal(features, arrays)
    mean = x.mean(0)
    _, spread, axes = np.linalg.svd(x - mean, full_matrices=False)
    return {"range.mean": mean, "range.axes": axes[:AXES].T / (spread[:AXES] / np.sqrt(len(x)))}


def _even(generated: Flags, weight: Floats) -> Floats:
    """Weights with which both classes weigh alike, mean 1."""
    made = weight.astype(np.float64).copy()
    for chosen in (generated, ~generated):
        made[chosen] *= len(made) / 2 / max(made[chosen].sum(), 1e-9)
    return made
