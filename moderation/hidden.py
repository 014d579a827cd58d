"""Text that a screen does not show, or shows in another order than it is stored.

Tag characters, variation selectors and zero-width characters can carry a whole message beside the visible text; an
override makes a line run from right to left, and a backspace takes a character back.
"""

from __future__ import annotations

import re
from typing import Final

from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.plausible import language
from countermark.moderation.source import Source

__all__ = ["displayed", "selectors", "tags", "zero_width"]

_TAGS: Final = re.compile("(?<!\U0001f3f4)[\U000e0020-\U000e007e]{2,}")  # after a black flag they name a region
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_ZERO_WIDTH: Final = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]")
_OVERRIDE: Final = re.compile("\u202e([^\u202c-\u202e\n]+)")
_TAKEN_BACK: Final = re.compile("[^\b\n](?=\b)|\b")
_FEWEST_BITS: Final = 32
_TAG_BASE: Final = 0xE0000


def tags(source: Source) -> MappedText:
    """Characters of the tag block, read as the ASCII characters that they mirror."""
    if source.text.isascii():
        return source.mapped
    return source.mapped.replace(
        (*match.span(), f" {''.join(chr(ord(c) - _TAG_BASE) for c in match[0])} ")
        for match in _TAGS.finditer(source.text)
    )


def selectors(source: Source) -> MappedText:
    """Bytes written as variation selectors, 1 to 256."""
    if source.text.isascii():
        return source.mapped
    edits: list[Edit] = []
    for match in _SELECTORS.finditer(source.text):
        raw = bytes(ord(c) - 0xFE00 if c <= "\ufe0f" else ord(c) - 0xE0100 + 16 for c in match[0])
        if new := language(raw, source.vocabulary):
            edits.append((*match.span(), f" {new} "))
    return source.mapped.replace(edits)


def zero_width(source: Source) -> MappedText:
    """Bits written as two kinds of zero-width characters, eight to a letter."""
    if source.text.isascii():
        return source.mapped
    found = [(match.start(), match[0]) for match in _ZERO_WIDTH.finditer(source.text)]
    kinds = sorted({char for _, char in found})
    if len(found) < _FEWEST_BITS or len(kinds) != 2:
        return source.mapped
    for one in kinds:
        bits = "".join("1" if char == one else "0" for _, char in found)
        raw = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8, "big")
        if new := language(raw, source.vocabulary):
            at, end = found[0][0], found[-1][0] + 1
            return source.mapped.replace([(at, end, f" {new} {_ZERO_WIDTH.sub('', source.text[at:end])}")])
    return source.mapped


def displayed(source: Source) -> MappedText:
    """The text as it is shown: right-to-left overrides carried out, characters before a backspace gone."""
    text = source.mapped
    if "\u202e" in text.text:
        text = text.replace((*match.span(1), match[1][::-1]) for match in _OVERRIDE.finditer(text.text))
    if "\b" in text.text:
        text = text.replace((*match.span(), "") for match in _TAKEN_BACK.finditer(text.text))
    return text
