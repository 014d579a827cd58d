"""Groups of terms from ``data/*.toml``, found in one pass with an Aho-Corasick automaton.

A term is one or more words as they stand after :func:`countermark.moderation.folding.clean`. ``porn*`` matches every
word that begins so, ``*pornos`` every word that ends so; ``{age}`` stands for each of 1 to 17. Terms with umlauts also
match with ae, oe, ue. Words are runs of letters and digits, so "sex-tape" and "sex tape" are the same two words; an
emoji that is a term is a word.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from countermark.errors import BadSettings
from countermark.moderation.folding import LONGEST, WORD, clean
from countermark.moderation.mapped import MappedText, whole
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["Hit", "Lexicon", "Scan", "load_lexicon"]

RULES_FILE: Final = "rules.toml"
COMMON_FILE: Final = "common.toml"
WORDS_FILE: Final = "words.txt"
SHORTEST_PART: Final = 4  # letters
_EMOJI: Final = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_AGES: Final = range(1, 18)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


@dataclass(frozen=True, order=True)
class Hit:
    """A term of ``group`` on the words ``first`` to ``last`` (inclusive) of a text."""

    first: int
    last: int
    group: str


@dataclass(frozen=True)
class Scan:
    """The hits in one view. ``places`` are the words' (start, end) in the view's text."""

    mapped: MappedText
    places: tuple[tuple[int, int], ...]
    hits: Mapping[str, tuple[Hit, ...]]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Words ``first`` to ``last`` as a span of the user's text."""
        return self.mapped.span(self.places[first][0], self.places[last][1])

    def words(self, first: int, last: int) -> str:
        """Words ``first`` to ``last`` as they stand in the view."""
        return self.mapped.text[self.places[first][0] : self.places[last][1]]


class Lexicon:
    """Terms by group; immutable after it is made, so that threads can share it."""

    def __init__(self, groups: Mapping[str, list[str]], common: frozenset[str], everyday: Sequence[str] = ()) -> None:
        import ahocorasick

        self.common = common
        emoji = sorted({sign for terms in groups.values() for term in terms for sign in _EMOJI.findall(term)})
        self._word = re.compile("|".join((WORD.pattern, *emoji)))
        self.groups = frozenset(groups)
        table: dict[str, list[str]] = {}
        for group, terms in groups.items():
            for key in dict.fromkeys(key for term in terms for key in self._keys(term)):
                table.setdefault(key, []).append(group)
        self._automaton: Any = ahocorasick.Automaton()
        for key, owners in table.items():
            self._automaton.add_word(key, (len(key), tuple(owners)))
        self._automaton.make_automaton()
        self.size = len(table)
        # Words of longer terms ("taylor swift"), so that their disguises are undone as well.
        self._parts = frozenset(word for key in table for word in key.split() if len(word) >= SHORTEST_PART)
        self.vocabulary = Vocabulary(self.known, common, everyday, table)

    def known(self, word: str) -> bool:
        """Whether ``word`` (folded, one word) is a word of a term, or begins or ends as a term with a star does."""
        if word in self._parts or len(word) > LONGEST:
            return len(word) <= LONGEST
        padded = f" {word} "
        last = len(padded) - 1
        return any(
            end - length + 1 == 0 or (end == last and length > 1) for end, (length, _) in self._automaton.iter(padded)
        )

    def scan(self, mapped: MappedText) -> Scan:
        """All terms in a folded view."""
        places = tuple(match.span() for match in self._word.finditer(mapped.text))
        line = f" {' '.join(mapped.text[a:b] for a, b in places)} "
        begins: list[int] = []
        at = 1
        for a, b in places:
            begins.append(at)
            at += b - a + 1
        hits: dict[str, set[Hit]] = {}
        for end, (length, owners) in self._automaton.iter(line):
            start = end - length + 1
            first = bisect_right(begins, start + (line[start] == " ")) - 1
            last = bisect_right(begins, end - (line[end] == " ")) - 1
            for group in owners:
                hits.setdefault(group, set()).add(Hit(first, last, group))
        return Scan(mapped, places, {group: tuple(sorted(found)) for group, found in hits.items()})

    def _keys(self, term: str) -> Iterator[str]:
        """The strings to search for in text whose words are padded with one space on each side."""
        if "{age}" in term:
            for age in _AGES:
                yield from self._keys(term.replace("{age}", str(age)))
            return
        begins, ends = term.startswith("*"), term.endswith("*")
        body = " ".join(self._word.findall(clean(whole(term)).text))
        for form in dict.fromkeys((body, body.translate(_UMLAUTS))):
            yield f"{'' if begins else ' '}{form}{'' if ends else ' '}"


@cache
def read_tables() -> dict[str, dict[str, Any]]:
    """Every file of ``data/`` by name."""
    folder = files("countermark.moderation") / "data"
    return {
        entry.name: tomllib.loads(entry.read_text("utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


@cache
def load_lexicon() -> Lexicon:
    """The lexicon of the package. Raises :class:`countermark.errors.BadSettings` on a group that is given twice."""
    groups: dict[str, list[str]] = {}
    common: frozenset[str] = frozenset()
    for name, table in read_tables().items():
        if name == RULES_FILE:
            continue
        if name == COMMON_FILE:
            common = frozenset(word for words in table.values() for word in words)
            continue
        for group, terms in table.items():
            if group in groups:
                raise BadSettings(f"the lexicon has the group {group} twice, once in {name}")
            groups[group] = [str(term) for term in terms]
    words = (files("countermark.moderation") / "data" / WORDS_FILE).read_text("utf-8")
    return Lexicon(groups, common, words.split())
