import colorsys

import numpy as np
import pytest

from countermark.generate.captions import FIELDS, SLOTS, caption, known_words, say, words
from countermark.generate.render import render
from countermark.generate.text import Vocabulary
from countermark.generate.world import COLOURS, FRAMES, HELD_OUT, MOTIONS, path, sample_scene


def test_scenes_keep_their_rules():
    rng = np.random.default_rng(0)
    times = np.linspace(0, 1, FRAMES, dtype=np.float32)
    for _ in range(300):
        scene = sample_scene(rng)
        for thing in scene.things:
            assert (thing.colour, thing.kind) not in HELD_OUT
            x, y = path(thing, times)
            assert ((x > 0) & (x < 1) & (y > 0) & (y < 1)).all()
            moved = {"left": x[0] - x[-1], "right": x[-1] - x[0], "up": y[0] - y[-1], "down": y[-1] - y[0]}
            if thing.motion in moved:
                assert moved[thing.motion] > 0.15
            if thing.motion == "still":
                assert np.ptp(x) == np.ptp(y) == 0
            if thing.motion == "bounce":
                assert np.ptp(y) > 0.2
        if len(scene.things) == 2:
            left, right = sorted(scene.things, key=lambda t: t.side)
            assert (left.side, right.side) == ("left", "right")
            assert (path(right, times)[0] - path(left, times)[0] > 0.08).all()
    first = sample_scene(np.random.default_rng(1), held_out=True).things[0]
    assert (first.colour, first.kind) in HELD_OUT
    assert sample_scene(rng, motion="up").things[0].motion in MOTIONS


@pytest.mark.parametrize("size", [32, 256])
def test_rendered_colours_are_true(size: int):
    """The middle of a thing has its colour's hue, in both styles, by day and night."""
    rng = np.random.default_rng(2)
    for _ in range(60):
        scene = sample_scene(rng, held_out=None)
        frame = render(scene, size, at=0)[0]
        for thing in scene.things:
            x, y = path(thing, np.zeros(1, np.float32))
            r, g, b = frame[int(y[0] * size), int(x[0] * size)] / 255
            hue = colorsys.rgb_to_hsv(r, g, b)[0] * 360
            away = abs((hue - COLOURS[thing.colour] + 180) % 360 - 180)
            assert away < 14, (thing, hue)


def test_one_frame_is_the_same_as_in_the_clip():
    scene = sample_scene(np.random.default_rng(3))
    assert (render(scene, 64, at=7)[0] == render(scene, 64)[7]).all()
    assert render(scene, 64).shape == (FRAMES, 64, 64, 3)


def test_captions_say_what_they_claim():
    rng = np.random.default_rng(4)
    known = set(known_words())
    vocabulary = Vocabulary()
    for _ in range(400):
        scene = sample_scene(rng)
        text, said = caption(scene, rng)
        assert set(words(text)) <= known
        assert len(said.values) == sum(len(fields) for _, fields in SLOTS)
        for (slot, field), value in zip([(s, f) for s, fs in SLOTS for f in fs], said.values, strict=True):
            assert value in FIELDS[field]
            assert said.get(slot, field) == value
        style = said.get("scene", "style")
        assert style in ("any", scene.style)
        assert vocabulary.encode(text).unknown == ()
        assert vocabulary.encode(say(scene)).unknown == ()


def test_unknown_words_are_mapped_or_reported():
    tokens = Vocabulary().encode("A redd ball bouncess next to a dragon, please")
    assert tokens.unknown == ("dragon",)
    assert tokens.read_as == (("redd", "red"), ("bouncess", "bounces"))
