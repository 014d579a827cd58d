"""A text that disguises are taken from, with what several of them ask about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from countermark.moderation.folding import WORD
from countermark.moderation.mapped import MappedText
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["Source", "Word"]

Word = tuple[int, int, str]  # start and end in the text, and the word case-folded

_BRIDGE: Final = 3  # letters of a familiar word that may stand inside a strange run


@dataclass(frozen=True)
class Source:
    """A text in normal form that is not case-folded, since encodings depend on case."""

    mapped: MappedText
    vocabulary: Vocabulary

    @property
    def text(self) -> str:
        """The text."""
        return self.mapped.text

    @cached_property
    def words(self) -> list[Word]:
        """All words."""
        return [(match.start(), match.end(), match[0].casefold()) for match in WORD.finditer(self.text)]

    @cached_property
    def strange(self) -> list[int]:
        """Which words, with letters from a to z, are not familiar."""
        familiar = self.vocabulary.familiar
        return [i for i, (_, _, word) in enumerate(self.words) if not familiar(word) and _lettered(word)]

    @cached_property
    def runs(self) -> list[range]:
        """Stretches of strange words; a short familiar word between two strange ones is no end."""
        return list(self._runs())

    def _runs(self) -> Iterator[range]:
        first = last = -3  # two words and more before the first
        for i in self.strange:
            if i - last == 1 or (i - last == 2 and len(self.words[i - 1][2]) <= _BRIDGE):
                last = i
                continue
            if last >= 0:
                yield range(first, last + 1)
            first = last = i
        if last >= 0:
            yield range(first, last + 1)

    @cached_property
    def plainness(self) -> float:
        """Share of letters that are in familiar words, 0..1."""
        return self.vocabulary.plainness(word for _, _, word in self.words)


def _lettered(word: str) -> bool:
    return any("a" <= char <= "z" for char in word)
