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
import random
import re
import string
import unicodedata
import urllib.parse
from collections.abc import Callable
from typing import Final

__all__ = ["ENCODINGS", "LETTERS", "PARTLY", "WORDS", "Disguise"]

Disguise = Callable[[str], str]

ABC: Final = string.ascii_lowercase
_DIGITS: Final = "0123456789"
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE62: Final = f"{_DIGITS}{ABC.upper()}{ABC}"
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


def _only_letters(text: str) -> list[str]:
    """The words of ``text``, of letters from a to z alone."""
    return re.findall("[a-z]+", latin(text))


def _number(text: str, digits: str) -> str:
    number, out = int.from_bytes(text.encode(), "big"), ""
    while number:
        number, rest = divmod(number, len(digits))
        out = digits[rest] + out
    return out


def _cyrillic(text: str) -> str:
    """With look-alikes for some letters, so that there is something to encode."""
    return text.translate(str.maketrans("aeopcx", "аеорсх"))


def _by_letter(table: dict[str, str], between: str, words: str) -> Disguise:
    """Each letter by a code; ``between`` letters and ``words``."""
    return lambda text: words.join(between.join(table[c] for c in word) for word in _only_letters(text))


def _by_byte(form: str, between: str = "") -> Disguise:
    return lambda text: between.join(format(byte, form) for byte in text.encode())


def _substituted(alphabet: str) -> Disguise:
    table = str.maketrans(ABC + ABC.upper(), alphabet + alphabet.upper())
    return lambda text: text.translate(table)


def _dressed(alphabet: str) -> Disguise:
    """Small letters by those of a fancy alphabet."""
    return lambda text: latin(text).translate(str.maketrans(ABC, alphabet))


def _from(first: int) -> str:
    return "".join(chr(first + i) for i in range(26))


def _each_word(change: Disguise) -> Disguise:
    return lambda text: " ".join(change(word) for word in text.split())


def _seeded(change: Callable[[str, random.Random], str]) -> Disguise:
    return lambda text: change(text, random.Random(text))


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
    "punycode": lambda text: " ".join(f"xn--{_cyrillic(w).encode('punycode').decode()}" for w in _only_letters(text)),
    "base64 read from the end": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "UTF-7": lambda text: "+" + base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=") + "-",
    "mojibake": lambda text: f"é {text}".encode().decode("latin-1"),
    "atbash": _substituted(ABC[::-1]),
    "rot47": lambda text: "".join(chr(33 + (ord(c) + 14) % 94) if "!" <= c <= "~" else c for c in text),
    "reversed": lambda text: text[::-1],
    "words reversed": _each_word(lambda word: word[::-1]),
    "words reversed, rot13": _each_word(lambda word: codecs.encode(word[::-1], "rot13")),
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

_ALPHABETS: Final = {
    "full width": _from(0xFF41),
    "circled": _from(0x24D0),
    "circled white": _from(0x1F150),
    "squared": _from(0x1F130),
    "squared white": _from(0x1F170),
    "in parentheses": _from(0x249C),
    "flags": _from(0x1F1E6),
    "mathematical bold": _from(0x1D41A),
    "mathematical fraktur": _from(0x1D586),
    "mathematical monospace": _from(0x1D68A),
    "double-struck": _from(0x1D552),
    "small capitals": "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡxʏᴢ",
    "superscript": "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖqʳˢᵗᵘᵛʷˣʸᶻ",
    "Braille": "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵",
    "hooked": "ąცƈɖɛʄɠɧıʝƙƖɱŋơ℘զཞʂɬų۷ῳҳყʑ",
    "like Chinese": "卂乃匚ᗪ乇千Ꮆ卄丨ﾌҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐯ山乂ㄚ乙",
    "like Cree": "ᗩᗷᑕᗪEᖴGᕼIᒍKᒪᗰᑎOᑭᑫᖇᔕTᑌᐯᗯ᙭Yᘔ",
    "like money": "₳฿₵ĐɆ₣₲ⱧłJ₭Ⱡ₥₦Ø₱QⱤ₴₮ɄV₩ӾɎⱫ",
    "like Greek": "αв¢∂єƒgнιנкℓмησρqяѕтυνωχуz",
    "like Armenian": "ǟɮƈɖɛʄɢɦɨʝӄʟʍռօքզʀֆȶʊʋաӼʏʐ",
    "like Cherokee": "ᏗᏰፈᎴᏋᎦᎶᏂᎥᏠᏦᏝᎷᏁᎧᎮᎤᏒᏕᏖᏬᏉᏇጀᎩፚ",
    "like Thai": "ค๒ƈɗﻉƒﻭɦٱﻝᛕɭ๓กѻρ۹ɼรՇપ۷ฝซץչ",
}

_SOUNDS: Final = dict(zip(ABC, [*"абкдефгхи", "дж", *"клмнопкрстувв", "кс", *"из"], strict=True))
LETTERS: Final[dict[str, Disguise]] = {
    **{name: _dressed(alphabet) for name, alphabet in _ALPHABETS.items()},
    "look-alikes": _cyrillic,
    "accents": lambda text: text.translate(str.maketrans("aeioucn", "áèîøûçñ")),
    "Cyrillic by sound": lambda text: latin(text).translate(str.maketrans(_SOUNDS)),
    "zero width": "\u200b".join,
    "joiners": "\u2060\u200d".join,
    "soft hyphens": "\u00ad".join,
    "variation selectors between": lambda text: "".join(f"{c}\ufe0e\U000e0101" for c in text),
    "marks": lambda text: "".join(f"{c}\u0336\u0353" for c in text),
    "many marks": lambda text: "".join(c + "\u0315\u031b\u0340\u0341\u0358\u0321\u0327" * 3 for c in text),
    "Arabic marks": lambda text: "".join(f"{c}\u064b" for c in text),
    "Hangul filler": "\u3164".join,
    "control characters": "\x00".join,
    "capitals": str.upper,
    "random capitals": _seeded(lambda text, dice: "".join(dice.choice((c.lower(), c.upper())) for c in text)),
    "upside down": lambda text: latin(text).translate(str.maketrans(ABC, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz"))[::-1],
    "upside down in place": lambda text: latin(text).translate(str.maketrans(ABC, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")),
    "tags within": lambda text: "".join(f"{c}\U000e0078" for c in text),
}

_LEET: Final = str.maketrans("aeiost", "4310$7")
_HARD_LEET: Final = str.maketrans("abegilostz", "48391|0572")
_SIGNS: Final = {"m": r"|\/|", "n": r"|\|", "u": "|_|", "w": r"\/\/", "k": "|<", "d": "|)", "h": "|-|", "a": "4"}


def _inside(change: Callable[[str, random.Random], str]) -> Disguise:
    """Changes each word of five letters and more, apart from the signs around it."""

    def disguise(text: str) -> str:
        dice = random.Random(text)
        return re.sub(r"[^\W_]{5,}", lambda word: change(word[0], dice), text)

    return disguise


def _shuffled(word: str, dice: random.Random) -> str:
    return word[0] + "".join(dice.sample(word[1:-1], len(word) - 2)) + word[-1]


def _swapped(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _pig(word: str) -> str:
    start = re.match("qu|[^aeiouyäöü]*", word)
    head = start[0] if start else ""
    return f"{word[len(head) :]}{head}ay" if head else f"{word}way"


def _at_random(text: str, dice: random.Random) -> str:
    letters = text.replace(" ", "")
    return "".join(c + (" " if dice.random() < 0.4 else "") for c in letters)


def _starred(word: str) -> str:
    """The first vowel after the first letter becomes a star."""
    return word[:1] + re.sub("[aeiouäöü]", "*", word[1:], count=1)


WORDS: Final[dict[str, Disguise]] = {
    "leetspeak": lambda text: text.translate(_LEET),
    "hard leetspeak": lambda text: latin(text).translate(_HARD_LEET),
    "leetspeak of many signs": lambda text: "".join(_SIGNS.get(c, c) for c in latin(text)),
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "spaced without words": lambda text: " ".join(text.replace(" ", "")),
    "dotted": _each_word(".".join),
    "a letter a line": lambda text: "\n\n".join("\n".join(word) for word in text.split()),
    "emoji between": _each_word("🔥".join),
    "hyphens": _each_word(lambda w: f"{w[:2]}-{w[2:]}" if len(w) > 3 else w),
    "brackets": _each_word(lambda w: f"{w[:2]}[{w[2:]}]" if len(w) > 3 else w),
    "a space within": _each_word(lambda w: f"{w[:3]} {w[3:]}" if len(w) > 5 else w),
    "no spaces": lambda text: "".join(re.findall(r"\w+", text)),
    "humps": lambda text: "".join(word.capitalize() for word in re.findall(r"\w+", text)),
    "underscores": lambda text: "_".join(text.split()),
    "spaces at random": _seeded(_at_random),
    "stretched": _each_word(lambda w: w[:1] + w[1:2] * 4 + w[2:] if len(w) > 3 else w),
    "doubled": _each_word(lambda w: "".join(c * 2 for c in w)),
    "neighbours swapped": _inside(_swapped),
    "inner letters shuffled": _inside(_shuffled),
    "a vowel starred": _each_word(lambda w: _starred(w) if len(w) > 3 else w),
    "vowels starred": _each_word(lambda w: re.sub("(?<=.)[aeiouäöü]", "*", w) if len(w) > 3 else w),
    "pig latin": lambda text: " ".join(_pig(word) for word in _only_letters(text)),
    "ubbi dubbi": lambda text: re.sub("([aeiouyäöü]+)", r"ub\1", text.lower()),
    "B language": lambda text: re.sub("([aeiouyäöü]{1,2})", r"\1b\1", text.lower()),
    "word order reversed": lambda text: " ".join(reversed(text.split())),
    "strings joined": _each_word(lambda w: f"'{w[:2]}' + '{w[2:]}'" if len(w) > 3 else w),
}

PARTLY: Final[dict[str, Disguise]] = {
    "vowels dropped": _each_word(lambda w: re.sub("(?<=.)[aeiouäöü]", "", w) if len(w) > 3 else w),
}
