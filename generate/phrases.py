"""What phrases of either language have in common: how they are chosen, and a thing as a caption names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from countermark.generate.world import Thing

__all__ = ["Chance", "Named", "named"]


class Chance:
    """Chooses wordings by chance or, without a generator, always the plainest."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng

    def happens(self, share: float) -> bool:
        """Whether something happens that does so in a share of captions; never in the plainest."""
        return self.rng is not None and self.rng.random() < share

    def pick(self, options: Sequence[str]) -> str:
        """One of them; the first one more often, so that plain words are known best."""
        return options[self.place(len(options))]

    def place(self, count: int) -> int:
        """The place of one of ``count``; the first more often."""
        if self.rng is None or self.rng.random() < 0.4:
            return 0
        return int(self.rng.integers(count))


@dataclass(frozen=True)
class Named:
    """A thing with what a caption tells of it; ``any`` for what it leaves open."""

    thing: Thing
    kind: str
    colour: str
    motion: str
    place: str

    @property
    def said(self) -> tuple[str, str, str, str]:
        """Kind, colour, motion and place."""
        return self.kind, self.colour, self.motion, self.place


def named(thing: Thing, chance: Chance, leave_out: float) -> Named:
    """Leaves kind or colour out now and then, never both; what cannot be painted has no colour to tell."""
    plain = thing.kind in ("cookie", "lamp")
    nameless = not plain and thing.fate == "none" and chance.happens(leave_out / 3)
    bare = plain or (not nameless and chance.happens(leave_out * 2 / 3))
    return Named(
        thing,
        "any" if nameless else thing.kind,
        "any" if bare else thing.colour,
        thing.motion,
        "any" if thing.place == "none" else thing.place,
    )
