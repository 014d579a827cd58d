"""Words put together that were split, and taken apart that were run together.

Letters spread out, words split by signs, brackets, quotation marks or spaces, text without spaces or with spaces at
random. Everything goes towards words that the vocabulary has; two everyday words are never joined.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from countermark.moderation.folding import LONGEST, WORD
from countermark.moderation.mapped import Edit, MappedText, apart
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["joined", "split"]

_LETTERS: Final = re.compile(r"(?<![^\W_])[^\W\d_](?:[\W_]{1,4}[^\W\d_](?![^\W_])){2,}")
_LETTER: Final = re.compile(r"[^\W\d_]")
_PIECES: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:(?:[^\w\s]|_){1,3}[^\W\d_]++){1,11}")
_LOOSE: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?: ?[-–—+_|/~*.•·]{1,3} ?[^\W\d_]++){1,11}")
_RUN_TOGETHER: Final = 8  # letters of a strange word that may be several
_LONG_WORD: Final = 16  # letters from which even that may be several
_PARTS: Final = 3  # words that are looked for in one that is run together
_LONG_PART: Final = 5  # letters of a term that may be one of only two
_FUNCTION: Final = 3  # letters of a function word, one of which tells three words from a compound
_LONG_PIECES: Final = 4.4  # letters that pieces between spaces at random have on average, at most
_WHOLE_PIECES: Final = 0.7  # share of them that may be words
_FEWER: Final = 0.85  # times as many words as pieces, at most
_PLAUSIBLE: Final = 2.4  # cost of a letter in text that is likely cut where its words end
_UNLIKELY: Final = 30.0  # cost of what is no word
_COVERED: Final = 0.85  # share of letters that must be in words once spaces are put right
_MEAN: Final = 2.5  # letters that words must have on average
_SPACE: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:\s[^\W\d_]++){2,}")


def joined(text: MappedText, vocabulary: Vocabulary) -> MappedText:
    """``text`` (folded) with words put together that were split."""
    edits = sorted([*_spread(text.text, vocabulary), *_signs(text.text, vocabulary)])
    text = text.replace(apart(edits))
    text = text.replace(_respaced(text.text, vocabulary))
    return text.replace(_spaces(text.text, vocabulary))


def _spread(text: str, vocabulary: Vocabulary) -> Iterator[Edit]:
    """Runs of single letters: cut where the separator changes, else where known words end."""
    for run in _LETTERS.finditer(text):
        places = [match.start() + run.start() for match in _LETTER.finditer(run[0])]
        gaps = [text[a + 1 : b] for a, b in itertools.pairwise(places)]
        usual = Counter(gaps).most_common(1)[0][0]
        cuts = [0, *(i + 1 for i, gap in enumerate(gaps) if gap != usual), len(places)]
        words = tuple(itertools.pairwise(cuts))
        if len(words) == 1:
            words = vocabulary.segments("".join(text[at] for at in places))
        for a, b in words:
            if b - a > 1:
                yield places[a], places[b - 1] + 1, "".join(text[at] for at in places[a:b])


def _signs(text: str, vocabulary: Vocabulary) -> Iterator[Edit]:
    """Words split by signs; with spaces around the signs, only terms of the lexicon."""
    for pattern, is_word in ((_PIECES, vocabulary.sure), (_LOOSE, vocabulary.known)):
        for match in pattern.finditer(text):
            word = "".join(WORD.findall(match[0]))
            if 4 <= len(word) <= LONGEST and is_word(word):
                yield (*match.span(), word)


def split(text: MappedText, vocabulary: Vocabulary) -> MappedText:
    """``text`` (folded) with words taken apart that were run together."""
    return text.replace(_split(text.text, vocabulary))


def _split(text: str, vocabulary: Vocabulary) -> Iterator[Edit]:
    for match in WORD.finditer(text):
        word = match[0]
        if len(word) < _RUN_TOGETHER or not word.isalpha() or vocabulary.listed(word):
            continue
        known = vocabulary.familiar(word)  # as the beginning of a longer one, such as a German compound
        if known and len(word) < _LONG_WORD:
            continue
        parts = vocabulary.segments(word)
        words = [word[a:b] for a, b in parts]
        function = any(len(part) <= _FUNCTION and part in vocabulary.common for part in words)
        enough = len(parts) > _PARTS or (not known and len(parts) == _PARTS and function)
        terms = all(len(part) >= _LONG_PART and part in vocabulary.terms for part in words)
        spaced = _spaced(word, parts)
        if (enough or terms) and _fits(word, parts) and _cost(spaced, vocabulary) <= _PLAUSIBLE * len(word):
            yield *match.span(), spaced


def _fits(letters: str, parts: Sequence[tuple[int, int]]) -> bool:
    covered = sum(b - a for a, b in parts)
    return covered >= _COVERED * len(letters) and covered >= _MEAN * len(parts)


def _cost(words: str, vocabulary: Vocabulary) -> float:
    return sum(min(vocabulary.cost(word), _UNLIKELY) for word in words.split())


def _spaced(letters: str, parts: Sequence[tuple[int, int]]) -> str:
    edges = sorted({0, len(letters), *itertools.chain.from_iterable(parts)})
    return " ".join(letters[a:b] for a, b in itertools.pairwise(edges))


def _respaced(text: str, vocabulary: Vocabulary) -> Iterator[Edit]:
    """Text with spaces at random: rows of words and pieces of words."""
    for row in _SPACE.finditer(text):
        pieces = row[0].split()
        letters = "".join(pieces)
        whole = sum(piece in "ai" or (len(piece) > 1 and vocabulary.sure(piece)) for piece in pieces)
        if len(letters) > _LONG_PIECES * len(pieces) or whole > min(_WHOLE_PIECES * len(pieces), len(pieces) - 2):
            continue
        parts = vocabulary.segments(letters)
        words = _spaced(letters, parts)
        fewer = len(words.split()) <= _FEWER * len(pieces)
        likely = fewer or _cost(words, vocabulary) <= _PLAUSIBLE * len(letters)
        before = sum(len(piece) for piece in pieces if vocabulary.listed(piece))
        if likely and _fits(letters, parts) and sum(b - a for a, b in parts) > before:
            yield *row.span(), words


def _spaces(text: str, vocabulary: Vocabulary) -> Iterator[Edit]:
    """Terms split by one space."""
    last: re.Match[str] | None = None
    for match in WORD.finditer(text):
        apart = last is not None and text[last.end() : match.start()] == " "
        if last is not None and apart and _belong(last[0], match[0], vocabulary):
            yield last.start(), match.end(), last[0] + match[0]
            last = None
        else:
            last = match


def _belong(first: str, second: str, vocabulary: Vocabulary) -> bool:
    """Whether two words make a term that is in neither of them."""
    if not 5 <= len(first) + len(second) <= 20 or (first in vocabulary.common and second in vocabulary.common):
        return False
    word = first + second
    if vocabulary.familiar(first) and vocabulary.familiar(second):
        return vocabulary.listed(word) and vocabulary.known(word)
    return vocabulary.known(word) and not vocabulary.known(first) and word.isalpha()
