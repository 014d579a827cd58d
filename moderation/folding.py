"""Views that undo disguises of letters and words: normal forms, look-alikes, leetspeak, split words.

All of them change a word only towards one that the lexicon knows (``known``), except the Unicode normal form and the
look-alikes in words of mixed script, which never carry meaning. Time is linear in the length of the text.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from countermark.moderation.mapped import Edit, MappedText

__all__ = ["Known", "bare", "clean", "joined", "lookalike", "spelling"]

Known = Callable[[str], bool]

WORD: Final = re.compile(r"[^\W_]+")
LONGEST: Final = 40  # characters of a word beyond which no spelling is tried
_SPREAD: Final = 18  # letters of the longest word that is looked for in a run of letters

# Marks that can be piled on a letter in any number; marks that are letters of a script (Devanagari, ...) stay.
_PILED: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
# Capital letters in boxes and flags, which NFKC leaves alone: first code point of each alphabet.
_ALPHABETS: Final = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)

_LEET: Final = str.maketrans("0134578@$!|€", "oieastbasiie")
_LEET_L: Final = str.maketrans("0134578@$!|€", "oleastbaslle")
_LEET_CHARS: Final = frozenset("0134578@$!|€")
_LEET_WORD: Final = re.compile(r"[\w@$!|€]++")
_TRIPLE: Final = re.compile(r"(.)\1{2,}")

_LETTERS: Final = re.compile(r"(?<![^\W_])[^\W\d_](?:[\W_]{1,3}[^\W\d_](?![^\W_])){2,}")
_PIECES: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:[-._*~|/'’+·•]{1,2}[^\W\d_]++){1,11}")


def clean(text: MappedText) -> MappedText:
    """NFKC and case folding, without invisible characters, control characters and piled marks."""
    source = text.text
    if source.isascii() and (source.isprintable() or not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", source)):
        return text.with_text(source.lower())
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    fresh = False  # the last piece is one letter that has taken no mark yet
    for i, char in enumerate(source):
        piece = _folded(char)
        if piece == "" and _PILED.match(char) and out and fresh:
            both = unicodedata.normalize("NFC", out[-1] + char)
            if len(both) == 1:
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


@cache
def _folded(char: str) -> str:
    """One character in normal form and case-folded; empty when it is invisible, a control or a piled mark."""
    for first in _ALPHABETS:
        if first <= ord(char) < first + 26:
            return chr(ord("a") + ord(char) - first)
    if char in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} or _PILED.match(char) or char in "\u115f\u3164":
        return ""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())


def _foreign_words(text: MappedText) -> Iterator[tuple[str, tuple[int, int]]]:
    """Words with letters beyond ASCII, and where they stand; overlong ones are passed over."""
    for match in WORD.finditer(text.text):
        if not match[0].isascii() and len(match[0]) <= LONGEST:
            yield match[0], match.span()


def bare(text: MappedText, known: Known) -> MappedText:
    """Accents taken from words that the lexicon knows only without them."""
    if text.text.isascii():
        return text
    edits: list[Edit] = []
    for word, span in _foreign_words(text):
        plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
        if plain != word and known(plain) and not known(word):
            edits.append((*span, plain))
    return text.replace(edits)


@cache
def _latin(char: str) -> str:
    """The Latin letter that ``char`` looks like, or ``char`` (confusables.txt of Unicode TS 39)."""
    from confusable_homoglyphs import confusables  # 60 ms: only for text that has other scripts

    for form in (char, char.upper()):
        for entry in confusables.confusables_data.get(form, ()):
            letter = str(entry["c"])
            if letter.isascii() and letter.isalpha():
                return letter.lower()
    return char


def lookalike(text: MappedText, known: Known) -> MappedText:
    """Look-alike letters made Latin, in words of mixed script and in words that the lexicon then knows."""
    if text.text.isascii():
        return text
    edits: list[Edit] = []
    for word, span in _foreign_words(text):
        plain = "".join(c if _is_latin(c) else _latin(c) for c in word)
        mixed = any(_is_latin(c) and c.isalpha() for c in word)
        if plain != word and all(map(_is_latin, plain)) and (mixed or known(plain)):
            edits.append((*span, plain))
    return text.replace(edits)


@cache
def _is_latin(char: str) -> bool:
    return char.isascii() or unicodedata.name(char, "").startswith("LATIN")


def spelling(text: MappedText, known: Known) -> MappedText:
    """Leetspeak and stretched letters undone, in words that ``known`` then knows."""
    edits: list[Edit] = []
    for match in _LEET_WORD.finditer(text.text):
        word = match[0]
        if len(word) <= LONGEST and not (word.isalpha() and not _TRIPLE.search(word)):
            length, new = _respelt(word, known)
            if new:
                edits.append((match.start(), match.start() + length, new))
    return text.replace(edits)


def _respelt(word: str, known: Known) -> tuple[int, str]:
    """How many characters of ``word`` read as a known word, and that word; ``(0, "")`` when none does."""
    for core in dict.fromkeys((word, word.rstrip("!|"))):
        if not any(c.isalpha() for c in core) and not ("$" in core or "@" in core):
            continue
        leet = _LEET_CHARS.intersection(core)
        for form in (core.translate(_LEET), core.translate(_LEET_L)) if leet else (core,):
            for candidate in (form, _TRIPLE.sub(r"\1", form), _TRIPLE.sub(r"\1\1", form)):
                if candidate != core and candidate.isalpha() and known(candidate):
                    return len(core), candidate
    return 0, ""


def joined(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """Words put together that were spread out letter by letter, or split by signs or a space.

    ``common`` are short everyday words: two of them are never joined over a space ("pen is").
    """
    edits = sorted([*_spread(text.text, known, common), *_signs(text.text, known)])
    return _spaces(text.replace(_apart(edits)), known, common)


def _apart(edits: list[Edit]) -> Iterator[Edit]:
    at = 0
    for edit in edits:
        if edit[0] >= at:
            yield edit
            at = edit[1]


def _spread(text: str, known: Known, common: frozenset[str]) -> Iterator[Edit]:
    """Runs of single letters: cut where the separator changes, else where known words end."""
    for run in _LETTERS.finditer(text):
        places = [m.start() + run.start() for m in re.finditer(r"[^\W\d_]", run[0])]
        gaps = [text[a + 1 : b] for a, b in itertools.pairwise(places)]
        usual = Counter(gaps).most_common(1)[0][0]
        cuts = [0, *(i + 1 for i, gap in enumerate(gaps) if gap != usual), len(places)]
        words = [(a, b) for a, b in itertools.pairwise(cuts)]
        if len(words) == 1:
            words = _segments("".join(text[p] for p in places), known, common)
        for a, b in words:
            if b - a > 1:
                yield places[a], places[b - 1] + 1, "".join(text[p] for p in places[a:b])


def _segments(letters: str, known: Known, common: frozenset[str]) -> list[tuple[int, int]]:
    """The known words that cover ``letters`` best (the sum of their squared lengths), by dynamic programming."""
    best = [0] * (len(letters) + 1)
    step = [1] * (len(letters) + 1)
    for start in range(len(letters) - 1, -1, -1):
        best[start] = best[start + 1]
        for length in range(2, min(_SPREAD, len(letters) - start) + 1):
            score = length * length + best[start + length]
            if score > best[start]:
                word = letters[start : start + length]
                if word in common or (length > 2 and known(word)):
                    best[start], step[start] = score, length
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(letters):
        if step[at] > 1:
            found.append((at, at + step[at]))
        at += step[at]
    return found


def _signs(text: str, known: Known) -> Iterator[Edit]:
    for match in _PIECES.finditer(text):
        word = "".join(WORD.findall(match[0]))
        if 4 <= len(word) <= LONGEST and known(word):
            yield (*match.span(), word)


def _spaces(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    edits: list[Edit] = []
    last: re.Match[str] | None = None
    for match in WORD.finditer(text.text):
        if last is not None and match.start() - last.end() == 1 and text.text[last.end()] == " ":
            word = last[0] + match[0]
            everyday = last[0] in common and match[0] in common
            both = known(last[0]) and known(match[0])
            if 5 <= len(word) <= 20 and not everyday and not both and word.isalpha() and known(word):
                edits.append((last.start(), match.end(), word))
                last = None
                continue
        last = match
    return text.replace(edits)
