"""What a prompt leaves open, settled by the seed before a clip is made: "a cat walks to the left" has a colour then.

Denoising would settle it as well, but little by little, and not in every frame alike; the decoder, which is told the
prompt, would have to guess it once more. Two things that no word parts ("a red ball and a blue box") would be looked
for at the same place.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from countermark.generate.captions import FIELDS
from countermark.generate.text import FIRST, SLOT_SCALE
from countermark.generate.world import BACKGROUNDS, CAN, PAINTED, PLAIN, STYLES

__all__ = ["settled"]


def settled(slots: Tensor, seed: int) -> Tensor:
    """Slot vectors of one prompt (1 x slots x width) as they are, but for what they leave open, which ``seed`` draws:
    style, background, kinds, colours, the way of a ball that knocks a box over, the sides of two or three things.
    """
    slots = slots.clone()
    rng = np.random.default_rng([seed % 2**64, 1])

    def read(slot: int, field: str) -> str:
        first = FIRST[field]
        return FIELDS[field][int(slots[0, slot, first : first + len(FIELDS[field])].argmax())]

    def settle(slot: int, field: str, options: tuple[str, ...]) -> None:
        drawn = str(rng.choice(options))  # whether it is needed or not: one open field does not change another's draw
        if read(slot, field) == "any":
            columns = slots[0, slot, FIRST[field] : FIRST[field] + len(FIELDS[field])]
            columns.zero_()[FIELDS[field].index(drawn)] = SLOT_SCALE

    settle(0, "style", STYLES)
    settle(0, "background", BACKGROUNDS)
    things = range(1, 2 + FIELDS["count"].index(read(0, "count")))
    places = list(rng.permutation(["left", "right"])) if len(things) == 2 else ["left", "middle", "right"]
    apart = len(things) > 1 and read(0, "event") == "none" and all(read(slot, "place") == "any" for slot in things)
    for slot in things:
        settle(slot, "motion", ("left", "right") if read(0, "event") == "knock" and slot == 1 else ("still",))
        settle(slot, "kind", tuple(kind for kind in PLAIN if read(slot, "motion") in CAN[kind]))
        taken = {read(other, "colour") for other in things}
        if read(slot, "kind") not in ("cookie", "lamp"):
            settle(slot, "colour", tuple(colour for colour in PAINTED if colour not in taken))
        if apart:
            settle(slot, "place", (places[slot - 1],))
    return slots
