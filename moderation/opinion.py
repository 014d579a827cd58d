"""What a learned model says of a text, and what moderation needs of such a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["ANY", "Opinion", "PromptModel"]

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
