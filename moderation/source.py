"""A text that disguises are taken from, with what several of them ask about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from countermark.moderation.folding import WORD
from countermark.moderation.mapped import MappedText
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["CODED", "Source", "Word"]

Word = tuple[int, int, str]  # start and end in the text, and the word case-folded

# What code has inside its words and language has not.
CODED: Final = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]|[0-9][A-Za-z]|[A-Za-z][0-9]|[A-Z2-7]{8}")
_PIECE: Final = re.compile(r"[A-Za-z0-9+/_=-]+")
_TOKEN: Final = re.compile(r"\S+")
_WORD: Final = 4  # letters of a word that a piece of code would hardly make
_SENTENCE: Final = 3  # strange words in a row
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
    def wordy(self) -> bool:
        """Whether there are so many strange words together that they may be a sentence in a cipher."""
        return 2 * len(self.strange) >= len(self.words) > 0 or any(len(run) >= _SENTENCE for run in self.runs)

    @cached_property
    def coded(self) -> bool:
        """Whether anything looks like a code of letters and digits."""
        return CODED.search(self.text) is not None

    @cached_property
    def codes(self) -> list[list[re.Match[str]]]:
        """Runs of pieces that are no words, of which half look like code."""
        found: list[list[re.Match[str]]] = [[]]
        for token in _TOKEN.finditer(self.text):
            word = len(token[0]) >= _WORD and self.vocabulary.sure(token[0].casefold())
            if word or not _PIECE.fullmatch(token[0]):
                found.append([])
            else:
                found[-1].append(token)
        return [run for run in found if len(run) > 1 and 2 * sum(map(_code_like, run)) >= len(run)]


def _code_like(token: re.Match[str]) -> bool:
    return CODED.search(token[0]) is not None


def _lettered(word: str) -> bool:
    return any("a" <= char <= "z" for char in word)
