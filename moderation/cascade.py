"""Two models in a row: the quick one answers where it is sure that a text is harmless, the thorough one the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countermark.moderation.opinion import ANY, Opinion, PromptModel

__all__ = ["Cascade"]

SURE: Final = 0.08  # the probability of any harm below which the linear tier has the last word


class Cascade:
    """``quick`` before ``thorough``; as safe to call from several threads as they are.

    ``sure`` is the probability of harm of any kind (0..1) below which ``quick`` has the last word.
    """

    name = "cascade"

    def __init__(self, quick: PromptModel, thorough: PromptModel, sure: float = SURE) -> None:
        self._quick, self._thorough, self._sure = quick, thorough, sure
        self.languages = thorough.languages

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on folded texts, in their order."""
        opinions = self._quick.judge(texts)
        unsure = [i for i, opinion in enumerate(opinions) if opinion.probabilities[ANY] >= self._sure]
        for i, opinion in zip(unsure, self._thorough.judge([texts[i] for i in unsure]), strict=True):
            opinions[i] = opinion
        return opinions
