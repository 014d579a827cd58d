"""All the readings of a text that are judged, the plainest first.

Design decisions:

- A *source* is the text itself or a decoding of it (:mod:`.decoding`), up to two encodings deep. Each source goes
  through the foldings, one on top of the other, and every step that changes something gives a view. The number of views
  is bounded by ``MOST_SOURCES`` times the number of foldings; ordinary text gives one.
- A decoder changes something only where the result reads like language, so that there is no list of suspicious texts:
  whatever decodes is read, whatever does not stays as it is.
- Rules judge every view, since they cost little. A learned model is dear, and gibberish means nothing to it: it judges
  the views that are ``judged``, at most ``MOST_JUDGED`` a text. These are the plainest reading of the text itself; the
  last folding of a decoding that has more familiar words than the text had; and the last folding of the text itself
  where the plainest reading is gibberish beside it.
- What is plain is told by lists of words (:mod:`.vocabulary`), not by a model: they cost a look-up and can be read.
- Every reading remembers where its characters came from (:mod:`.mapped`), so that reasons quote the user's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from countermark.moderation.decoding import DECODERS, STORED
from countermark.moderation.folding import WORD, clean, legible, lookalike
from countermark.moderation.joining import joined, split
from countermark.moderation.mapped import MappedText
from countermark.moderation.source import Source
from countermark.moderation.spelling import leetspeak, repaired
from countermark.moderation.vocabulary import Vocabulary

__all__ = ["View", "views"]

MOST_SOURCES: Final = 8
MOST_JUDGED: Final = 4
_READABLE: Final = 0.4  # share of letters in familiar words that makes a decoding language
_CHANGED: Final = 0.4  # share of letters in words that a folding made, for it to be what the text says

Folding = Callable[[MappedText, Vocabulary], MappedText]
# Foldings that may read a word in two ways; the other way is a view, but not what is folded further.
_OTHER: Final = {"spelling": leetspeak, "repaired": repaired}
_FOLDINGS: Final[tuple[tuple[str, Folding], ...]] = (
    ("look-alike", lookalike),
    ("spelling", leetspeak),
    ("joined", joined),
    ("repaired", repaired),
    ("split", split),
)
_NAMES: Final = frozenset(name for name, _ in _FOLDINGS)


@dataclass(frozen=True)
class View:
    """One reading of the text.

    ``final`` marks the last folding of its source, ``judged`` the readings that a learned model shall read.
    """

    name: str
    mapped: MappedText
    final: bool
    judged: bool


def views(text: MappedText, vocabulary: Vocabulary) -> list[View]:
    """The views of ``text``; ``vocabulary`` is the lexicon's."""
    found: list[View] = []
    seen: set[str] = set()
    for name, source in _sources(text, vocabulary):
        chain = [
            View(label, mapped, False, False)
            for label, mapped in _foldings(name, source, vocabulary)
            if mapped.text not in seen
        ]
        seen.update(view.mapped.text for view in chain)
        if chain:
            found += [*chain[:-1], replace(chain[-1], final=True)]
    return _judged(found, vocabulary)


def _judged(found: list[View], vocabulary: Vocabulary) -> list[View]:
    """``found`` with those marked that a model shall read."""
    first, *others = found
    left = MOST_JUDGED - 1
    marked = [replace(first, judged=True)]
    before = _Words.of(first, vocabulary) if others else None
    for view in others:
        chosen = view.final and left > 0 and before is not None and _tells(view, before, vocabulary)
        left -= chosen
        marked.append(replace(view, judged=True) if chosen else view)
    return marked


@dataclass(frozen=True)
class _Words:
    words: frozenset[str]
    letters: int
    share: float  # of the letters, in familiar words

    @classmethod
    def of(cls, view: View, vocabulary: Vocabulary) -> _Words:
        words = WORD.findall(view.mapped.text)
        return cls(frozenset(words), sum(map(len, words)), vocabulary.plainness(words))


def _tells(view: View, before: _Words, vocabulary: Vocabulary) -> bool:
    """Whether ``view`` is what the text says, in place of or beside its plainest reading."""
    here = _Words.of(view, vocabulary)
    if here.share < _READABLE:
        return False
    if view.name in _NAMES:
        changed = sum(map(len, here.words - before.words))
        return changed >= _CHANGED * here.letters and here.share >= before.share
    return here.share * here.letters > before.share * before.letters


def _sources(text: MappedText, vocabulary: Vocabulary) -> Iterator[tuple[str, MappedText]]:
    """The text, its decodings, and theirs: two encodings deep."""
    yield "raw", text
    seen = {text.text}
    layer = [("", text)]
    for _ in range(2):
        deeper: list[tuple[str, MappedText]] = []
        for outer, stored in layer:
            for name, decoded in _decodings(stored, vocabulary):
                if decoded.text in seen or len(seen) > MOST_SOURCES:
                    continue
                seen.add(decoded.text)
                label = f"{outer}+{name}" if outer else name
                deeper.append((label, decoded))
                yield label, decoded
        layer = deeper


def _decodings(stored: MappedText, vocabulary: Vocabulary) -> Iterator[tuple[str, MappedText]]:
    source = Source(stored, vocabulary)
    for name, decode in STORED:
        decoded = decode(source)
        if decoded is not stored:
            yield name, decoded
    plain = legible(stored)
    source = Source(plain, vocabulary) if plain is not stored else source
    for name, decode in DECODERS:
        decoded = decode(source)
        if decoded is not plain:
            yield name, decoded


def _foldings(name: str, source: MappedText, vocabulary: Vocabulary) -> Iterator[tuple[str, MappedText]]:
    mapped = clean(source)
    plain = mapped.text == source.text.casefold()
    yield (name if plain or name != "raw" else "normalised"), mapped
    for label, fold in _FOLDINGS:
        folded = fold(mapped, vocabulary)
        if folded.text == mapped.text:
            continue
        if label in _OTHER:
            yield (label if name == "raw" else name), _OTHER[label](mapped, vocabulary, other=True)
        mapped = folded
        yield (label if name == "raw" else name), mapped
