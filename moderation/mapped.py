"""Text that remembers which characters of the user's own text each of its characters came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Edit", "MappedText", "apart", "whole"]

Edit = tuple[int, int, str]  # start and end in the text, and what stands there instead


@dataclass(frozen=True)
class MappedText:
    """``text``, where character ``i`` stands for ``[starts[i], ends[i])`` of the user's text."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the user's text that ``text[start:end]`` (not empty) stands for."""
        return min(self.starts[start:end]), max(self.ends[start:end])

    def with_text(self, text: str) -> MappedText:
        """The same mapping under another text of the same length."""
        if len(text) != len(self.text):
            raise ValueError("a mapping can only be shared between texts of one length")
        return MappedText(text, self.starts, self.ends)

    def replace(self, edits: Iterable[Edit]) -> MappedText:
        """A copy with ``edits`` made; they must be sorted and may not overlap.

        Every character of a replacement stands for the whole piece that it replaces.
        """
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for start, end, new in edits:
            pieces += (self.text[at:start], new)
            first, last = self.span(start, end)
            starts += self.starts[at:start]
            ends += self.ends[at:start]
            starts += [first] * len(new)
            ends += [last] * len(new)
            at = end
        if at == 0:
            return self
        pieces.append(self.text[at:])
        starts += self.starts[at:]
        ends += self.ends[at:]
        return MappedText("".join(pieces), starts, ends)

    def collect(self, edits: Iterable[Edit]) -> MappedText:
        """Only the replacements, in the order in which they are given; the rest of the text is left out."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for start, end, new in edits:
            first, last = self.span(start, end)
            pieces.append(new)
            starts += [first] * len(new)
            ends += [last] * len(new)
        return MappedText("".join(pieces), starts, ends)

    def reversed(self) -> MappedText:
        """Read from the end."""
        return MappedText(self.text[::-1], self.starts[::-1], self.ends[::-1])


def whole(text: str, offset: int = 0) -> MappedText:
    """``text`` as it is; ``offset`` is where it begins in the user's text, in characters."""
    return MappedText(text, range(offset, offset + len(text)), range(offset + 1, offset + len(text) + 1))


def apart(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Sorted edits without those that begin inside one before them."""
    at = 0
    for edit in edits:
        if edit[0] >= at:
            yield edit
            at = edit[1]
