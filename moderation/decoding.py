"""Views that decode: broken encodings, escapes, base64, hexadecimal, rot13, and text written backwards.

Each takes the text as the user wrote it (encodings depend on case) and returns it unchanged when nothing in it decodes
to something that reads like language. The rest of the text stays around a decoded piece, as its context.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from countermark.moderation.folding import LONGEST, WORD, Known
from countermark.moderation.mapped import Edit, MappedText

__all__ = ["DECODERS", "Decoder"]

Decoder = Callable[[MappedText, Known, frozenset[str]], MappedText]

_BROKEN: Final = re.compile("[ÂÃÐÑØâ][\x80-\xbf\u2013-\u2122\u0152-\u017e\u0192\u02c6\u02dc\u20ac]")
_TOKEN: Final = re.compile(r"\S{1,60}")
_ESCAPES: Final = re.compile(r"(?:%[0-9a-fA-F]{2})+|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_BACKSLASH: Final = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4,6})\}?|x([0-9a-fA-F]{2}))")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX: Final = re.compile(r"(?:0x|\\x)?[0-9a-fA-F]{2}(?:[\s:,]?(?:0x|\\x)?[0-9a-fA-F]{2}){3,}")
_SURELY_TEXT: Final = 14  # bytes
_FEWEST_LETTERS: Final = 7  # letters of familiar words that make a text backwards
_SHORTEST: Final = 4  # letters of a word that is decoded by itself: shorter ones are words of some language anyway


def mojibake(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """Words whose UTF-8 was read as an 8-bit encoding ("SÃ¤ngerin")."""
    edits: list[Edit] = []
    if _BROKEN.search(text.text):
        from ftfy import fix_encoding  # 100 ms: only for text that may be broken

        for match in _TOKEN.finditer(text.text):
            if _BROKEN.search(match[0]) and (new := fix_encoding(match[0])) != match[0]:
                edits.append((*match.span(), new))
    return text.replace(edits)


def escapes(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """``%6E``, ``&#110;``, ``&eacute;``, ``\\u006e`` and ``\\x6e``."""
    edits: list[Edit] = []
    if "%" in text.text or "&" in text.text:
        for match in _ESCAPES.finditer(text.text):
            piece = match[0]
            new = unquote_to_bytes(piece).decode("utf-8", "replace") if piece[0] == "%" else html.unescape(piece)
            edits.append((*match.span(), new))
    if "\\" in text.text:
        for match in _BACKSLASH.finditer(text.text):
            code = int(match[1] or match[2], 16)
            edits.append((*match.span(), chr(code) if code < 0x110000 else ""))
    return text.replace(sorted(edits))


def base64_(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """Base64, standard and URL-safe, padded or not."""
    edits: list[Edit] = []
    for match in _BASE64.finditer(text.text):
        body = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        body = body[: len(body) - 1] if len(body) % 4 == 1 else body
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        except (ValueError, binascii.Error):
            continue
        new = _language(raw, known, common)
        if new:
            edits.append((*match.span(), new))
    return text.replace(edits)


def hexadecimal(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """Bytes as pairs of hexadecimal digits, with or without separators and ``0x``."""
    edits: list[Edit] = []
    for match in _HEX.finditer(text.text):
        digits = re.sub(r"0x|\\x|[\s:,]", "", match[0])
        new = _language(bytes.fromhex(digits), known, common) if len(digits) % 2 == 0 else ""
        if new:
            edits.append((*match.span(), new))
    return text.replace(edits)


def _language(raw: bytes, known: Known, common: frozenset[str]) -> str:
    """``raw`` as text when it reads like language, else an empty string."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if not all(c.isprintable() or c in "\n\t" for c in text):
        return ""
    letters = sum(c.isalpha() or c == " " for c in text)
    if len(raw) >= _SURELY_TEXT:  # as many random bytes are hardly ever printable
        return text if letters >= 0.4 * len(text) else ""
    words = WORD.findall(text.casefold())
    telling = any((len(w) >= 3 and w in common) or known(w) for w in words)
    return text if telling and letters >= 0.8 * len(text) else ""


def rot13(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """The Caesar cipher with a shift of 13: single words, or all of a text in which most words are."""
    return _words(text, known, common, lambda word: codecs.encode(word, "rot13"))


def backwards(text: MappedText, known: Known, common: frozenset[str]) -> MappedText:
    """Text written from the end to the beginning: all of it, or single words."""
    turned = text.reversed()
    gained = _familiar(turned.text, known, common)
    if gained >= _FEWEST_LETTERS and gained > 2 * _familiar(text.text, known, common):
        return turned
    return _words(text, known, common, lambda word: word[::-1])


def _familiar(text: str, known: Known, common: frozenset[str]) -> int:
    """Letters in words that are familiar."""
    words = WORD.findall(text.casefold())
    return sum(len(word) for word in words if word in common or (len(word) >= _SHORTEST and known(word)))


def _words(text: MappedText, known: Known, common: frozenset[str], turn: Callable[[str], str]) -> MappedText:
    edits: list[Edit] = []
    total = sure = 0
    for match in WORD.finditer(text.text):
        word = match[0]
        total += 1
        if len(word) > LONGEST or not word.isalpha():
            continue
        old = word.casefold()
        if old in common or known(old):
            continue
        new = turn(word)
        told = new.casefold()
        telling = told in common if len(told) < _SHORTEST else told in common or known(told)
        sure += telling and len(told) >= 2
        edits.append((*match.span(), new))
    if sure == 0:
        return text
    if sure * 3 >= total and sure >= min(2, total):  # the text as a whole is written so
        return text.replace(edits)
    return text.replace(
        (start, end, new) for start, end, new in edits if len(new) >= _SHORTEST and known(new.casefold())
    )


DECODERS: Final[tuple[tuple[str, Decoder], ...]] = (
    ("mojibake", mojibake),
    ("escapes", escapes),
    ("base64", base64_),
    ("hex", hexadecimal),
    ("rot13", rot13),
    ("reversed", backwards),
)
