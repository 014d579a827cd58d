"""Whether bytes that something was decoded to are text."""

from __future__ import annotations

from typing import Final

from countermark.moderation.folding import WORD, clean
from countermark.moderation.mapped import whole
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["language", "telling"]

_SURELY_TEXT: Final = 14  # bytes
_LEAST_LETTERS: Final = 0.4  # of a text that is long enough to be no accident
_MOST_LETTERS: Final = 0.8  # of a shorter one


def language(raw: bytes, vocabulary: Vocabulary) -> str:
    """``raw`` as text when it reads like language, else an empty string."""
    text = _decoded(raw)
    if not text or not text.replace("\n", " ").replace("\t", " ").isprintable():
        return ""
    letters = sum(c.isalpha() or c == " " for c in text)
    if len(raw) >= _SURELY_TEXT:  # as many random bytes are hardly ever printable
        return text if letters >= _LEAST_LETTERS * len(text) else ""
    return text if letters >= _MOST_LETTERS * len(text) and telling(text, vocabulary) else ""


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
        return raw.decode("latin-1") if foreign * 8 <= len(raw) and len(raw) >= _SURELY_TEXT else ""
