"""Where sentences begin and end, in any of the languages."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["cut_sentences"]

_SHORTEST: Final = 20  # bytes of a sentence; shorter ones go with what follows
_END: Final = re.compile(r"[.!?…;]\s+|[。！？｡।؟]\s*|\n\s*")


def cut_sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends."""
    found, first = [], 0
    for mark in _END.finditer(text):
        if len(text[first : mark.end()].encode()) >= _SHORTEST:
            found.append((first, mark.end()))
            first = mark.end()
    return [*found, (first, len(text))] if text[first:].strip() else found
