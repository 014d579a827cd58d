"""Whether bytes that something was decoded to are text."""

from __future__ import annotations

from typing import Final

from countermark.moderation.folding import WORD, clean, legible
from countermark.moderation.mapped import whole
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["language", "telling"]

_SURELY_TEXT: Final = 14  # bytes that random ones would hardly ever be text
_SURELY_UTF8: Final = 4  # characters of several bytes each, for which the same holds
_LEAST_LETTERS: Final = 0.4  # of a text in Latin-1, any bytes of which are text
_MOST_LETTERS: Final = 0.8  # of a short text


def language(raw: bytes, vocabulary: Vocabulary) -> str:
    """``raw`` as text when it reads like language or may be a code itself, else an empty string."""
    text = _decoded(raw)
    seen = legible(whole(text)).text.replace("\n", " ").replace("\t", " ")
    if not seen.strip() or not seen.isprintable():
        return ""
    letters = sum(c.isalpha() or c == " " for c in seen)
    if len(raw) >= _SURELY_TEXT:
        sure = text.replace("\n", " ").isprintable() or sum(c > "\x7f" for c in text) >= _SURELY_UTF8
        return text if sure or letters >= _LEAST_LETTERS * len(seen) else ""
    return text if letters >= _MOST_LETTERS * len(seen) and telling(text, vocabulary) else ""


def telling(text: str, vocabulary: Vocabulary) -> bool:
    """Whether ``text`` has a word that random letters would hardly make."""
    words = WORD.findall(clean(whole(text)).text)
    return any((len(word) >= 3 and word in vocabulary.common) or vocabulary.known(word) for word in words)


def _decoded(raw: bytes) -> str:
    """UTF-8, UTF-16 of letters that are ASCII, or, where nearly all is ASCII, Latin-1."""
    try:
        if raw.count(0) * 3 >= len(raw) >= 4:
            return raw.decode("utf-16-be" if raw[0] == 0 else "utf-16-le").removeprefix("\ufeff")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        foreign = sum(byte > 127 for byte in raw)
        text = raw.decode("latin-1")
        letters = sum(c.isalpha() or c == " " for c in text)
        likely = foreign * 8 <= len(raw) >= _SURELY_TEXT and letters >= _LEAST_LETTERS * len(raw)
        return text if likely else ""
