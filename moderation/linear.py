"""The linear tier: logistic regression over hashed n-grams, quick and shallow.

Weights are in ``weights/linear.safetensors`` (made by ``countermark train linear``): int8 ``weights`` of shape heads x
buckets, float32 ``scale`` and ``bias`` of each head. A logit is ``scale * weights . features + bias``; the heads are
those of :mod:`.opinion`. The file's metadata names heads and languages and holds the calibration of the first head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from countermark.errors import WeightsMissing
from countermark.moderation.features import BUCKETS, Features, features_of
from countermark.moderation.opinion import Opinion, named
from countermark.weights import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LinearModel", "load_linear"]

WEIGHTS: Final = "linear.safetensors"
SHA256: Final = "8748c786f6f6cdf9bc2ef50ebdcc00d2eac2268bd064fa3fe85969e3ae74e814"
_EXPLAINED: Final = 0.3  # probability from which the words that weigh most are looked up
_FEWEST: Final = 3  # words of the piece that explains an opinion


class LinearModel:
    """The linear tier; immutable after it is made. ``calibration`` is slope and offset of the first head."""

    name = "linear"

    def __init__(
        self,
        tensors: Mapping[str, Any],
        heads: tuple[str, ...],
        languages: frozenset[str],
        calibration: tuple[float, float],
    ) -> None:
        self.heads = heads
        self.languages = languages
        self._weights: NDArray[np.int8] = tensors["weights"]
        self._scale: NDArray[np.float32] = tensors["scale"]
        self._bias: NDArray[np.float32] = tensors["bias"]
        self._slope, self._offset = calibration

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
        logits = (sums * self._scale[:, None] + self._bias[:, None]).T
        odds = named(self._slope * logits[:, 0] + self._offset, logits[:, 1:])
        return [self._opinion(one, row) for one, row in zip(found, odds.tolist(), strict=True)]

    def _opinion(self, found: Features, odds: list[float]) -> Opinion:
        if not found.words:
            return Opinion(dict.fromkeys(self.heads, 0.0), {})
        probabilities = dict(zip(self.heads, odds, strict=True))
        spans = {h: self._span(i, found) for i, h in enumerate(self.heads) if i and probabilities[h] >= _EXPLAINED}
        return Opinion(probabilities, spans)

    def _span(self, head: int, found: Features) -> tuple[int, int]:
        """The few words in a row whose n-grams speak most for harm of a category."""
        import numpy as np

        shares = self._weights[[0, head]][:, found.grams] * self._scale[[0, head], None]
        said = np.bincount(found.at, weights=shares.sum(0), minlength=len(found.words))
        width = min(_FEWEST, len(said))
        at = int(np.argmax(np.convolve(said, np.ones(width), "valid")))
        return found.words[at][0], found.words[at + width - 1][1]


@cache
def load_linear() -> LinearModel:
    """The linear tier. Raises :class:`countermark.errors.WeightsMissing` when its file is absent or another one."""
    return read_linear((files("countermark.moderation") / "weights" / WEIGHTS), SHA256)


def read_linear(entry: Any, sha256: str) -> LinearModel:
    """A model from a file of ``countermark train linear`` whose sha256 is known."""
    return parse_linear(pinned(entry, sha256, "moderation"))


def parse_linear(raw: bytes) -> LinearModel:
    """A model from the bytes of its file. Raises :class:`countermark.errors.WeightsMissing` when they do not fit."""
    from safetensors.numpy import load

    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    meta = header["__metadata__"]
    if int(meta["buckets"]) != BUCKETS:
        raise WeightsMissing(f"the moderation weights are for {meta['buckets']} buckets, not {BUCKETS}")
    calibration = float(meta["slope"]), float(meta["offset"])
    return LinearModel(load(raw), tuple(meta["heads"].split()), frozenset(meta["languages"].split()), calibration)
