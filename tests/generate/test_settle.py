import numpy as np
import pytest
import torch
from torch import Tensor

from countermark.generate.captions import FIELDS
from countermark.generate.embedded import networks
from countermark.generate.settle import settled
from countermark.generate.text import FIRST, SLOT_SCALE
from countermark.generate.world import CAN


def slots_of(prompt: str) -> Tensor:
    text, _, _, vocabulary = networks()
    with torch.inference_mode():
        return text(vocabulary.batch([prompt]))


def read(slots: Tensor, slot: int, field: str) -> str:
    columns = slots[0, slot, FIRST[field] : FIRST[field] + len(FIELDS[field])]
    assert columns.max() > 0.9 * SLOT_SCALE, (slot, field)
    return FIELDS[field][int(columns.argmax())]


def test_what_is_told_stays_and_what_is_open_is_drawn_by_the_seed():
    told = slots_of("a red ball to the left of a blue box at night, animated")
    assert torch.equal(settled(told, 1), told)
    slots = slots_of("a cat walks to the left")
    seen = [settled(slots, seed) for seed in range(40)]
    assert torch.equal(seen[5], settled(slots, 5))
    for field, slot, count in (("style", 0, 2), ("background", 0, 5), ("colour", 1, 6)):
        drawn = {read(one, slot, field) for one in seen}
        assert len(drawn) == count and "any" not in drawn
    assert {(read(one, 1, "kind"), read(one, 1, "motion")) for one in seen} == {("cat", "left")}
    assert read(slots, 0, "style") == "any", "the prompt's own slots are left alone"


def test_things_that_nothing_parts_stand_apart():
    for seed in range(10):
        slots = settled(slots_of("a red ball and a blue box"), seed)
        assert {read(slots, 1, "place"), read(slots, 2, "place")} == {"left", "right"}
    above = settled(slots_of("a red ball above a blue box"), 0)
    assert (read(above, 1, "place"), read(above, 2, "place")) == ("above", "below")


@pytest.mark.parametrize("prompt", ["a ball knocks over a box", "a thing spins", "a ball and a cat"])
def test_no_two_things_get_one_colour_and_none_does_what_it_cannot(prompt: str):
    for seed in range(20):
        slots = settled(slots_of(prompt), seed)
        count = 1 + FIELDS["count"].index(read(slots, 0, "count"))
        colours = [read(slots, slot, "colour") for slot in range(1, 1 + count)]
        assert len(set(colours)) == count
        for slot in range(1, 1 + count):
            assert read(slots, slot, "motion") in CAN[read(slots, slot, "kind")]
    ways = {read(settled(slots_of("a ball knocks over a box"), seed), 1, "motion") for seed in range(20)}
    assert ways == {"left", "right"}


def test_one_open_field_does_not_change_what_is_drawn_for_another():
    with_style = settled(slots_of("a ball, animated"), 3)
    without = settled(slots_of("a ball"), 3)
    assert read(with_style, 0, "background") == read(without, 0, "background")
    assert np.isclose(float(with_style.sum()), float(without.sum()), rtol=1e-2)
