"""Words spelled otherwise on purpose: signs for letters, letters stretched, doubled, masked, dropped or mixed up.

A word changes only if it is not familiar as it is, and only towards a familiar word or, where letters are missing or
moved, a term of the lexicon. Where much of a text is gibberish, any word will do.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from countermark.moderation.folding import LONGEST, WORD
from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.vocabulary import Vocabulary, collapsed, outline

__all__ = ["leetspeak", "repaired"]

_SUSPECT: Final = re.compile(
    r"[^\W\d_][\d@$!|€£¥¢*#+%&?(<\[{\\_•·†-]|[\d@$!|€£¥¢*#+%&?)>\]}/\\_•·†][^\W\d_]|\d[@$!|]|[@$!|]\d|\|[_\\]"
)
_TOKEN: Final = re.compile(r"\S{1,60}")
_PART: Final = re.compile(r"[^-–/\s]+")
_OUTSIDE: Final = ".,;:!?\"'()[]{}<>*_-…“”„«»"
# Several signs for one letter, the longest first.
_SIGNS: Final = {
    "|\\/|": "m", "/\\/\\": "m", "\\/\\/": "w", "|_|": "u", "(_)": "u", "|\\|": "n", "/\\/": "n", "|-|": "h",
    "]-[": "h", "/-\\": "a", "/\\": "a", "\\/": "v", "|<": "k", "|{": "k", "|(": "k", "|)": "d", "|]": "d", "[)": "d",
    "|3": "b", "|2": "r", "|>": "p", "|*": "p", "()": "o", "[]": "o", "><": "x", "}{": "x", "|=": "f", "|_": "l",
    "vv": "w", "ph": "f",
}  # fmt: skip
_SEVERAL: Final = re.compile("|".join(map(re.escape, _SIGNS)))
_READ: Final = {
    "0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t", "8": "b", "9": "g", "@": "a",
    "$": "s", "!": "il", "|": "il", "€": "e", "£": "l", "¥": "y", "¢": "c", "+": "t", "†": "t", "(": "c", "<": "c",
    "{": "c", "#": "h",
}  # fmt: skip
_MOST_READINGS: Final = 32
_ALONE: Final = {"4": "a", "1": "i", "@": "a", "2": "to"}
_ENOUGH: Final = 2  # words in leetspeak that make it the style of the text
_COUNT: Final = re.compile(r"\d+(?:st|nd|rd|th|er|s|x|k|p|d|m|mm|cm|km|kg|fps)")
_MASKED: Final = re.compile(r"[a-zß-ÿ]+(?:(?:[*#?%&•·@$!_]{1,3}|[-.]{2,3})[a-zß-ÿ]+|\*{1,3})+")
_SOUNDS: Final = {"ph": "f", "vv": "w", "z": "s"}
_SAME_SOUND: Final = re.compile("ph|vv|z$")
_TRIPLE: Final = re.compile(r"(.)\1{2,}")
_VOWEL: Final = re.compile("[aeiouyäöü]")
_MIXED_UP: Final = 5  # letters of a term whose inner letters may have changed places
_BONES: Final = 4  # consonants that make a term by themselves
_BONY: Final = 3  # words without vowels that make it the style of the text
_GIBBERISH: Final = 0.3  # share of letters in strange words from which any word will do


def leetspeak(text: MappedText, vocabulary: Vocabulary, other: bool = False) -> MappedText:
    """``text`` (folded) with signs and digits read as the letters that they stand for.

    A word with masked letters may be several: with ``other`` it becomes the second likeliest.
    """
    if not _SUSPECT.search(text.text):
        return text
    tokens = list(_TOKEN.finditer(text.text))
    found = list(_respelt(tokens, vocabulary, False, other))
    if len(found) >= _ENOUGH and 5 * len(found) >= len(tokens):
        found = list(_respelt(tokens, vocabulary, True, other))
    return text.replace(found)


def _respelt(tokens: list[re.Match[str]], vocabulary: Vocabulary, style: bool, other: bool) -> Iterator[Edit]:
    for token in tokens:
        if style and token[0] in _ALONE:
            yield *token.span(), _ALONE[token[0]]
        if len(token[0]) < 2 or token[0].isalpha():
            continue
        edits = list(_read(token[0], vocabulary, style, other))
        yield from ((token.start() + start, token.start() + end, new) for start, end, new in edits)


def _read(token: str, vocabulary: Vocabulary, style: bool, other: bool) -> Iterator[Edit]:
    """The token as a word, or the words between its hyphens."""
    whole = _core(token, vocabulary, style, other)
    if whole is not None:
        yield whole
        return
    parts = list(_PART.finditer(token))
    if len(parts) > 1:
        for part in parts:
            if (edit := _core(part[0], vocabulary, style, other)) is not None:
                yield part.start() + edit[0], part.start() + edit[1], edit[2]


def _core(token: str, vocabulary: Vocabulary, style: bool, other: bool) -> Edit | None:
    cores = (token, token.rstrip(_OUTSIDE), token.lstrip(_OUTSIDE), token.strip(_OUTSIDE), token.strip(f"{_OUTSIDE}|"))
    for core in dict.fromkeys(cores):
        if not 2 <= len(core) <= LONGEST or vocabulary.familiar(core) or _COUNT.fullmatch(core):
            continue
        if new := _word(core, vocabulary, style, other):
            at = token.index(core)
            return at, at + len(core), new
    return None


def _word(core: str, vocabulary: Vocabulary, style: bool, other: bool) -> str:
    best = ""
    for letters, total, form in _forms(core):
        if form == core or not form.isalpha():
            continue
        if letters == 0 and not style and not ("$" in core or "@" in core or "|" in core):
            continue
        if vocabulary.known(form):
            return form
        likely = (style and len(form) > 1) or (2 * letters >= total and len(form) > 2)
        if not best and likely and (vocabulary.sure(form) if len(form) > 2 else form in vocabulary.common):
            best = form
    if best or not _MASKED.fullmatch(core):
        return best
    masked = vocabulary.masked(core) or ("",)
    return masked[-1 if other else 0]


@lru_cache(1 << 12)
def _forms(core: str) -> tuple[tuple[int, int, str], ...]:
    """What ``core`` reads as: letters in it and characters before signs are read as letters, and the reading."""
    found: dict[str, tuple[int, int, str]] = {}
    for text in dict.fromkeys((core, _SEVERAL.sub(lambda match: _SIGNS[match[0]], core))):
        letters = sum(c.isalpha() for c in text)
        choices = [_READ.get(char, char) for char in text]
        for reading in itertools.islice(itertools.product(*choices), _MOST_READINGS):
            form = "".join(reading)
            for once in (form, _TRIPLE.sub(r"\1", form), _TRIPLE.sub(r"\1\1", form)):
                found.setdefault(once, (letters, len(text), once))
    return tuple(found.values())


def repaired(text: MappedText, vocabulary: Vocabulary, other: bool = False) -> MappedText:
    """``text`` (folded) with strange words as they were before letters were stretched, doubled, dropped or mixed up.

    Consonants may be several words: with ``other`` they become the likeliest term instead of the likeliest word.
    """
    found = [(match.span(), match[0]) for match in WORD.finditer(text.text)]
    strange = [
        (span, word)
        for span, word in found
        if 1 < len(word) <= LONGEST and not vocabulary.familiar(word) and word.isalpha()
    ]
    letters = sum(len(word) for _, word in strange)
    gibberish = len(strange) > 1 and letters >= _GIBBERISH * sum(len(word) for _, word in found)
    bony = sum(not _VOWEL.search(word, 1) for _, word in strange)
    words: tuple[dict[str, str], ...] = ()
    if bony >= _BONY and bony >= _GIBBERISH * len(found):
        words = (vocabulary.skeletons, vocabulary.bones) if other else (vocabulary.bones,)
    return text.replace(
        (*span, new) for span, word in strange if (new := _repaired(word, vocabulary, gibberish, words))
    )


def _repaired(word: str, vocabulary: Vocabulary, gibberish: bool, bones: tuple[dict[str, str], ...]) -> str:
    """The term that a strange word may be, or among many strange ones the word."""
    if not _VOWEL.search(word, 1):
        term = vocabulary.skeletons.get(word, "") if len(word) >= _BONES else ""
        return next((table[word] for table in bones if word in table), term)
    if new := _shortened(word, vocabulary) or _heard(word, vocabulary):
        return new
    key = outline(word)
    if not gibberish:
        return vocabulary.scrambled.get(key, "") if len(word) >= _MIXED_UP else ""
    if word[::2] == word[1::2]:
        return word[::2]
    if len(word) < _MIXED_UP - 1:
        return ""
    return vocabulary.jumbled.get(key) or vocabulary.scrambled.get(key) or _swapped(word, vocabulary)


def _shortened(word: str, vocabulary: Vocabulary) -> str:
    """``word`` without the letters by which it was stretched."""
    for once in (_TRIPLE.sub(r"\1", word), _TRIPLE.sub(r"\1\1", word), word[::2] if word[::2] == word[1::2] else word):
        if once != word and vocabulary.sure(once):
            return once
    once = collapsed(word)
    return vocabulary.collapsed.get(once, "") if len(word) - len(once) > 1 else ""


def _heard(word: str, vocabulary: Vocabulary) -> str:
    """The term that ``word`` sounds or looks like: "phuck", "vvoman", "boobz"."""
    form = _SAME_SOUND.sub(lambda match: _SOUNDS[match[0]], word)
    return form if form != word and vocabulary.known(form) else ""


def _swapped(word: str, vocabulary: Vocabulary) -> str:
    """The term that ``word`` is when two neighbouring letters change places."""
    for i in range(1, len(word) - 2):
        form = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        if vocabulary.known(form):
            return form
    return ""
