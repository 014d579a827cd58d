"""Disguises of a prompt, by name: what moderation is tried with, by its tests and its benchmark.

``ENCODINGS`` lose nothing: who knows the name gets the prompt back. ``LETTERS`` change the look of letters, ``WORDS``
change words so that a reader still understands them, ``PARTLY`` are those that also leave a reader guessing. Each is a
function from a prompt to its disguise; those that need
the letters from a to z spell umlauts out first.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import re
import string
import unicodedata
import urllib.parse
from collections.abc import Callable
from typing import Final

__all__ = ["ABC", "ENCODINGS", "Disguise", "cyrillic", "each_word", "latin", "only_letters"]

Disguise = Callable[[str], str]

ABC: Final = string.ascii_lowercase
_DIGITS: Final = "0123456789"
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE62: Final = f"{_DIGITS}{ABC.upper()}{ABC}"
_Z85: Final = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
)
_MORSE: Final = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
_NATO: Final = (
    "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey x-ray yankee zulu"
)
_DIN: Final = (
    "anton berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann ludwig martha nordpol otto paula quelle "
    "richard samuel theodor ulrich viktor wilhelm xanthippe ypsilon zacharias"
)
_KEYS: Final = {"2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv", "9": "wxyz"}
_UMLAUTS: Final[dict[str, str | int | None]] = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}
_ROWS: Final = ("qwertyuiop[", "asdfghjkl;", "zxcvbnm,./")


def latin(text: str) -> str:
    """Small letters with umlauts spelled out: nothing beyond ASCII."""
    plain = text.lower().translate(str.maketrans(_UMLAUTS))
    return unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()


def only_letters(text: str) -> list[str]:
    """The words of ``text``, of letters from a to z alone."""
    return re.findall("[a-z]+", latin(text))


def _number(text: str, digits: str) -> str:
    number, out = int.from_bytes(text.encode(), "big"), ""
    while number:
        number, rest = divmod(number, len(digits))
        out = digits[rest] + out
    return out


def cyrillic(text: str) -> str:
    """With look-alikes for some letters, so that there is something to encode."""
    return text.translate(str.maketrans("aeopcx", "аеорсх"))


def _by_letter(table: dict[str, str], between: str, words: str) -> Disguise:
    """Each letter by a code; ``between`` letters and ``words``."""
    return lambda text: words.join(between.join(table[c] for c in word) for word in only_letters(text))


def _by_byte(form: str, between: str = "") -> Disguise:
    return lambda text: between.join(format(byte, form) for byte in text.encode())


def _substituted(alphabet: str) -> Disguise:
    table = str.maketrans(ABC + ABC.upper(), alphabet + alphabet.upper())
    return lambda text: text.translate(table)


def each_word(change: Disguise) -> Disguise:
    return lambda text: " ".join(change(word) for word in text.split())


ENCODINGS: Final[dict[str, Disguise]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: "\n".join(re.findall(".{1,20}", base64.b64encode(text.encode()).decode())),
    "base64 in fours": lambda text: " ".join(re.findall(".{1,4}", base64.b64encode(text.encode()).decode())),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 of Latin-1": lambda text: base64.b64encode(text.encode("latin-1")).decode(),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
    "base64 after words": lambda text: f"Decode this and draw it: {base64.b64encode(text.encode()).decode()}",
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32 in small letters": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "base58": lambda text: _number(text, _BASE58),
    "base62": lambda text: _number(text, _BASE62),
    "base36": lambda text: _number(text, f"{_DIGITS}{ABC}"),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "ascii85 of Adobe": lambda text: base64.a85encode(text.encode(), adobe=True).decode(),
    "Z85": lambda text: base64.b85encode(text.encode()).translate(_Z85).decode(),
    "uuencode": lambda text: "".join(
        binascii.b2a_uu(text.encode()[i : i + 45]).decode() for i in range(0, len(text.encode()), 45)
    ),
    "hex": _by_byte("02x"),
    "hex with spaces": _by_byte("02X", " "),
    "hex with colons": _by_byte("02x", ":"),
    "hex with dashes": _by_byte("02x", " - "),
    "hex with 0x": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "hex escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "binary": _by_byte("08b", " "),
    "binary without spaces": _by_byte("08b"),
    "binary of seven bits": lambda text: " ".join(f"{ord(c):07b}" for c in latin(text)),
    "octal": _by_byte("03o", " "),
    "octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "decimal": _by_byte("d", " "),
    "decimal with commas": _by_byte("d", ", "),
    "decimal without spaces": lambda text: "".join(str(ord(c)) for c in latin(text)),
    "places in the alphabet": _by_letter({c: str(i + 1) for i, c in enumerate(ABC)}, "-", " "),
    "places with slashes": _by_letter({c: str(i + 1) for i, c in enumerate(ABC)}, " ", " / "),
    "places from zero": _by_letter({c: str(i) for i, c in enumerate(ABC)}, " ", "  "),
    "tap code": _by_letter(
        {c: f"{i // 5 + 1}{i % 5 + 1}" for i, c in enumerate("abcdefghijlmnopqrstuvwxyz")} | {"k": "13"}, " ", " / "
    ),
    "keys of a phone": _by_letter(
        {c: key * (i + 1) for key, letters in _KEYS.items() for i, c in enumerate(letters)}, " ", " 0 "
    ),
    "morse": _by_letter(dict(zip(ABC, _MORSE.split(), strict=True)), " ", " / "),
    "morse in other dots": lambda text: ENCODINGS["morse"](text).translate(str.maketrans(".-/", "·−|")),
    "morse in lines": _by_letter(dict(zip(ABC, _MORSE.split(), strict=True)), " ", "\n"),
    "NATO alphabet": _by_letter(dict(zip(ABC, _NATO.split(), strict=True)), " ", " / "),
    "German alphabet": _by_letter(dict(zip(ABC, _DIN.split(), strict=True)), " ", ", "),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent where needed": lambda text: urllib.parse.quote(f"<{text}>"),
    "percent twice": lambda text: urllib.parse.quote("".join(f"%{byte:02x}" for byte in text.encode())),
    "percent with u": lambda text: "".join(f"%u{ord(c):04x}" for c in text),
    "HTML": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML in hex": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "HTML twice": lambda text: "".join(f"&amp;#{ord(c)};" for c in text),
    "backslash u": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "backslash u in braces": lambda text: "".join(f"\\u{{{ord(c):05x}}}" for c in text),
    "backslash u twice": lambda text: "".join(f"\\u005cu{ord(c):04x}" for c in text),
    "CSS": lambda text: "".join(f"\\{ord(c):x} " for c in text),
    "names of characters": lambda text: "".join(f"\\N{{{unicodedata.name(c, 'SPACE')}}}" for c in text),
    "code points": lambda text: " ".join(f"U+{ord(c):04X}" for c in text),
    "quoted-printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "quoted-printable where needed": lambda text: codecs.encode(text.encode(), "quopri", "strict").decode() + " =3D=3D",
    "punycode": lambda text: " ".join(f"xn--{cyrillic(w).encode('punycode').decode()}" for w in only_letters(text)),
    "base64 read from the end": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "UTF-7": lambda text: "+" + base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=") + "-",
    "mojibake": lambda text: f"é {text}".encode().decode("latin-1"),
    "atbash": _substituted(ABC[::-1]),
    "rot47": lambda text: "".join(chr(33 + (ord(c) + 14) % 94) if "!" <= c <= "~" else c for c in text),
    "reversed": lambda text: text[::-1],
    "words reversed": each_word(lambda word: word[::-1]),
    "words reversed, rot13": each_word(lambda word: codecs.encode(word[::-1], "rot13")),
    "right-to-left override": lambda text: f"\u202e{text[::-1]}\u202c",
    "backspaces": lambda text: "".join(f"{c}x\b" for c in text),
    "keys to the right": lambda text: latin(text).translate(
        str.maketrans("".join(row[:-1] for row in _ROWS), "".join(row[1:] for row in _ROWS))
    ),
    "Russian keyboard": lambda text: latin(text).translate(str.maketrans(ABC, "фисвуапршолдьтщзйкыегмцчня")),
    "tags": lambda text: "a bridge" + "".join(chr(0xE0000 + ord(c)) for c in latin(text)),
    "variation selectors": lambda text: (
        "a bridge " + "".join(chr(0xFE00 + b if b < 16 else 0xE0100 + b - 16) for b in text.encode())
    ),
    "zero-width bits": lambda text: (
        "a bridge" + "".join("\u200b\u200c"[int(bit)] for byte in text.encode() for bit in f"{byte:08b}")
    ),
    "base64 of rot13": lambda text: base64.b64encode(codecs.encode(text, "rot13").encode()).decode(),
    "base64 of base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of reversed": lambda text: base64.b64encode(text[::-1].encode()).decode(),
    "hex of base64": lambda text: base64.b64encode(text.encode()).hex(),
    "percent of base64": lambda text: urllib.parse.quote(base64.b64encode(text.encode()).decode()),
    "full width of base64": lambda text: "".join(chr(ord(c) + 0xFEE0) for c in ENCODINGS["base64"](text)),
    **{f"caesar {n}": _substituted(ABC[n:] + ABC[:n]) for n in range(1, 26)},
}
