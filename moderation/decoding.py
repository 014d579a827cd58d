"""All decoders, in the order in which they are tried.

Each takes a source and gives its text with what it decodes put in place, or the same object when there is nothing. The
rest of the text stays around a decoded piece, as its context. ``STORED`` ones look at the text as it is stored, since
normal forms drop what they read; the others at its normal form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from countermark.moderation import bases, ciphers, escapes, hidden, puzzles, spelled
from countermark.moderation.mapped import MappedText
from countermark.moderation.source import Source

__all__ = ["DECODERS", "STORED", "Decoder"]

Decoder = Callable[[Source], MappedText]

STORED: Final[tuple[tuple[str, Decoder], ...]] = (
    ("tags", hidden.tags),
    ("variation selectors", hidden.selectors),
    ("zero width", hidden.zero_width),
    ("displayed", hidden.displayed),
    ("mojibake", escapes.mojibake),
)
DECODERS: Final[tuple[tuple[str, Decoder], ...]] = (
    ("escapes", escapes.escapes),
    ("mail", escapes.mail),
    ("punycode", escapes.punycode),
    ("base64", bases.base64_),
    ("base32", bases.base32),
    ("hex", bases.hexadecimal),
    ("numbers", spelled.numbers),
    ("morse", spelled.morse),
    ("spelling alphabet", spelled.spelling_alphabet),
    ("other bases", bases.other_bases),
    ("base85", bases.base85),
    ("uuencode", bases.uuencoded),
    ("upside down", ciphers.upside_down),
    ("letters", puzzles.letters),
    ("concatenation", puzzles.concatenation),
    ("humps", puzzles.humps),
    ("acrostic", puzzles.acrostic),
    ("reversed", ciphers.reversed_words),
    ("caesar", ciphers.caesar),
    ("rot47", ciphers.rot47),
    ("keyboard", ciphers.keyboard),
    ("pig latin", ciphers.pig_latin),
    ("filler", ciphers.filler),
    ("reversed order", ciphers.reversed_order),
)
