"""Which pieces of e5's vocabulary the encoder keeps: those that folded text in moderation's languages is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from countermark.moderation.language import LANGUAGES
from countermark.training._e5 import E5
from countermark.training._prompts import folded

__all__ = ["SPECIAL", "choose"]

SPECIAL: Final = 4  # bos, pad, eos, unk come first
_WORDS: Final = {"en": 60_000}  # most frequent words of a language that are looked at
_OTHERS: Final = 25_000


def choose(e5: E5, vocabulary: bytes, texts: Iterable[str], size: int) -> list[int]:
    """``size`` ids of pieces: those of ``texts`` and, of the likeliest first, those of each language's frequent words.

    ``vocabulary``: all of e5's as a SentencePiece model. Frequent words are those of wordfreq (Speer 2022).
    """
    import sentencepiece
    from wordfreq import top_n_list

    cut = sentencepiece.SentencePieceProcessor(model_proto=vocabulary)
    kept = set(range(SPECIAL))
    for ids in cut.encode([folded(text) for text in texts]):
        kept.update(ids)
    frequent: set[int] = set()
    for language in LANGUAGES:
        words = top_n_list(language, _WORDS.get(language, _OTHERS))
        for ids in cut.encode([folded(word) for word in words]):
            frequent.update(ids)
    for piece in sorted(frequent - kept, key=lambda piece: (-float(e5.scores[piece]), piece)):
        if len(kept) >= size:
            break
        kept.add(piece)
    return sorted(kept)
