"""Training the encoder, on a tiny one: it learns, goes on where it stopped, and begins with an earlier checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from countermark.training._encoder import Encoder, Shape
from countermark.training._encoder_fit import Recipe, fit, logits_of
from countermark.training._prompts import HEADS, Example, weights_of
from countermark.training.encoder import continued

LETTERS = {letter: number for number, letter in enumerate("abcdefgh ", 4)}
TINY = Shape(pieces=16, width=16, heads=2, layers=2, inner=32, positions=300, outputs=len(HEADS))


def _tiny(seed: int = 0, pieces: int = TINY.pieces) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(Shape(**{**TINY.__dict__, "pieces": pieces}))


def _ids(text: str) -> list[int]:
    return [LETTERS[letter] for letter in text]


def _rows(count: int) -> list[Example]:
    """Pairs that differ in a letter: harmful are those with an ``a``, and then of the first category."""
    draw = np.random.default_rng(0)
    rows = []
    for number in range(count):
        words = "".join(draw.choice(list("cdefgh "), 8))
        for letter, harmful in (("b", False), ("a", True)):
            named = frozenset(HEADS[1:2]) if harmful else frozenset()
            rows.append(Example(words + letter, harmful, named, "en", "own_written", "contrast", "", str(number)))
    return rows


def test_it_learns_what_makes_the_difference(tmp_path: Path) -> None:
    rows = _rows(200)
    model = fit(_tiny(), rows, weights_of(rows), _ids, Recipe(12.0, 1e-2, tokens=256), tmp_path / "whole.pt")
    logits = logits_of(model, [row.text for row in _rows(260)[400:]], _ids)
    assert (logits[1::2, 0] - logits[::2, 0]).min() > 2
    assert (logits[1::2, 1:].argmax(1) == 0).all()


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    rows = _rows(24)
    recipe = Recipe(2.0, 1e-3, tokens=256)
    done = fit(_tiny(), rows, weights_of(rows), _ids, recipe, tmp_path / "whole.pt")
    again = fit(_tiny(1), rows, weights_of(rows), _ids, recipe, tmp_path / "whole.pt")
    for one, other in zip(done.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_can_begin_with_an_earlier_checkpoint_of_another_vocabulary(tmp_path: Path) -> None:
    rows = _rows(24)
    earlier = fit(_tiny(), rows, weights_of(rows), _ids, Recipe(0.5, 1e-3, tokens=256), tmp_path / "whole.pt")
    later = continued(_tiny(1, pieces=20), tmp_path / "whole.pt")
    assert torch.equal(later.out.weight, earlier.out.weight)
    assert torch.equal(later.places.weight, earlier.places.weight)
    assert later.words.weight.shape == (20, TINY.width)
    assert not torch.equal(later.words.weight[:16], earlier.words.weight)
