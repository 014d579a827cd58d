"""The linear model over hashed n-grams.

Weights are in ``weights/linear.safetensors`` (made by ``countermark train moderation``): int8 ``weights`` of shape
heads x buckets, float32 ``scale``, ``bias``, and the calibration ``slope`` and ``offset`` of each head. A head's
probability is ``sigmoid(slope * (scale * weights . features + bias) + offset)``, at most that of the head ``any``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from countermark.errors import WeightsMissing
from countermark.moderation.features import BUCKETS, Features, features_of
from countermark.moderation.opinion import ANY, Opinion
from countermark.weights import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LinearModel", "load_linear"]

WEIGHTS: Final = "linear.safetensors"
SHA256: Final = "7f6ffc3d393da3d04256fcea27b0240644bf67d00fc8702f6de8c9d6b7adba1f"
_FEWEST: Final = 3  # words of the piece that explains an opinion


class LinearModel:
    """The linear tier; immutable after it is made."""

    name = "linear"

    def __init__(self, tensors: Mapping[str, Any], heads: tuple[str, ...], languages: frozenset[str]) -> None:
        self.heads = heads
        self.languages = languages
        self._weights: NDArray[np.int8] = tensors["weights"]
        self._scale: NDArray[np.float32] = tensors["scale"]
        self._bias: NDArray[np.float32] = tensors["bias"]
        self._slope: NDArray[np.float32] = tensors["slope"]
        self._offset: NDArray[np.float32] = tensors["offset"]

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on folded texts; only the first ``features.LONGEST`` characters of each are read."""
        import numpy as np

        if not texts:
            return []
        found = features_of(texts)
        owners = np.repeat(np.arange(len(found)), [len(one.buckets) for one in found])
        values = np.concatenate([one.values for one in found])
        rows = self._weights[:, np.concatenate([one.buckets for one in found])] * values
        # bincount adds in order and in double precision: no sum depends on which texts stand beside it
        sums = np.stack([np.bincount(owners, weights=row, minlength=len(found)) for row in rows])
        logits = self._slope[:, None] * (sums * self._scale[:, None] + self._bias[:, None]) + self._offset[:, None]
        return [self._opinion(one, column) for one, column in zip(found, logits.T.tolist(), strict=True)]

    def _opinion(self, found: Features, logits: list[float]) -> Opinion:
        if not found.words:
            return Opinion(dict.fromkeys(self.heads, 0.0), {})
        probabilities = {head: _sigmoid(z) for head, z in zip(self.heads, logits, strict=True)}
        most = probabilities.get(ANY, 1.0)  # no category is likelier than harm of any kind
        probabilities = {head: min(probability, most) for head, probability in probabilities.items()}
        spans = {h: self._span(i, found) for i, h in enumerate(self.heads) if probabilities[h] >= 0.3}
        return Opinion(probabilities, spans)

    def _span(self, head: int, found: Features) -> tuple[int, int]:
        """The few words in a row whose n-grams speak most for a head."""
        import numpy as np

        said = np.bincount(found.at, weights=self._weights[head, found.grams], minlength=len(found.words))
        width = min(_FEWEST, len(said))
        at = int(np.argmax(np.convolve(said, np.ones(width), "valid")))
        return found.words[at][0], found.words[at + width - 1][1]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, z))))


@cache
def load_linear() -> LinearModel:
    """The linear tier. Raises :class:`countermark.errors.WeightsMissing` when its file is absent or another one."""
    return read_linear((files("countermark.moderation") / "weights" / WEIGHTS), SHA256)


def read_linear(entry: Any, sha256: str) -> LinearModel:
    """A model from a file of ``countermark train moderation`` whose sha256 is known."""
    return parse_linear(pinned(entry, sha256, "moderation"))


def parse_linear(raw: bytes) -> LinearModel:
    """A model from the bytes of its file. Raises :class:`countermark.errors.WeightsMissing` when they do not fit."""
    from safetensors.numpy import load

    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    meta = header["__metadata__"]
    if int(meta["buckets"]) != BUCKETS:
        raise WeightsMissing(f"the moderation weights are for {meta['buckets']} buckets, not {BUCKETS}")
    return LinearModel(load(raw), tuple(meta["heads"].split()), frozenset(meta["languages"].split()))
