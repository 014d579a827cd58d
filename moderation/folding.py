"""Disguises of letters undone: normal forms, invisible characters, piled marks, look-alikes of other scripts.

:func:`legible` and :func:`clean` change what never carries meaning. :func:`lookalike` changes a word only if that gives
a word that is known, or if the word mixes scripts. Time is linear in the length of the text.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.vocabulary import LONGEST, Vocabulary, sound

__all__ = ["LONGEST", "WORD", "clean", "legible", "lookalike"]

# Marks that are part of a word, as the vowel signs of Devanagari are; Python's \w leaves them out.
_WITHIN: Final = "".join(sign for sign in map(chr, range(0x300, 0x1100)) if unicodedata.category(sign)[0] == "M")
_WIDE: Final = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # scripts without spaces
# A run of letters and digits; one ends where a script without spaces begins.
WORD: Final = re.compile(f"[{_WIDE}]++|(?:[^\\W_{_WIDE}]++[{_WITHIN}]*+)++")

# Marks that can be piled on a letter in any number, and Arabic vowel signs and lengthened lines, which few write; marks
# that are letters of a script (Devanagari, ...) stay.
_PILED: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0640\u064b-\u0652\u0670\u17b4\u17b5\u180b-\u180d\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f"
    "\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
# Capital letters in brackets, boxes and flags, which NFKC leaves alone or spells with brackets: where they begin.
_ALPHABETS: Final = (0x249C, 0x1F110, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
_BRAILLE_SIGNS: Final = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠜⠪⠳⠮"
_BRAILLE: Final[dict[str, str]] = dict(zip(_BRAILLE_SIGNS, [*"abcdefghijklmnopqrstuvwxyzäöü", "ss"], strict=True))
_SIGNS: Final[dict[str, str]] = {"⭕": "o", "❌": "x", "✖": "x", "❗": "!", "❕": "!", "💲": "$", "➕": "+", "🔤": ""}
# What a text must hold beside unusual characters to need the slow way.
_SPECIAL: Final = re.compile(
    f"{_PILED.pattern}|[\u115f\u1160\u2800-\u28ff\u3164\ufffc\ufffd⭕❌✖❗❕💲➕🔤\u249c-\u24b5\U0001f110-\U0001f1ff]"
)
# Marks of other scripts on a Latin letter.
_MARKED: Final = re.compile(
    "[A-Za-z][\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u0eb1-\u0ebc\u0f71-\u0f84\u302a-\u302f\u3099\u309a]"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SPACES: Final = "\t\n\r\v\f\x85\u2028\u2029\u2800"

# Symbols that stand for letters in fancy alphabets, beside the letters.
_WRITTEN: Final = re.compile(r"(?:[^\W_]|[℘᙭₳฿₵₣₲₭₥₦₱₴₮₩¢∂꒐-꒿꓀-꓆]){1,40}")
_MOST_READINGS: Final = 16
_TELLING: Final = 4  # letters of a word that hardly looks like another one by accident


def legible(text: MappedText) -> MappedText:
    """NFKC without invisible characters, control characters and piled marks; case is kept."""
    return text if _ordinary(text.text) else _normal(text, _upright)


def clean(text: MappedText) -> MappedText:
    """NFKC and case folding, without invisible characters, control characters and piled marks."""
    source = text.text
    if _ordinary(source):
        folded = source.casefold()
        if len(folded) == len(source):
            return text.with_text(folded)
    return _normal(text, _folded)


def _ordinary(text: str) -> bool:
    """Whether nothing is to be done but to fold case."""
    if text.isascii():
        return text.isprintable() or not _CONTROLS.search(text)
    return (
        unicodedata.is_normalized("NFKC", text)
        and text.replace("\n", " ").replace("\t", " ").isprintable()
        and not _SPECIAL.search(text)
        and not _MARKED.search(text)
    )


def _normal(text: MappedText, fold: Callable[[str], str]) -> MappedText:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    fresh = False  # the last piece is one letter that has taken no mark yet
    for i, char in enumerate(text.text):
        piece = fold(char)
        if out and (piece == "" or (not char.isascii() and out[-1].isascii())) and _is_mark(char):
            both = unicodedata.normalize("NFC", out[-1] + char)
            if fresh and len(both) == 1:
                out[-1] = both
                ends[-1] = text.ends[i]
            fresh = False
            continue
        for letter in piece:
            out.append(letter)
            starts.append(text.starts[i])
            ends.append(text.ends[i])
        fresh = len(piece) == 1 if piece else fresh
    return MappedText("".join(out), starts, ends)


@lru_cache(1 << 15)
def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me"}


@lru_cache(1 << 15)
def _folded(char: str) -> str:
    """One character in normal form and case-folded; empty when it is invisible, a control or a piled mark."""
    if char in _SPACES:
        return " "
    return unicodedata.normalize("NFKC", _upright(char).casefold()).replace("i\u0307", "i")  # Turkish capital i


@lru_cache(1 << 15)
def _upright(char: str) -> str:
    """One character in normal form; empty when it is invisible, a control or a piled mark."""
    for first in _ALPHABETS:
        if first <= ord(char) < first + 26:
            return chr(ord("a") + ord(char) - first)
    if char in _SPACES:
        return char if char in "\n\t" else " "
    if "\u2800" <= char <= "\u28ff":
        return _BRAILLE.get(char, "")
    if char in _SIGNS:
        return _SIGNS[char]
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} or _PILED.match(char):
        return ""
    if char in "\u115f\u1160\u3164\uffa0\ufffc\ufffd":
        return ""
    return unicodedata.normalize("NFKC", char)


def lookalike(text: MappedText, vocabulary: Vocabulary) -> MappedText:
    """Letters of other scripts, fancy alphabets and accents made plain Latin where that gives a word.

    A word becomes a term of the lexicon, or a familiar word where most foreign words of the text become one, or, when
    it mixes Latin letters with others, whatever it looks like.
    """
    if text.text.isascii():
        return text
    found = [(match.span(), match[0]) for match in _WRITTEN.finditer(text.text)]
    read = [
        (span, word, _read(word, vocabulary))
        for span, word in found
        if not word.isascii() and not vocabulary.familiar(word)
    ]
    longer = [forms for _, word, forms in read if len(word) >= _TELLING]
    told = sum(any(map(vocabulary.familiar, forms)) for forms in longer)
    wholly = told >= 2 and 3 * told >= 2 * len(longer)
    latin = 2 * len(read) < len(found)
    edits: list[Edit] = []
    for span, word, forms in read:
        mixed = _mixed(word)
        new = next(filter(vocabulary.known, forms), "") if mixed or latin or len(word) > _TELLING else ""
        if not new and (wholly or mixed):
            new = next(filter(vocabulary.familiar, forms), forms[0] if forms else "")
        if new:
            edits.append((*span, new))
    return text.replace(edits)


def _read(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    forms = _readings(word)
    if all("α" <= c <= "ґ" for c in word) and not any(map(vocabulary.known, forms)):
        key = sound(word)
        return tuple(filter(None, (vocabulary.sounds.get(key), *forms, key)))
    return forms


def _mixed(word: str) -> bool:
    """Whether Latin letters stand beside those of another script."""
    return any(c.isascii() and c.isalpha() for c in word) and not all(map(_is_latin, word))


def _plain_accents(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


@lru_cache(1 << 14)
def _readings(word: str) -> tuple[str, ...]:
    """What ``word`` can be taken for in Latin letters: in fancy alphabets, by its looks, without accents."""
    fancy = _fancy()
    word = word.replace("ωι", "ω")  # an omega with a mark under it, case-folded
    choices = [char if char.isascii() else fancy.get(char) or (_base(char), _latin(char)) for char in word]
    forms = (
        *("".join(form) for form in itertools.islice(itertools.product(*choices), _MOST_READINGS)),
        "".join(c if _is_latin(c) else _latin(c) for c in word),
        "".join(c if c in "äöü" else _base(c) for c in word),
        "".join(map(_base, word)),
    )
    return tuple(form for form in dict.fromkeys(forms) if form != word and all(map(_is_latin, form)))


@cache
def _is_latin(char: str) -> bool:
    return char.isascii() or unicodedata.name(char, "").startswith("LATIN")


@lru_cache(1 << 14)
def _base(char: str) -> str:
    """The letter under an accent, a stroke or a hook, or ``char``."""
    plain = _plain_accents(char)
    if plain.isascii():
        return plain
    name = re.match(r"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL|CAPITAL LETTER) ([A-Z])(?: WITH|$)", _name(char))
    return name[1].lower() if name else char


def _name(char: str) -> str:
    return unicodedata.name(char, "") if len(char) == 1 else ""


@cache
def _fancy() -> dict[str, str]:
    """The letters that each character of the alphabets of fancy text stands for.

    Each line of the file is an alphabet from a to z, as the makers of such text use it.
    """
    lines = (files("countermark.moderation") / "data" / "alphabets.txt").read_text("utf-8").splitlines()
    table: dict[str, str] = {}
    for line in lines:
        for char, letter in zip(line, "abcdefghijklmnopqrstuvwxyz", strict=True):
            for form in {_folded(char), char.casefold()}:
                if not char.isascii() and letter not in table.get(form, ""):
                    table[form] = table.get(form, "") + letter
    return table


@lru_cache(1 << 14)
def _latin(char: str) -> str:
    """The Latin letter that ``char`` looks like, or ``char`` (confusables.txt of Unicode TS 39)."""
    from confusable_homoglyphs import confusables  # 60 ms: only for text that has other scripts

    for form in (char, char.upper()):
        for entry in confusables.confusables_data.get(form, ()):
            letter = str(entry["c"])
            if letter.isascii() and letter.isalpha():
                return letter.lower()
    return char
