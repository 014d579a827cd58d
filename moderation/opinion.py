"""What a learned model says of a text, and what moderation needs of such a model.

The package's own models have a head that says whether a text is harmful at all, and one for each category, a softmax,
that says of which category the harm would be. The likeliest category gets the whole probability of harm, so that none
passes for want of a name, and the others their part of it in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ANY", "Opinion", "PromptModel", "named"]

ANY: Final = "any"  # the head that tells harmful from harmless, whatever the category


@dataclass(frozen=True)
class Opinion:
    """Probabilities 0..1 by category (and ``any``), and the ``(start, end)`` in the text that weighs most for each."""

    probabilities: Mapping[str, float]
    spans: Mapping[str, tuple[int, int]]


class PromptModel(Protocol):
    """What moderation needs of a learned model; it must be safe to call from several threads.

    ``languages`` are the ISO 639-1 codes that it was trained for; for others moderation discounts what it says.
    """

    @property
    def name(self) -> str:
        """Stands as ``rule`` in the reasons that come from this model."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes."""

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on folded texts of any length, in their order; what is said of one does not depend on the others."""


def named(harm: NDArray[np.floating[Any]], kinds: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Probabilities, texts x (1 + categories): of any harm, and of each category.

    ``harm`` are the calibrated logits of any harm, ``kinds`` those of the categories, texts x categories.
    """
    import numpy as np

    harmful = 1 / (1 + np.exp(-np.clip(harm[:, None].astype(np.float64), -60, 60)))
    return np.concatenate([harmful, harmful * np.exp(kinds - kinds.max(1, keepdims=True))], axis=1)
