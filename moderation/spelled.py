"""Letters spelled as numbers, signals or words: ASCII codes, places in the alphabet, Morse, spelling alphabets.

Where the code does not say where words end, they are cut where known words end.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from countermark.moderation.folding import WORD
from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.plausible import language
from countermark.moderation.source import Source
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["morse", "numbers", "spelling_alphabet"]

_DIGIT: Final = re.compile(r"[0-9]{2}|[0-9][\W_]{1,3}[0-9]")
_NUMBERS: Final = re.compile(r"(?:0[bo])?[0-9]{1,64}(?:[\W_]{1,4}(?:0[bo])?[0-9]{1,64}){3,}|[0-9]{12,}")
_NUMBER: Final = re.compile(r"(?:0[bo])?([0-9]+)")
_LEAST: Final = 4  # letters
_MOST_FORMS: Final = 16
_READABLE: Final = 0.5  # share of letters that must be in familiar words

_SIGNAL: Final = re.compile(r"[.\-_–—−·•*]{1,7}[\s/|]{1,5}[.\-_–—−·•*]{1,7}(?:[\s/|]|$)")
_MORSE: Final = re.compile(r"(?<![\w.–—−·•*-])[.\-_–—−·•*]{1,7}(?:[\s/|]{1,5}[.\-_–—−·•*]{1,7}){3,}(?![\w.–—−·•*-])")
_SIGNS: Final = str.maketrans("_–—−·•*", "----...")
_MORSE_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzäöüß0123456789"
_MORSE_CODES: Final = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    ".-.- ---. ..-- ...--.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)
_CODES: Final = dict(zip(_MORSE_CODES.split(), _MORSE_LETTERS, strict=True))

_NATO: Final = (
    "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec romeo"
    " sierra tango uniform victor whiskey xray yankee zulu alpha juliet whisky"
)
_DIN: Final = (
    "anton berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann ludwig martha nordpol otto paula quelle"
    " richard samuel theodor ulrich viktor wilhelm xanthippe ypsilon zacharias ärger ökonom übermut siegfried zeppelin"
)
_NAMES: Final = {word: "ss" if word == "eszett" else word[0] for word in f"{_NATO} {_DIN} eszett x-ray".split()}
_NAMED: Final = re.compile(r"x-ray|[^\W_]+", re.IGNORECASE)


def _cut(letters: Sequence[str], gaps: Sequence[str], vocabulary: Vocabulary) -> str:
    """Letters with spaces where the gap is not the usual one; where all gaps are alike, where known words end."""
    line = "".join(letters)
    if "_" in line:  # a sign for the space between words
        return line.replace("_", " ")
    usual = Counter(gaps).most_common(1)[0][0]
    if any(gap != usual for gap in gaps):
        spaces = [" " if gap != usual else "" for gap in gaps]
        return letters[0] + "".join(space + letter for space, letter in zip(spaces, letters[1:], strict=True))
    edges = sorted({0, len(line), *itertools.chain.from_iterable(vocabulary.segments(line))})
    return " ".join(line[a:b] for a, b in itertools.pairwise(edges))


def _reads(text: str, vocabulary: Vocabulary) -> bool:
    words = WORD.findall(text.casefold())
    return sum(map(len, words)) >= _LEAST and vocabulary.plainness(words) >= _READABLE


def numbers(source: Source) -> MappedText:
    """Numbers in a row: ASCII codes in binary, octal or decimal, places in the alphabet, tap code, keys of a phone."""
    if not _DIGIT.search(source.text):
        return source.mapped
    edits: list[Edit] = []
    for match in _NUMBERS.finditer(source.text):
        found = list(_NUMBER.finditer(match[0]))
        gaps = [match[0][a.end() : b.start()] for a, b in itertools.pairwise(found)]
        if new := _told([number[1] for number in found], gaps, source.vocabulary):
            edits.append((*match.span(), new))
    return source.mapped.replace(edits)


def _told(digits: list[str], gaps: list[str], vocabulary: Vocabulary) -> str:
    """The likeliest text: the one with most letters in familiar words, or, if there is none, what bytes say."""
    texts = [new for raw in _raw(digits) if (new := language(raw, vocabulary))]
    lettered = [_cut(letters, gaps, vocabulary) for letters in _lettered(digits)] if len(digits) >= _LEAST else []
    tapped = [_with_k(_cut(letters, gaps, vocabulary), vocabulary) for letters in _tapped(digits)]
    read = [*texts, *lettered, *tapped]
    plain = [new for new in read if _reads(new, vocabulary)]
    if plain:
        return max(plain, key=lambda new: vocabulary.plainness(WORD.findall(new.casefold())))
    return max(texts, key=_lettered_share, default="")


def _lettered_share(text: str) -> float:
    return sum(c.isalnum() or c == " " for c in text) / len(text)


def _with_k(text: str, vocabulary: Vocabulary) -> str:
    """``text`` with k for c in words that need it, since the tap code has one sign for both."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if "c" in word:
            options = ("ck" if letter == "c" else letter for letter in word)
            forms = map("".join, itertools.islice(itertools.product(*options), _MOST_FORMS))
            words[i] = min((form for form in forms if vocabulary.sure(form)), key=vocabulary.cost, default=word)
    return " ".join(words)


def _raw(digits: list[str]) -> Iterator[bytes]:
    """Bytes that a row of numbers may be."""
    line = "".join(digits)
    if not line.strip("01"):
        for width in (8, 7):
            apart = len(digits) > 1 and {len(number) for number in digits} <= {width, width - 1}
            groups = digits if apart else _groups(line, width)
            yield bytes(int(group, 2) for group in groups)
            if apart:
                break
        return
    if len(digits) == 1:
        yield bytes(int(group) & 255 for group in re.findall(r"1\d\d|\d\d", line))
        digits = _groups(line, 3)
    codes = [int(number) for number in digits if len(number) <= 4]
    if len(codes) == len(digits) and max(codes) < 256:
        yield bytes(codes)
    if not set(line) & {"8", "9"} and all(2 <= len(number) <= 4 for number in digits):
        yield bytes(int(number, 8) & 255 for number in digits)


def _groups(line: str, width: int) -> list[str]:
    return [line[i : i + width] for i in range(0, len(line) - width + 1, width)]


def _lettered(digits: list[str]) -> Iterator[list[str]]:
    """Letters that a row of numbers may be."""
    if all(len(number) <= 2 and int(number) <= 27 for number in digits):
        for first in (1, 0):
            yield [_letter(int(number) - first) for number in digits]
    if all(len(set(number)) == 1 and len(number) <= len(_KEYS.get(number[0], "")) for number in digits):
        yield [_KEYS[number[0]][len(number) - 1] for number in digits]


def _tapped(digits: list[str]) -> Iterator[list[str]]:
    """Letters by row and column of a square, or by column and row."""
    if len(digits) >= _LEAST and all(len(number) == 2 and set(number) <= set("12345") for number in digits):
        for down, across in ((0, 1), (1, 0)):
            yield [_SQUARE[5 * (int(number[down]) - 1) + int(number[across]) - 1] for number in digits]


_SQUARE: Final = "abcdefghijlmnopqrstuvwxyz"  # five rows of five; c stands for k
_KEYS: Final = {  # letters on the keys of a phone
    "2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv", "9": "wxyz", "0": "_",
}  # fmt: skip


def _letter(place: int) -> str:
    return chr(ord("a") + place) if 0 <= place < 26 else " "


def morse(source: Source) -> MappedText:
    """Morse code of dots and dashes of any look; ``/``, ``|``, a line's end or two spaces and more end a word."""
    if not _SIGNAL.search(source.text):
        return source.mapped
    edits: list[Edit] = []
    for match in _MORSE.finditer(source.text):
        signals = match[0].translate(_SIGNS)
        words = [part.split() for part in re.split(r"[/|\n]| {2,}", signals)]
        letters = [["".join(_CODES.get(code, "")) for code in word] for word in words if word]
        if len(letters) == 1:
            new = _cut(letters[0], [" "] * (len(letters[0]) - 1), source.vocabulary)
        else:
            new = " ".join("".join(word) for word in letters)
        if _reads(new, source.vocabulary):
            edits.append((*match.span(), new))
    return source.mapped.replace(edits)


def spelling_alphabet(source: Source) -> MappedText:
    """Letters by the words of NATO's or the German spelling alphabet, four in a row or more."""
    if _NAMES.keys().isdisjoint(word for _, _, word in source.words):
        return source.mapped
    edits: list[Edit] = []
    for named, run in itertools.groupby(_NAMED.finditer(source.text), key=lambda word: word[0].casefold() in _NAMES):
        spelled = list(run)
        if named and len(spelled) >= _LEAST:
            gaps = [source.text[a.end() : b.start()] for a, b in itertools.pairwise(spelled)]
            new = _cut([_NAMES[word[0].casefold()] for word in spelled], gaps, source.vocabulary)
            if _reads(new, source.vocabulary):
                edits.append((spelled[0].start(), spelled[-1].end(), new))
    return source.mapped.replace(edits)
