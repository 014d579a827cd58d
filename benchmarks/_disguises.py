"""Disguises of letters and words, by name: what moderation is tried with, beside the encodings.

``LETTERS`` change the look of letters, ``WORDS`` change words so that a reader still understands them, ``PARTLY`` are
those that leave a reader guessing too. Each is a function from a prompt to its disguise.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from countermark.benchmarks._encodings import ABC, Disguise, cyrillic, each_word, latin, only_letters

__all__ = ["LETTERS", "PARTLY", "WORDS"]


def _dressed(alphabet: str) -> Disguise:
    """Small letters by those of a fancy alphabet."""
    return lambda text: latin(text).translate(str.maketrans(ABC, alphabet))


def _seeded(change: Callable[[str, random.Random], str]) -> Disguise:
    return lambda text: change(text, random.Random(text))


def _from(first: int) -> str:
    return "".join(chr(first + i) for i in range(26))


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
    "look-alikes": cyrillic,
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
    "dotted": each_word(".".join),
    "a letter a line": lambda text: "\n\n".join("\n".join(word) for word in text.split()),
    "emoji between": each_word("🔥".join),
    "hyphens": each_word(lambda w: f"{w[:2]}-{w[2:]}" if len(w) > 3 else w),
    "brackets": each_word(lambda w: f"{w[:2]}[{w[2:]}]" if len(w) > 3 else w),
    "a space within": each_word(lambda w: f"{w[:3]} {w[3:]}" if len(w) > 5 else w),
    "no spaces": lambda text: "".join(re.findall(r"\w+", text)),
    "humps": lambda text: "".join(word.capitalize() for word in re.findall(r"\w+", text)),
    "underscores": lambda text: "_".join(text.split()),
    "spaces at random": _seeded(_at_random),
    "stretched": each_word(lambda w: w[:1] + w[1:2] * 4 + w[2:] if len(w) > 3 else w),
    "doubled": each_word(lambda w: "".join(c * 2 for c in w)),
    "neighbours swapped": _inside(_swapped),
    "inner letters shuffled": _inside(_shuffled),
    "a vowel starred": each_word(lambda w: _starred(w) if len(w) > 3 else w),
    "vowels starred": each_word(lambda w: re.sub("(?<=.)[aeiouäöü]", "*", w) if len(w) > 3 else w),
    "pig latin": lambda text: " ".join(_pig(word) for word in only_letters(text)),
    "ubbi dubbi": lambda text: re.sub("([aeiouyäöü]+)", r"ub\1", text.lower()),
    "B language": lambda text: re.sub("([aeiouyäöü]{1,2})", r"\1b\1", text.lower()),
    "word order reversed": lambda text: " ".join(reversed(text.split())),
    "strings joined": each_word(lambda w: f"'{w[:2]}' + '{w[2:]}'" if len(w) > 3 else w),
}

PARTLY: Final[dict[str, Disguise]] = {
    "vowels dropped": each_word(lambda w: re.sub("(?<=.)[aeiouäöü]", "", w) if len(w) > 3 else w),
}
