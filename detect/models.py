"""The models above the statistics, as plain arrays: three scores, and the probability that they are fused into.

``arrays`` are those of ``weights/classifier.safetensors``, which :mod:`countermark.training._fusion` fits. All
functions take rows of statistics: means over a window, a stretch or a clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "distance", "fused", "linear", "main_axes", "normal", "scores"]

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]


def normal(hand: Floats, arrays: Arrays) -> Floats:
    """Hand statistics (N x F) mapped to a standard normal by training's quantiles: outliers are bounded."""
    knots, levels = arrays["hand.knots"], arrays["hand.levels"]
    return np.stack([np.interp(column, k, levels) for column, k in zip(hand.T, knots, strict=True)], 1)


def linear(x: Floats, arrays: Arrays) -> Floats:
    """What the linear model makes of normal hand statistics (N x F): N."""
    return np.asarray(x @ arrays["hand.coef"] + arrays["hand.bias"][0])


def main_axes(whole: npt.NDArray[np.float32], arrays: Arrays) -> npt.NDArray[np.float32]:
    """Statistics of whole frames (N x WIDTH), in deviations, along training's main axes: N x A, a few hundred."""
    z = (whole - arrays["whole.mean"]) * arrays["whole.scale"]
    return np.asarray(z.astype(np.float32) @ arrays["whole.axes"], np.float32)


def scores(along: npt.NDArray[np.float32], hand: Floats, arrays: Arrays) -> Floats:
    """What is fused, N x 3: of whole frames along main axes (N x A), and twice of hand statistics (N x F).

    Whole frames count by direction alone: by which channels are filled and change more than others, not by how much.
    """
    x = normal(hand, arrays)
    direction = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    return np.stack([_machine(direction, "whole", arrays), linear(x, arrays), _machine(x, "kernel", arrays)], 1)


def _machine(x: npt.NDArray[Any], name: str, arrays: Arrays) -> Floats:
    """A support vector machine with a Gaussian kernel (N x D): N."""
    points = arrays[f"{name}.points"]
    far = (x**2).sum(1)[:, None] + (points**2).sum(1) - 2 * x @ points.T
    return np.asarray(np.exp(-arrays[f"{name}.width"][0] * far) @ arrays[f"{name}.dual"] + arrays[f"{name}.bias"][0])


def fused(inputs: Floats, arrays: Arrays) -> Floats:
    """Calibrated probability of scores (... x 3)."""
    z = ((inputs - arrays["fusion.mean"]) / arrays["fusion.scale"]) @ arrays["fusion.coef"]
    return np.asarray(1 / (1 + np.exp(-(z + arrays["fusion.bias"][0]))))


def distance(hand: Floats, arrays: Arrays) -> Floats:
    """How far hand statistics (N x F) lie from training's, in deviations along their main axes: N."""
    along = (normal(hand, arrays) - arrays["range.mean"]) @ arrays["range.axes"]
    return np.asarray(np.sqrt(np.mean(along**2, 1)))
