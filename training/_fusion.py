"""Fits the models above the statistics, fuses and calibrates them; :mod:`countermark.detect.models` applies them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.backbone import CHANNELS, KINDS
from countermark.detect.models import main_axes, normal

__all__ = ["AXES", "INPUTS", "fit_fusion", "fit_hand", "fit_range", "fit_whole"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Arrays = dict[str, npt.NDArray[Any]]
INPUTS = ("whole", "linear", "kernel")  # what is fused: a model of whole frames, and two of hand statistics
KNOTS = 33
WIDTHS = {"whole": 0.4, "kernel": 0.005}  # of the machines' kernels
DAMPING = {"whole": 10.0, "kernel": 1.0}  # and how much an error costs
AXES = 112  # main axes of whole frames' statistics that are kept
RANGE_AXES = 12
SAY = {"level": 2.0, "light": 0.7, "sway": 0.7}  # of kinds of statistics; of the others 1


def fit_whole(whole: npt.NDArray[np.float32], generated: Flags, weight: Floats) -> Arrays:
    """Main axes of whole frames' statistics (N x WIDTH), and a support vector machine of the direction along them.

    Each stage of the backbone has the same say, however many channels it has: the last one's thousands would drown
    the others. Within a stage a statistic counts by how far apart the classes' means lie, so that few axes suffice.
    """
    say = [np.full(n, SAY.get(kind, 1.0) / np.sqrt(len(KINDS) * n * len(CHANNELS))) for n in CHANNELS for kind in KINDS]
    mean, scale = whole.mean(0), whole.std(0) + 1e-4
    even = _even(generated, weight)
    means = [np.average(whole[chosen], axis=0, weights=even[chosen]) for chosen in (generated, ~generated)]
    apart = np.abs(means[0] - means[1]) / scale
    arrays: Arrays = {"whole.mean": mean, "whole.scale": np.concatenate(say) * (apart / apart.mean() + 0.05) / scale}
    z = ((whole - arrays["whole.mean"]) * arrays["whole.scale"]).astype(np.float32)
    spread, turn = np.linalg.eigh((z @ z.T).astype(np.float64))  # rows are fewer than columns
    spread, turn = spread[::-1][:AXES], turn[:, ::-1][:, :AXES]
    kept = spread > spread[0] * 1e-9
    arrays["whole.axes"] = (z.T @ (turn[:, kept] / np.sqrt(spread[kept]))).astype(np.float16)
    along = main_axes(whole, arrays)
    return arrays | _machine("whole", along / np.linalg.norm(along, axis=1, keepdims=True), generated, weight)


def fit_hand(hand: Floats, generated: Flags, weight: Floats, strength: float = 0.03) -> Arrays:
    """A logistic regression and a support vector machine on statistics mapped to normal quantiles (N x F).

    Both are heavily damped, since families are few.
    """
    from scipy.stats import norm
    from sklearn.linear_model import LogisticRegression

    shares = np.linspace(0.005, 0.995, KNOTS)
    knots = np.maximum.accumulate(np.quantile(hand, shares, axis=0).T + np.arange(KNOTS) * 1e-9, axis=1)
    arrays: Arrays = {"hand.knots": knots, "hand.levels": norm.ppf(shares)}
    x = normal(hand, arrays)
    line = LogisticRegression(C=strength, max_iter=1000).fit(x, generated, sample_weight=_even(generated, weight))
    arrays |= {"hand.coef": line.coef_[0], "hand.bias": line.intercept_}
    return arrays | _machine("kernel", x, generated, weight)


def _machine(name: str, x: npt.NDArray[Any], generated: Flags, weight: Floats) -> Arrays:
    """Points (M x D), their dual coefficients (M), bias and width of a machine with a Gaussian kernel."""
    from sklearn.svm import SVC

    machine = SVC(C=DAMPING[name], gamma=WIDTHS[name]).fit(x, generated, sample_weight=_even(generated, weight))
    return {
        f"{name}.points": machine.support_vectors_,
        f"{name}.dual": machine.dual_coef_[0],
        f"{name}.bias": machine.intercept_,
        f"{name}.width": np.array([WIDTHS[name]]),
    }


def fit_fusion(inputs: Floats, generated: Flags, weight: Floats, strength: float = 0.05) -> Arrays:
    """A logistic regression of held-out scores (N x 3), classes weighing alike: its output is the probability."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = inputs.mean(0), inputs.std(0) + 1e-9
    even = _even(generated, weight)
    model = LogisticRegression(C=strength * len(inputs), max_iter=1000).fit((inputs - mean) / scale, generated, even)
    return {"fusion.mean": mean, "fusion.scale": scale, "fusion.coef": model.coef_[0], "fusion.bias": model.intercept_}


def fit_range(hand: Floats, arrays: Arrays) -> Arrays:
    """Main axes of training's statistics, scaled to unit deviation: a clip far out along them is unlike training."""
    x = normal(hand, arrays)
    mean = x.mean(0)
    _, spread, axes = np.linalg.svd(x - mean, full_matrices=False)
    return {"range.mean": mean, "range.axes": axes[:RANGE_AXES].T / (spread[:RANGE_AXES] / np.sqrt(len(x)))}


def _even(generated: Flags, weight: Floats) -> Floats:
    """Weights with which both classes weigh alike, mean 1."""
    made = weight.astype(np.float64).copy()
    for chosen in (generated, ~generated):
        made[chosen] *= len(made) / 2 / max(made[chosen].sum(), 1e-9)
    return made
