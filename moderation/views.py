"""All the readings of a text that are judged, the plainest first.

A *source* is the text itself or a decoding of it (:mod:`.decoding`); each source goes through the foldings of
:mod:`.folding`, one on top of the other, and every step that changes something gives a view. The number of views is
bounded by ``MOST_SOURCES`` times the number of foldings; ordinary text gives one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from countermark.moderation import decoding, folding
from countermark.moderation.folding import Known
from countermark.moderation.mapped import MappedText

__all__ = ["View", "views"]

MOST_SOURCES: Final = 8


@dataclass(frozen=True)
class View:
    """One reading of the text. ``final`` marks the last folding of its source."""

    name: str
    mapped: MappedText
    final: bool


def views(text: MappedText, known: Known, common: frozenset[str]) -> list[View]:
    """The views of ``text``; ``known`` and ``common`` are :class:`countermark.moderation.lexicon.Lexicon`'s."""
    found: list[View] = []
    seen: set[str] = set()
    for name, source in _sources(text, known, common):
        chain = [(label, mapped) for label, mapped in _foldings(name, source, known, common)]
        for i, (label, mapped) in enumerate(chain):
            if mapped.text not in seen:
                seen.add(mapped.text)
                found.append(View(label, mapped, i == len(chain) - 1))
    return found


def _sources(text: MappedText, known: Known, common: frozenset[str]) -> Iterator[tuple[str, MappedText]]:
    """The text, its decodings, and theirs: two encodings deep."""
    yield "raw", text
    seen = {text.text}
    layer = [("", text)]
    for _ in range(2):
        deeper: list[tuple[str, MappedText]] = []
        for outer, source in layer:
            for name, decode in decoding.DECODERS:
                decoded = decode(source, known, common)
                if decoded.text in seen or len(seen) > MOST_SOURCES:
                    continue
                seen.add(decoded.text)
                label = f"{outer}+{name}" if outer else name
                deeper.append((label, decoded))
                yield label, decoded
        layer = deeper


def _foldings(name: str, source: MappedText, known: Known, common: frozenset[str]) -> Iterator[tuple[str, MappedText]]:

    def either(word: str) -> bool:
        return word in common or known(word)

    mapped = folding.clean(source)
    plain = mapped.text == source.text.casefold()
    yield (name if plain or name != "raw" else "normalised"), mapped
    steps: tuple[tuple[str, Callable[[MappedText], MappedText]], ...] = (
        ("look-alike", lambda text: folding.lookalike(text, either)),
        ("spelling", lambda text: folding.spelling(folding.bare(text, known), either)),
        ("joined", lambda text: folding.joined(text, known, common)),
    )
    for label, step in steps:
        folded = step(mapped)
        if folded.text != mapped.text:
            mapped = folded
            yield (label if name == "raw" else name), mapped
