"""Escapes undone: of URLs, HTML, strings of programming languages, mail and host names; and broken encodings.

Each decoder takes a source and returns its text unchanged when nothing in it is an escape. Escaped escapes are undone
up to ``_DEEPEST`` deep.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from countermark.moderation.mapped import Edit, MappedText, apart
from countermark.moderation.source import Source

__all__ = ["escapes", "mail", "mojibake", "punycode"]

_DEEPEST: Final = 3

_BROKEN: Final = re.compile("[ÂÃÐÑØâ][\x80-\xbf\u2013-\u2122\u0152-\u017e\u0192\u02c6\u02dc\u20ac]")
_TOKEN: Final = re.compile(r"\S{1,60}")
_URL: Final = re.compile(r"(?:%[0-9a-fA-F]{2})+|%u([0-9a-fA-F]{4})")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z]{2,8};)")
_BACKSLASH: Final = re.compile(
    r"((?:\\x[0-9a-fA-F]{2})+)"  # bytes, together, since a letter may be several
    r"|((?:\\[0-7]{3})+)"
    r"|\\(?:u\{?([0-9a-fA-F]{4,6})\}?|U([0-9a-fA-F]{8})|N\{([A-Za-z0-9 -]{2,80})\}|([0-9a-fA-F]{2,6}) ?)"
)
_CODE_POINT: Final = re.compile(r"\b[Uu]\+([0-9a-fA-F]{4,6})(?:[\s,;]{1,2}(?=[Uu]\+))?")
_QUOTED: Final = re.compile(r"(?:=[0-9A-Fa-f]{2})+|=\r?\n")
_UTF7: Final = re.compile(r"\+([A-Za-z0-9/]{3,})-?")
_BEYOND_LATIN: Final = "\u0250"
_HOST: Final = re.compile(r"xn--([a-z0-9-]{1,60})", re.IGNORECASE)


def mojibake(source: Source) -> MappedText:
    """Words whose UTF-8 was read as an 8-bit encoding ("SÃ¤ngerin")."""
    edits: list[Edit] = []
    if not source.text.isascii() and _BROKEN.search(source.text):
        from ftfy import fix_encoding  # 100 ms: only for text that may be broken

        for match in _TOKEN.finditer(source.text):
            if _BROKEN.search(match[0]) and (new := fix_encoding(match[0])) != match[0]:
                edits.append((*match.span(), new))
    return source.mapped.replace(edits)


def escapes(source: Source) -> MappedText:
    r"""``%6E``, ``%u006E``, ``&#110;``, ``&eacute;``, ``\u006e``, ``\x6e``, ``\156``, ``\N{...}``, ``U+006E``."""
    mapped = source.mapped
    for _ in range(_DEEPEST):
        edits = sorted(_escaped(mapped.text))
        if not edits:
            break
        mapped = mapped.replace(apart(edits))
    return mapped


def _escaped(text: str) -> Iterator[Edit]:
    if "%" in text:
        for match in _URL.finditer(text):
            yield *match.span(), _char(match[1], 16) if match[1] else _text(unquote_to_bytes(match[0]))
    if "&" in text:
        for match in _ENTITY.finditer(text):
            if (new := html.unescape(match[0])) != match[0]:
                yield *match.span(), new
    if "\\" in text:
        for match in _BACKSLASH.finditer(text):
            yield *match.span(), _unbackslashed(match)
    if "+" in text:
        for match in _CODE_POINT.finditer(text):
            yield *match.span(), _char(match[1], 16)


def _unbackslashed(match: re.Match[str]) -> str:
    if match[1]:
        return _text(bytes.fromhex(match[1].replace("\\x", "")))
    if match[2]:
        return _text(bytes(int(digits, 8) & 255 for digits in match[2][1:].split("\\")))
    if match[5]:
        try:
            return unicodedata.lookup(match[5])
        except KeyError:
            return match[0]
    return _char(match[3] or match[4] or match[6], 16)


def _char(digits: str, base: int) -> str:
    code = int(digits, base)
    return chr(code) if code < 0x110000 else ""


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def mail(source: Source) -> MappedText:
    """Quoted-printable (``=6E=75``) and UTF-7 (``+AG4-``)."""
    edits: list[Edit] = []
    if source.text.count("=") > 1:
        for match in _QUOTED.finditer(source.text):
            new = _text(bytes.fromhex(match[0].replace("=", ""))) if match[0].strip("=\r\n") else ""
            if new.isprintable():
                edits.append((*match.span(), new))
    if not edits and "+" in source.text:
        for match in _UTF7.finditer(source.text):
            body = match[1][: len(match[1]) - 1] if len(match[1]) % 4 == 1 else match[1]
            raw = base64.b64decode(body + "=" * (-len(body) % 4))
            new = raw[: len(raw) // 2 * 2].decode("utf-16-be", "replace")
            if new.isprintable() and max(new, default="") < _BEYOND_LATIN:
                edits.append((*match.span(), new))
    return source.mapped.replace(edits)


def punycode(source: Source) -> MappedText:
    """``xn--`` labels, which host names with letters beyond ASCII are written in."""
    edits: list[Edit] = []
    if "xn--" in source.text.lower():
        for match in _HOST.finditer(source.text):
            try:
                edits.append((*match.span(), match[1].lower().encode().decode("punycode")))
            except UnicodeError:
                continue
    return source.mapped.replace(edits)
