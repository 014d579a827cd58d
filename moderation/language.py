"""Which language a prompt is in: scripts first, then function words, then py3langid.

Prompts are short, and n-gram identifiers guess wildly on "cat" or "red ball"; a few function words are better evidence.
py3langid (0.5 s to load) is asked only where they say nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import Any, Final

from countermark.moderation.lexicon import COMMON_FILE, read_tables

__all__ = ["LANGUAGES", "UNKNOWN", "identify"]

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "ar", "hi", "zh", "ja", "ko")
UNKNOWN: Final = "und"

_READ: Final = 2000  # characters that are looked at
_SHORT: Final = 4  # words below which py3langid's guess on Latin letters is no evidence
_WORD: Final = re.compile(r"[^\W\d_]+")
_UKRAINIAN: Final = frozenset("іїєґ")
_SCRIPTS: Final = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "CYRILLIC": "ru",
    "LATIN": "",
}


def identify(text: str) -> tuple[str, float]:
    """ISO 639-1 code and confidence 0..1; ``("und", 0.0)`` when the text does not tell."""
    head = text[:_READ].casefold()
    scripts = Counter(script for c in head if c.isalpha() and (script := _script(c)))
    if not scripts:
        return UNKNOWN, 0.0
    script, count = scripts.most_common(1)[0]
    share = count / scripts.total()
    code = _SCRIPTS[script]
    if code == "zh" and scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * count:
        return "ja", share
    if code == "ru" and _UKRAINIAN.intersection(head):
        return "uk", share
    return (code, share) if code else _latin(head)


@cache
def _script(char: str) -> str:
    name = unicodedata.name(char, "").split(" ")[0]
    return name if name in _SCRIPTS else ""


def _latin(head: str) -> tuple[str, float]:
    words = _WORD.findall(head)
    votes: Counter[str] = Counter()
    for word in words:
        owners = _function_words().get(word, ())
        for code in owners:
            votes[code] += 1
    ranked = votes.most_common(2)
    if ranked:
        best = ranked[0][1]
        second = ranked[1][1] if len(ranked) > 1 else 0
        if best > second:
            return ranked[0][0], min(0.99, 0.5 + 0.5 * (best - second) / best * min(1.0, best / 3))
    if len(words) < _SHORT:
        return (ranked[0][0], 0.3) if ranked else (UNKNOWN, 0.0)
    code, confidence = _identifier().classify(head)
    return str(code), float(confidence)


@cache
def _function_words() -> dict[str, tuple[str, ...]]:
    owners: dict[str, list[str]] = {}
    for code, words in read_tables()[COMMON_FILE].items():
        for word in words:
            if code in LANGUAGES:
                owners.setdefault(word, []).append(code)
    return {word: tuple(codes) for word, codes in owners.items()}


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
