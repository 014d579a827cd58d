"""Ciphers that put a letter for a letter, and letters or words in another order.

A run of strange words is read anew as a whole if most of its letters are then in familiar words; a single word only if
it becomes a term of the lexicon. Ciphers that turn words around are tried with and without those that shift letters.
"""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import mul
from typing import Final

from countermark.moderation.folding import WORD
from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.source import Source
from countermark.moderation.vocabulary import LONGEST, steps

__all__ = ["caesar", "filler", "keyboard", "pig_latin", "reversed_order", "reversed_words", "rot47", "upside_down"]

_ABC: Final = string.ascii_lowercase
_SHORTEST: Final = 4  # letters of a word that is read anew by itself; shorter ones are words of some language anyway
_SURE: Final = 6  # the same where 25 shifts are tried
_FEWEST: Final = 7  # letters of familiar words that make a run language
_LONG: Final = 12  # letters that tell a shift by how often each of them stands there
_TRIED: Final = 3  # likely shifts that are tried
_ROT13: Final = 13
# How often the letters from a to z stand in English and German text, in thousandths.
_OFTEN: Final = (74, 17, 29, 45, 145, 19, 25, 45, 72, 2, 9, 36, 25, 84, 51, 13, 1, 66, 66, 77, 35, 9, 20, 1, 10, 6)

Turn = Callable[[str], str]
Shift = tuple[int, int, bool]  # sign and offset of the places in the alphabet; whether words are turned around


def _recast(source: Source, turn: Turn, shortest: int = _SHORTEST) -> MappedText:
    """``source`` with its strange words turned; all of it where that is most of the text."""
    runs = [run for run in source.runs if _gains(source, run, turn)]
    count = sum(len(run) for run in runs)
    if 2 * count > len(source.words):
        runs = [range(len(source.words))]
    edits = [_turned(source, i, turn) for run in runs for i in run]
    if not edits:
        known = source.vocabulary.known
        edits = [
            edit
            for i in source.strange
            if shortest <= len(source.words[i][2]) <= LONGEST
            and known((edit := _turned(source, i, turn))[2].casefold())
        ]
    return source.mapped.replace(edits)


def _turned(source: Source, i: int, turn: Turn) -> Edit:
    start, end, _ = source.words[i]
    return start, end, turn(source.text[start:end])


def _gains(source: Source, run: range, turn: Turn) -> bool:
    words = [source.words[i][2] for i in run]
    total = sum(map(len, words))
    if total < _FEWEST:
        return False
    gained = _familiar(source, (turn(word) for word in words))
    return gained >= _FEWEST and 2 * gained >= total and gained > 2 * _familiar(source, words)


def _familiar(source: Source, words: Iterable[str]) -> int:
    """Letters in familiar words; in those of three letters and less only if they are common."""
    vocabulary = source.vocabulary
    return sum(
        len(word) for word in words if (vocabulary.familiar(word) if len(word) > 3 else word in vocabulary.common)
    )


def caesar(source: Source) -> MappedText:
    """Caesar ciphers with any shift and Atbash with any; the words may be written backwards as well."""
    for shift in _shifts(source):
        sign, offset, around = shift
        turn = _turner(sign, offset, around)
        usual = not around and ((sign > 0 and offset == _ROT13) or (sign < 0 and offset == 25))
        turned = _recast(source, turn, _SHORTEST if usual else _SURE)
        if turned is not source.mapped:
            return turned
    return source.mapped


def _turner(sign: int, offset: int, around: bool) -> Turn:
    plain = "".join(_ABC[(sign * place + offset) % 26] for place in range(26))
    table = str.maketrans(_ABC + _ABC.upper(), plain + plain.upper())
    return lambda word: word.translate(table)[:: -1 if around else 1]


def _shifts(source: Source) -> Iterator[Shift]:
    """The likeliest ciphers, by the words that strange ones would become, then by how often letters are used."""
    votes: Counter[Shift] = Counter()
    counts = [0] * 26
    for i in source.strange:
        word = source.words[i][2]
        if len(word) >= _SHORTEST and word.isascii() and word.isalpha():
            votes.update(_votes(source, word))
            for letter in word:
                counts[ord(letter) - ord("a")] += 1
    likely = [shift for shift, _ in votes.most_common(_TRIED)]
    yield from likely
    if sum(counts) >= _LONG and 2 * sum(counts) > sum(len(word) for _, _, word in source.words):
        yield from (shift for shift in _frequent(counts) if shift not in likely)


def _votes(source: Source, word: str) -> dict[Shift, int]:
    shapes = source.vocabulary.shapes
    shape = steps(word)
    mirrored = tuple(-step % 26 for step in shape)
    first, last = ord(word[0]) - ord("a"), ord(word[-1]) - ord("a")
    found: dict[Shift, int] = {}
    for steps_, sign, at, around in (
        (shape, 1, first, False),
        (mirrored, -1, first, False),
        (mirrored[::-1], 1, last, True),
        (shape[::-1], -1, last, True),
    ):
        for plain in shapes.get(steps_, ()):
            offset = (ord(plain[0]) - ord("a") - sign * at) % 26
            if (sign, offset) != (1, 0):
                found[sign, offset, around] = len(word)
    return found


def _frequent(counts: list[int]) -> list[Shift]:
    """The shifts under which letters are used most as they are in language."""
    scores: list[tuple[int, Shift]] = []
    for sign in (1, -1):
        turned = counts if sign > 0 else [counts[-place % 26] for place in range(26)]
        for offset in range(26):
            if (sign, offset) != (1, 0):
                scores.append((sum(map(mul, turned[-offset:] + turned[:-offset], _OFTEN)), (sign, offset, False)))
    return [shift for _, shift in sorted(scores, reverse=True)[:_TRIED]]


def reversed_words(source: Source) -> MappedText:
    """Text written from the end to the beginning: all of it, or word by word."""
    if not source.strange:
        return source.mapped
    turned = source.mapped.reversed()
    backwards = [word[::-1] for _, _, word in source.words]
    gained = _familiar(source, backwards)
    if gained >= _FEWEST and gained > 2 * _familiar(source, (word for _, _, word in source.words)):
        return turned
    return _recast(source, lambda word: word[::-1])


def reversed_order(source: Source) -> MappedText:
    """Words from the last to the first, where more pairs of the lexicon's phrases stand that way round."""
    phrases = source.vocabulary.phrases
    words = [word for _, _, word in source.words]
    onward = sum(pair in phrases for pair in itertools.pairwise(words))
    back = sum(pair in phrases for pair in itertools.pairwise(words[::-1]))
    if back <= onward:
        return source.mapped
    text = source.text
    return source.mapped.collect((start, end, f"{text[start:end]} ") for start, end, _ in reversed(source.words))


_VOWEL: Final = "[aeiouyäöü]"
_FILLERS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # A syllable before each vowel (nubude), or after it, with the vowel again (nubudebe).
        *(f"{syllable}(?={_VOWEL})()" for syllable in ("ub", "ob", "op", "ab", "eg", "ag", "idig", "ithag")),
        rf"({_VOWEL}{{1,2}})(?:b|p|g|d|f|lef|def|hedef)\1",
    )
)
_FILLED: Final = re.compile(rf"(?:ub|ob|op|ab|eg|ag|idig|ithag){_VOWEL}|({_VOWEL})\w{{1,5}}?\1")


def pig_latin(source: Source) -> MappedText:
    """Words whose first consonants went to the end, before "ay"."""
    words = [word for _, _, word in source.words]
    if 2 * sum(word.endswith("ay") for word in words) <= len(words) or not source.strange:
        return source.mapped

    def turn(word: str) -> str:
        folded = word.casefold()
        if not folded.endswith("ay") or len(folded) < 3:
            return word
        stem = folded[:-2]
        moved = [stem[-k:] + stem[:-k] for k in range(1, min(5, len(stem)))]
        forms = [stem[:-1]] * (stem[-1] in "wy") + moved + [stem]
        sure = filter(source.vocabulary.sure, forms)
        return min(sure, key=source.vocabulary.cost, default=forms[0])

    return _recast(source, turn)


def filler(source: Source) -> MappedText:
    """Syllables put in at each vowel, as children's languages have them."""
    if not source.wordy or len(_FILLED.findall(source.text)) < len(source.strange):
        return source.mapped
    words = [source.words[i][2] for i in source.strange]
    best = max(_FILLERS, key=lambda pattern: _familiar(source, (pattern.sub(r"\1", word) for word in words)))
    return _recast(source, lambda word: best.sub(r"\1", word), _SURE)


_ROWS: Final = ("qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./")
_LEFT: Final = str.maketrans({b: a for row in _ROWS for a, b in itertools.pairwise(row)})
_RIGHT: Final = str.maketrans({a: b for row in _ROWS for a, b in itertools.pairwise(row)})
_RUSSIAN: Final = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
_ROT47: Final = str.maketrans({chr(33 + i): chr(33 + (i + 47) % 94) for i in range(94)})
_TOKENS: Final = re.compile(r"\S+")
_PUNCTUATION: Final = ".,;:!?\"'()"
_FEW: Final = 2  # places where signs stand among letters, in text that may be rot47
_MANY: Final = 0.2  # share of signs that makes it likely even where they stand by themselves
_SIGN: Final = re.compile(r"[!-@\[-`{-~]")
_MIXED: Final = re.compile(r"[A-Za-z][!-@\[-`{-~][!-~]|[!-@\[-`{-~]{2}[A-Za-z]")


def rot47(source: Source) -> MappedText:
    """The Caesar cipher of all printable ASCII characters."""
    signs = len(_SIGN.findall(source.text))
    if len(_MIXED.findall(source.text)) < _FEW and signs < _MANY * len(source.text):
        return source.mapped
    return _retyped(source, lambda text: text.translate(_ROT47))


def keyboard(source: Source) -> MappedText:
    """Keys struck one too far to the right or left, and English typed on a Russian keyboard."""
    if not source.text.isascii() and any("а" <= char <= "я" for char in source.text):
        return _retyped(source, lambda text: text.lower().translate(_RUSSIAN))
    if not source.wordy:
        return source.mapped
    left = _retyped(source, lambda text: text.lower().translate(_LEFT))
    return left if left is not source.mapped else _retyped(source, lambda text: text.lower().translate(_RIGHT))


def _retyped(source: Source, turn: Turn) -> MappedText:
    """``source`` with those runs of tokens turned that are no words before and mostly familiar ones after."""
    edits: list[Edit] = []
    plain = _familiar(source, (word for _, _, word in source.words))
    gibberish = 3 * plain < sum(len(word) for _, _, word in source.words)
    for run in [list(_TOKENS.finditer(source.text))] if gibberish else _odd(source):
        new = [(*token.span(), turn(token[0])) for token in run]
        words = [word.casefold() for word in WORD.findall(" ".join(text for _, _, text in new))]
        gained = _familiar(source, words)
        if gained >= _FEWEST and 2 * gained >= sum(map(len, words)):
            edits += new
    return source.mapped.replace(edits)


def _odd(source: Source) -> list[list[re.Match[str]]]:
    """Runs of tokens that are no familiar words."""
    familiar = source.vocabulary.familiar
    runs = itertools.groupby(
        _TOKENS.finditer(source.text), key=lambda token: familiar(token[0].strip(_PUNCTUATION).casefold())
    )
    return [list(run) for plain, run in runs if not plain]


_TURNED: Final = str.maketrans("ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz∀ƆƎℲ⅁⅂Ԁᴚ⅄ı¡¿ᵷ", f"{_ABC}acefglpryi!?g")
_ONLY_TURNED: Final = re.compile("[ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ∀ƎℲ⅂⅄ᵷ]")


def upside_down(source: Source) -> MappedText:
    """Letters turned by half a circle, in the order of a turned line or in the usual one."""
    if source.text.isascii() or len(_ONLY_TURNED.findall(source.text)) < 2:
        return source.mapped
    upright = source.mapped.with_text(source.text.translate(_TURNED))
    turned = upright.reversed()
    both = [_familiar(source, (word.casefold() for word in WORD.findall(text.text))) for text in (turned, upright)]
    return turned if both[0] >= both[1] else upright
