"""``countermark train linear --data DIR``: the linear tier of the moderation room.

Design decisions:

- The rows are those of the encoder (:mod:`._prompts`), left out and calibrated in the same way.
- Logistic regression with an L2 penalty over hashed n-grams (:mod:`countermark.moderation.features`). One model tells
  harmful from harmless; another, on harmful rows alone, says of which category the harm would be.
- In each language harmful rows weigh as much as harmless ones: a language must not become the label.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from countermark.moderation.features import BUCKETS, features_of
from countermark.moderation.language import LANGUAGES
from countermark.moderation.linear import parse_linear
from countermark.training._calibration import Scored, calibrate, out_of_source
from countermark.training._prompts import HEADS, Example, left_out, own_examples, public_examples, seen, weights_of
from countermark.training._sources import FOLDS

PENALTY: Final = 10.0  # inverse strength of the L2 penalty, in scikit-learn's C
CATEGORY_PENALTY: Final = 10.0
_CHUNK: Final = 512  # texts


def main(argv: list[str]) -> int:
    """Trains three models, calibrates the last one and writes it; prints the sha256 that belongs in ``linear.py``."""
    parser = argparse.ArgumentParser(prog="countermark train linear", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev.jsonl")
    parser.add_argument("--out", type=Path, default=Path("moderation/weights/linear.safetensors"))
    options = parser.parse_args(argv)
    own, public = own_examples(), public_examples(options.data / "dev.jsonl")
    scored = []
    for fold in FOLDS:
        weights, bias = fit_any(seen(own, public, fold))
        left = left_out(own, public, fold)
        scored.append(Scored(left, matrix(row.text for row in left) @ weights + bias))
    print(out_of_source(scored))
    rows = seen(own, public, "")
    weights, bias = fit_any(rows)
    category_weights, category_bias = fit_categories(rows)
    raw = packed(np.vstack([weights, category_weights]), np.r_[bias, category_bias], calibrate(scored))
    parse_linear(raw).judge(["a red ball bounces"])
    options.out.write_bytes(raw)
    print(options.out.name, hashlib.sha256(raw).hexdigest())
    return 0


def matrix(texts: Iterable[str]) -> Any:
    """Features of texts as a sparse matrix, texts x ``BUCKETS``."""
    from scipy.sparse import csr_matrix

    every = list(texts)
    found = [one for start in range(0, len(every), _CHUNK) for one in features_of(every[start : start + _CHUNK])]
    ends = np.cumsum([0] + [len(one.buckets) for one in found])
    values, places = np.concatenate([one.values for one in found]), np.concatenate([one.buckets for one in found])
    return csr_matrix((values, places, ends), shape=(len(found), BUCKETS), dtype=np.float32)


def fit_any(rows: Sequence[Example]) -> tuple[NDArray[np.float32], float]:
    """Weights (``BUCKETS``) and bias of the logit ``any``."""
    from sklearn.linear_model import LogisticRegression

    truth, langs = np.array([row.harmful for row in rows]), np.array([row.lang for row in rows])
    weights = weights_of(rows)
    for lang in np.unique(langs):
        harmful, harmless = truth & (langs == lang), ~truth & (langs == lang)
        if harmful.any() and harmless.any():
            weights[harmful] *= weights[harmless].sum() / weights[harmful].sum()
    model = LogisticRegression(C=PENALTY, max_iter=200, tol=1e-3)
    model.fit(matrix(row.text for row in rows), truth, sample_weight=weights)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def fit_categories(rows: Sequence[Example]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (categories x ``BUCKETS``) and biases of a softmax over categories; a row of several counts for each."""
    from sklearn.linear_model import LogisticRegression

    named = [(row, category) for row in rows for category in sorted(row.categories) if category in HEADS]
    weights = np.array([1 / len(row.categories) for row, _ in named])
    numbers = np.array([HEADS.index(category) - 1 for _, category in named])
    model = LogisticRegression(C=CATEGORY_PENALTY, max_iter=100, tol=1e-3)
    model.fit(matrix(row.text for row, _ in named), numbers, sample_weight=weights)
    if len(model.classes_) != len(HEADS) - 1:
        raise ValueError("every category needs rows")
    return model.coef_.astype(np.float32), model.intercept_.astype(np.float32)


def packed(weights: NDArray[np.float32], bias: NDArray[np.float32], calibration: tuple[float, float]) -> bytes:
    """The weights file: int8 weights with a scale each head; the largest ten-thousandth is clipped."""
    from safetensors.numpy import save

    scale = np.quantile(np.abs(weights), 0.9999, axis=1).astype(np.float32) / 127
    small = np.clip(np.rint(weights / scale[:, None]), -127, 127).astype(np.int8, order="C")  # as safetensors reads it
    tensors = {"weights": small, "scale": scale, "bias": bias.astype(np.float32)}
    meta = {"heads": " ".join(HEADS), "languages": " ".join(sorted(LANGUAGES)), "buckets": str(BUCKETS)}
    slope, offset = calibration
    raw: bytes = save(tensors, metadata={**meta, "slope": repr(slope), "offset": repr(offset)})
    return raw
