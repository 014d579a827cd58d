"""Words that the reader is to put together: letters in a row, first letters of lines, strings and variables, humps."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.source import Source

__all__ = ["acrostic", "concatenation", "humps", "letters"]

_LETTERS: Final = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,4}[^\W_](?![^\W_])){3,}")
_LINE: Final = re.compile(r"^[ \t]*([^\W\d_])", re.MULTILINE)
_LEAST: Final = 4  # letters of an acrostic, and of a term among words with humps
_HUMP: Final = re.compile(r"([a-zäöüß])([A-ZÄÖÜ])")
_HUMPED: Final = re.compile(r"[^\W\d_]{4,300}")
_FEW: Final = 2
_READABLE: Final = 0.7  # share of letters that must be in familiar words
_MOST: Final = 60  # lines that are read
_QUOTES: Final = "\"'“”„‘’`«»"
_PIECE: Final = rf"[{_QUOTES}][^{_QUOTES}\s]{{1,30}}[{_QUOTES}]"
_JOINTS: Final = (r"\s{0,3}(?:\+|&{1,2}|\.|\|{1,2}|,|\band\b|\bund\b|\bplus\b)\s{0,3}", r"\s{0,3}")
_STRINGS: Final = tuple(re.compile(f"{_PIECE}(?:{joint}{_PIECE})+") for joint in _JOINTS)
_ASSIGNED: Final = re.compile(
    rf"\b([A-Za-z_]\w{{0,15}})\s{{0,3}}(?::?=|:|\bis\b|\bist\b)\s{{0,3}}[{_QUOTES}]([^{_QUOTES}\n]{{1,40}})[{_QUOTES}]"
)
_MOST_NAMES: Final = 20


def letters(source: Source) -> MappedText:
    """Single letters in a row put together to words that are still a riddle; :mod:`.joining` has those that are not."""
    edits: list[Edit] = []
    for run in _LETTERS.finditer(source.text):
        places = [m.start() + run.start() for m in re.finditer(r"[^\W_]", run[0])]
        gaps = [source.text[a + 1 : b] for a, b in itertools.pairwise(places)]
        usual = Counter(gaps).most_common(1)[0][0]
        new = source.text[places[0]] + "".join(
            source.text[at] if gap == usual else f" {source.text[at]}" for gap, at in zip(gaps, places[1:], strict=True)
        )
        if source.vocabulary.plainness(new.casefold().split()) < 0.5:
            edits.append((*run.span(), new))
    return source.mapped.replace(edits)


def humps(source: Source) -> MappedText:
    """Words run together with a capital at the beginning of each: three or more, or one of them a term."""
    edits: list[Edit] = []
    if _HUMP.search(source.text):
        for match in _HUMPED.finditer(source.text):
            if not _HUMP.search(match[0]):
                continue
            words = _HUMP.sub(r"\1 \2", match[0])
            parts = words.casefold().split()
            term = any(len(part) >= _LEAST and part in source.vocabulary.terms for part in parts)
            if (len(parts) > _FEW or term) and source.vocabulary.plainness(parts) >= _READABLE:
                edits.append((*match.span(), words))
    return source.mapped.replace(edits)


def acrostic(source: Source) -> MappedText:
    """The first letters of at least four lines, where they are words of which one is a term of the lexicon."""
    if source.text.count("\n") < _LEAST - 1:
        return source.mapped
    places = [match.start(1) for match in itertools.islice(_LINE.finditer(source.text), _MOST)]
    line = "".join(source.text[at].casefold() for at in places)
    words = source.vocabulary.segments(line) if len(line) == len(places) else []
    covered = sum(b - a for a, b in words)
    if covered < len(line) or not any(b - a >= _LEAST and source.vocabulary.known(line[a:b]) for a, b in words):
        return source.mapped
    ends = {b - 1 for _, b in words}
    return source.mapped.collect((at, at + 1, f"{line[i]} " if i in ends else line[i]) for i, at in enumerate(places))


def concatenation(source: Source) -> MappedText:
    """Strings that are joined (``'nu' + 'de'``), directly or through variables (``a='nu'; b='de'; a+b``)."""
    if not any(quote in source.text for quote in _QUOTES):
        return source.mapped
    edits = list(_variables(source)) or next(filter(None, (list(_joined(source, form)) for form in _STRINGS)), [])
    return source.mapped.replace(edits)


def _joined(source: Source, strings: re.Pattern[str]) -> Iterator[Edit]:
    for match in strings.finditer(source.text):
        new = "".join(piece.strip(_QUOTES) for piece in re.findall(_PIECE, match[0]))
        if "+" in match[0] or source.vocabulary.sure(new.casefold()):
            yield *match.span(), new


def _variables(source: Source) -> Iterator[Edit]:
    values = {match[1]: match[2] for match in itertools.islice(_ASSIGNED.finditer(source.text), _MOST_NAMES)}
    if len(values) < 2:
        return
    name = "|".join(sorted(map(re.escape, values), key=len, reverse=True))
    joint = r"(?:\s{0,3}[+&.,|]{1,2}\s{0,3}|\}\s?\$?\{|\s(?:and|und|plus)\s)"
    used = re.compile(rf"\$?\{{?(?<![\w{_QUOTES}])(?:{name})(?:{joint}(?:{name}))+\}}?(?![\w{_QUOTES}])")
    for match in used.finditer(source.text):
        names = re.findall(rf"(?<!\w)(?:{name})(?!\w)", match[0])
        yield *match.span(), "".join(values[one] for one in names)
