"""Which words there are: what tells plain text from gibberish, and a damaged word from a whole one.

``known`` words are those of the lexicon; ``common`` ones are short function words; ``everyday`` ones fill
``data/words.txt``, the most frequent first. The indexes find a word by what is left of it when its letters were
doubled, dropped, masked or mixed. They are made when a text first needs them and never change afterwards, so that
threads can share them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Final

__all__ = ["Known", "Vocabulary", "collapsed", "outline", "skeleton", "sound", "steps"]

Known = Callable[[str], bool]

LONGEST: Final = 40  # characters of a word beyond which no spelling is tried
_REMEMBERED: Final = 1 << 15  # words whose answer is kept
_SPREAD: Final = 24  # letters of the longest word that is looked for in a run of letters
_SHORT: Final = 3  # letters up to which only common words and terms count in a run of letters
# Words of one and two letters that count there; those of other languages would cut every word in two.
_SHORTEST: Final = (
    "a i am an as at be by do go he if in is it me my no of on or so to up us we ex er es ab da du im ob um wo zu"
)
_MOST_MASKED: Final = 2  # terms that a masked word is read as
_UNIT: Final = 6  # letters of a term of several words that is looked for as a whole
_COMMON_RANK: Final = 1000  # places in a list by frequency at which words are put that are in none
_TERM_RANK: Final = 800
_UNKNOWN: Final = 15.0  # what a letter costs that is in no word; a rare word costs about 12
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_ENDINGS: Final = ("ing", "ed", "es", "er", "ers", "ly", "s", "en", "em")
_LONGER: Final = ("", "e", "en", "er", "es", "em", "t", "te", "s", "ed", "ing", "ion", "n", "d")  # of terms with a star
_STEM: Final = 4  # letters that an ending must leave
# Letters and how they sound: Cyrillic, Greek, and the Latin ones that have several ways. A dot is no sound.
_WRITTEN: Final = "абвгдеёжзийклмнопрстуфхцчшщыэюяіїєґъь αβγδεζηθικλμνξοπρσςτυφχψω cqwyjxäöü"
_SPOKEN: Final = (
    "a b v g d e e zh z i i k l m n o p r s t u f h ts tsh sh sh i e iu ia i i e g . . _ "
    "a b g d e z i t i k l m n ks o p r s s t u f h ps o _ k k v i dzh ks e o u"
)
_SOUNDS: Final = {ord(c): sound.strip("._") for c, sound in zip(_WRITTEN, _SPOKEN.split(), strict=True)}
_VOWELS: Final = re.compile("[aeiouäöüyáàâéèêíóôúñ]")
_DOUBLE: Final = re.compile(r"(.)\1+")
_MASK: Final = re.compile(r"[^a-zäöü]")
_LATIN: Final = re.compile(r"[a-z0-9]")


def skeleton(word: str) -> str:
    """``word`` without its vowels, unless it begins with one."""
    return word[:1] + _VOWELS.sub("", word[1:])


def collapsed(word: str) -> str:
    """``word`` with each run of one letter shortened to that letter."""
    return _DOUBLE.sub(r"\1", word)


def outline(word: str) -> str:
    """First letter, the inner ones in alphabetical order, last letter."""
    return word[0] + "".join(sorted(word[1:-1])) + word[-1]


def sound(word: str) -> str:
    """A key that is the same for spellings that sound alike, and for a word written in letters of another script."""
    return word.translate(_SOUNDS)


def steps(word: str) -> tuple[int, ...]:
    """The steps from letter to letter of the alphabet, modulo 26: the same under every Caesar cipher."""
    codes = word.encode()
    return tuple((b - a) % 26 for a, b in itertools.pairwise(codes))


class Vocabulary:
    """Words, and terms by what they look like; safe to share between threads.

    ``known`` says whether a case-folded word is one of the lexicon, ``keys`` are its terms with a space on each side
    where a word ends, in the order in which they are listed.
    """

    def __init__(
        self, known: Known, common: Iterable[str] = (), everyday: Iterable[str] = (), keys: Iterable[str] = ()
    ) -> None:
        self.known = known
        self.common = frozenset(common)
        self._keys = tuple(keys)
        self.terms: dict[str, None] = {}  # single words, in order
        self.stars: dict[str, None] = {}  # what a word may begin with
        self._units: dict[str, tuple[int, ...]] = {}  # terms of several words, without the spaces
        phrases: set[tuple[str, str]] = set()
        for key in self._keys:
            words = key.split()
            phrases.update(itertools.pairwise(words))
            if len(words) > 1 and len(joined := "".join(words)) >= _UNIT:
                self._units[joined] = tuple(map(len, words))
            self.terms.update(dict.fromkeys(word for word in words if len(word) > _SHORT or len(words) == 1))
            if len(words) == 1 and not key.endswith(" "):
                self.stars[words[0]] = None
        self.phrases = frozenset(pair for pair in phrases if max(map(len, pair)) > 1 and not self.common >= set(pair))
        self._everyday = tuple(everyday)
        self._parts = frozenset(itertools.chain.from_iterable(phrases))
        plain = {*self.common, *self._everyday, *self._parts}
        self._plain = frozenset(plain | {word.translate(_UMLAUTS) for word in plain if not word.isascii()})
        self.familiar = lru_cache(_REMEMBERED)(self._familiar)
        self.masked = lru_cache(_REMEMBERED)(self._masked)
        self.segments = lru_cache(_REMEMBERED >> 3)(self._segments)

    def with_terms(self, other: Vocabulary) -> Vocabulary:
        """These words and the terms of ``other``."""

        def known(word: str) -> bool:
            return self.known(word) or other.known(word)

        return Vocabulary(known, self.common, self._everyday, (*self._keys, *other._keys))

    def listed(self, word: str) -> bool:
        """Whether ``word`` (case-folded) stands in a list as it is, not as the beginning of a longer term."""
        return word in self._plain or word in self.terms

    def sure(self, word: str) -> bool:
        """Whether ``word`` (case-folded) stands in a list or is known."""
        return word in self._plain or self.known(word)

    def _familiar(self, word: str) -> bool:
        """Whether ``word`` is sure, or is when a common ending is taken away."""
        if word in self._plain:
            return True
        if len(word) > LONGEST:
            return False
        return self.known(word) or any(
            word.endswith(ending) and len(word) - len(ending) >= _STEM and word[: -len(ending)] in self._plain
            for ending in _ENDINGS
        )

    def plainness(self, words: Iterable[str]) -> float:
        """Share of letters that are in familiar words of three letters or more; words of other scripts count."""
        total = sure = 0
        for word in words:
            total += len(word)
            if len(word) >= _SHORT and (self.familiar(word) or not _LATIN.search(word)):
                sure += len(word)
        return sure / total if total else 0.0

    def _segments(self, letters: str) -> tuple[tuple[int, int], ...]:
        """The likeliest words in a run of letters, by dynamic programming over their costs."""
        best = [0.0] * (len(letters) + 1)
        step = [0] * (len(letters) + 1)
        costs = self._costs
        for start in range(len(letters) - 1, -1, -1):
            best[start] = best[start + 1] + _UNKNOWN
            for length in range(1, min(_SPREAD, len(letters) - start) + 1):
                cost = costs.get(letters[start : start + length])
                if cost is not None and cost + best[start + length] < best[start]:
                    best[start], step[start] = cost + best[start + length], length
        found: list[tuple[int, int]] = []
        at = 0
        while at < len(letters):
            for length in self._units.get(letters[at : at + step[at]], (step[at],) if step[at] else ()):
                found.append((at, at + length))
                at += length
            at += step[at] == 0
        return tuple(found)

    def cost(self, word: str) -> float:
        """How unlikely a word is, by its place in a list by frequency (Zipf's law); infinite when it is in none."""
        return self._costs.get(word, math.inf)

    @cached_property
    def _costs(self) -> dict[str, float]:
        listed = {word: rank for rank, word in enumerate(self._everyday, 1)}
        ranks = {word: rank for word, rank in listed.items() if len(word) > _SHORT}
        for words, rank in ((self.common, _COMMON_RANK), (self._parts, _TERM_RANK), (self.terms, _TERM_RANK)):
            for word in words:
                if len(word) >= _SHORT:
                    ranks[word] = min(rank, listed.get(word, rank))
        ranks.update((word, rank) for rank, word in enumerate(_SHORTEST.split(), 1))
        scale = math.log(len(ranks) + 1)
        ranks.update((unit, _TERM_RANK) for unit in self._units if unit not in ranks)
        costs = {word: math.log((rank + 1) * scale) for word, rank in ranks.items()}
        return {**{word.translate(_UMLAUTS): cost for word, cost in costs.items()}, **costs}

    @cached_property
    def scrambled(self) -> dict[str, str]:
        """Terms of five letters and more by their outline, and what longer terms may be."""
        longer = (word + ending for word in self.stars if len(word) >= _STEM for ending in _LONGER)
        return _first((outline(word), word) for word in itertools.chain(self._whole, longer) if len(word) >= 5)

    @cached_property
    def jumbled(self) -> dict[str, str]:
        """All words of four letters and more by their outline."""
        return _first((outline(word), word) for word in self._all if len(word) >= 4)

    @cached_property
    def skeletons(self) -> dict[str, str]:
        """Terms by their skeleton."""
        terms = sorted(self._whole, key=lambda term: (self.cost(term), len(term), not term.isascii()))
        return _first((bones, term) for term in terms if (bones := skeleton(term)) != term)

    @cached_property
    def bones(self) -> dict[str, str]:
        """All words by their skeleton, if it has two letters or more."""
        return _first((bones, word) for word in self._all if len(bones := skeleton(word)) >= 2)

    @cached_property
    def sounds(self) -> dict[str, str]:
        """All words by how they sound."""
        return _first((sound(word), word) for word in self._all)

    @cached_property
    def collapsed(self) -> dict[str, str]:
        """Terms of four letters and more by what is left when no letter follows itself."""
        return _first((collapsed(term), term) for term in self._whole if len(term) >= 4)

    @cached_property
    def shapes(self) -> dict[tuple[int, ...], list[str]]:
        """Terms and common words of four letters and more by their steps."""
        found: dict[tuple[int, ...], list[str]] = {}
        for word in dict.fromkeys((*self._whole, *sorted(self.common))):
            if len(word) >= 4 and word.isascii() and word.isalpha():
                found.setdefault(steps(word), []).append(word)
        return found

    @cached_property
    def _all(self) -> list[str]:
        """All words, the likeliest first."""
        return sorted({*self._plain, *self._whole}, key=lambda word: (self.cost(word), len(word), word))

    @cached_property
    def _whole(self) -> tuple[str, ...]:
        """Terms, and everyday words that one of them begins."""
        longer = sorted(word for word in self._plain if len(word) >= 5 and self.known(word))
        return tuple(dict.fromkeys((*self.terms, *longer)))

    @cached_property
    def _lines(self) -> tuple[dict[int, str], dict[int, str]]:
        """Whole terms, and beginnings of terms, of each length in one string, a line each, to search for a mask."""
        ordered = sorted(self._whole, key=lambda term: (not term.isascii(), self.cost(term)))
        return _by_length(ordered), _by_length(self.stars)

    def _masked(self, word: str) -> tuple[str, ...]:
        """The terms, likeliest first, that ``word`` may be where each character that is no letter stands for one."""
        whole, stars = self._lines
        for length in range(len(word), _SHORT, -1):
            pattern = _MASK.sub(".", word[:length])
            lines = whole if length == len(word) else stars
            if pattern.strip(".") and (found := re.findall(f"^{pattern}$", lines.get(length, ""), re.MULTILINE)):
                return tuple(form + word[length:] for form in found[:_MOST_MASKED])
        return ()


def _first(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first value of each key."""
    found: dict[str, str] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _by_length(words: Iterable[str]) -> dict[int, str]:
    lines: dict[int, list[str]] = {}
    for word in words:
        lines.setdefault(len(word), []).append(word)
    return {length: "\n".join(group) for length, group in lines.items()}
