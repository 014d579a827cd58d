"""Bytes written in other bases: hexadecimal, base 32, 36, 58, 62, 64 and 85, uuencode; packed with gzip or not.

What decodes to something that reads like language (:mod:`.plausible`) takes the place of the code; the rest of the text
stays around it, as its context. A code may be cut into pieces by spaces and line breaks.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from countermark.moderation.mapped import Edit, MappedText
from countermark.moderation.plausible import language
from countermark.moderation.source import CODED, Source

__all__ = ["base32", "base64_", "base85", "hexadecimal", "other_bases", "uuencoded"]

_BASE64: Final = re.compile(r"={0,2}[A-Za-z0-9+/_-]{8,}={0,2}")
_BASE32: Final = re.compile(r"(?:[A-Z2-7]{8,}|[a-z2-7]{8,})={0,6}")
_ALNUM: Final = re.compile(r"[0-9A-Za-z]{11,}")
_PRINTABLE: Final = re.compile(r"[!-~]{10,}")
_HEX: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:0x|\\x)?[0-9a-fA-F]{2}(?:[\s:,;.|_/-]{0,3}(?:0x|\\x)?[0-9a-fA-F]{2}){3,}(?![0-9A-Za-z])"
)
_UU: Final = re.compile(r"^[!-M][ -`]{4,61}(?:\n[!-M][ -`]{1,61})*$", re.MULTILINE)
_SKIPPED: Final = 3  # pieces before a code that may be taken for parts of it
_MOST_UNPACKED: Final = 4000  # bytes
_DIGITS: Final = "0123456789"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASES: Final = (
    f"123456789{_LETTERS}{_LETTERS.lower()}".translate({ord(c): None for c in "IOl"}),  # base 58 of Bitcoin
    f"{_DIGITS}{_LETTERS}{_LETTERS.lower()}",
    f"{_DIGITS}{_LETTERS.lower()}{_LETTERS}",
)
_ASCII85: Final = re.compile(r"<~|~>")
_Z85: Final = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
)

Decode = Callable[[str], bytes]


def _undone(source: Source, pattern: re.Pattern[str], *decoders: Decode) -> MappedText:
    """``source`` with each match of ``pattern`` decoded, and with each code that was cut into pieces."""
    if not source.coded:
        return source.mapped
    edits: list[Edit] = []
    at = 0
    for start, end, new in [*_pieced(source, pattern, decoders), (len(source.text),) * 2 + ("",)]:
        for match in pattern.finditer(source.text, at, start):  # beside those, since a piece may decode by itself
            if CODED.search(match[0]) and (whole := _decoded(match[0], source, decoders)):
                edits.append((*match.span(), whole))
        edits += [(start, end, new)] * (start < end)
        at = end
    return source.mapped.replace(edits)


def _decoded(code: str, source: Source, decoders: tuple[Decode, ...]) -> str:
    for decode in decoders:
        try:
            raw = _unpacked(decode(code))
        except (ValueError, binascii.Error, OverflowError):
            continue
        if new := language(raw, source.vocabulary):
            return new
    return ""


def _pieced(source: Source, pattern: re.Pattern[str], decoders: tuple[Decode, ...]) -> Iterator[Edit]:
    for run in source.codes:
        for skipped in range(min(_SKIPPED, len(run) - 1)):
            code = "".join(match[0] for match in run[skipped:])
            if pattern.fullmatch(code) and (new := _decoded(code, source, decoders)):
                yield run[skipped].start(), run[-1].end(), new
                break


def _unpacked(raw: bytes) -> bytes:
    """``raw`` without gzip or zlib, the first ``_MOST_UNPACKED`` bytes of it."""
    if raw[:2] != b"\x1f\x8b" and raw[:1] != b"x":
        return raw
    try:
        return zlib.decompressobj(47).decompress(raw, _MOST_UNPACKED)
    except zlib.error:
        return raw


def base64_(source: Source) -> MappedText:
    """Base64, standard and URL-safe, padded or not, also read from the end."""
    return _undone(source, _BASE64, _base64, lambda code: _base64(code[::-1]))


def _base64(code: str) -> bytes:
    body = code.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) - 1] if len(body) % 4 == 1 else body
    return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)


def base32(source: Source) -> MappedText:
    """Base32, in capitals or small letters, padded or not."""
    return _undone(source, _BASE32, _base32)


def _base32(code: str) -> bytes:
    body = code.rstrip("=").upper()
    body = body[: len(body) - 1] if len(body) % 8 in {1, 3, 6} else body
    return base64.b32decode(body + "=" * (-len(body) % 8))


def base85(source: Source) -> MappedText:
    """Ascii85 (of Adobe or bare), base85 of git and Python, and Z85."""
    return _undone(
        source,
        _PRINTABLE,
        base64.b85decode,
        lambda code: base64.a85decode(_ASCII85.sub("", code)),
        lambda code: base64.b85decode(code.encode().translate(_Z85)),
    )


def other_bases(source: Source) -> MappedText:
    """Base 58 and 62 as one large number, and base 36."""
    return _undone(
        source,
        _ALNUM,
        *(lambda code, letters=letters: _number(code, letters) for letters in _BASES),
        lambda code: _number(code.lower(), f"{_DIGITS}{_LETTERS.lower()}"),
    )


def _number(code: str, letters: str) -> bytes:
    number = 0
    for char in code:
        number = number * len(letters) + letters.index(char)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def hexadecimal(source: Source) -> MappedText:
    """Bytes as pairs of hexadecimal digits, with or without ``0x`` and separators."""
    if not any(digit in source.text for digit in _DIGITS):
        return source.mapped
    edits: list[Edit] = []
    for match in _HEX.finditer(source.text):
        pairs = list(re.finditer(r"(?:0x|\\x)?([0-9a-fA-F]{2})", match[0]))
        # A word such as "be" before the code is no part of it.
        first = next((i for i, pair in enumerate(pairs) if not pair[1].isalpha()), 0)
        for skipped in dict.fromkeys((0, first)):
            new = language(bytes.fromhex("".join(pair[1] for pair in pairs[skipped:])), source.vocabulary)
            if new:
                edits.append((match.start() + pairs[skipped].start(), match.end(), new))
                break
    return source.mapped.replace(edits)


def uuencoded(source: Source) -> MappedText:
    """Lines of uuencode."""
    edits: list[Edit] = []
    for match in _UU.finditer(source.text):
        try:
            raw = b"".join(map(binascii.a2b_uu, match[0].split("\n")))
        except binascii.Error:
            continue
        if new := language(raw, source.vocabulary):
            edits.append((*match.span(), new))
    return source.mapped.replace(edits)
