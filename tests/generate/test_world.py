import colorsys

import numpy as np
import pytest

from countermark.generate.captions import FIELDS, SLOTS, caption, known_words, say, words
from countermark.generate.render import render
from countermark.generate.text import Vocabulary
from countermark.generate.world import (
    CAN,
    COLOURS,
    EVENTS,
    FRAMES,
    HELD_OUT,
    LAYOUTS,
    PAINTED,
    path,
    sample_scene,
    view,
)

TIMES = np.linspace(0, 1, FRAMES, dtype=np.float32)


def test_scenes_keep_their_rules():
    rng = np.random.default_rng(0)
    for _ in range(400):
        scene = sample_scene(rng)
        colours = [thing.colour for thing in scene.things]
        assert len(set(colours)) == len(colours)
        at = {}
        for thing in scene.things:
            assert (thing.colour, thing.kind) not in HELD_OUT
            assert (thing.colour in PAINTED) == (thing.kind not in ("cookie", "lamp"))
            x, y = path(thing, TIMES)
            at[thing.place] = x
            assert ((x > 0) & (x < 1) & (y > 0) & (y < 1)).all()
            if thing.fate in ("pushes", "falls"):
                continue
            assert thing.motion in CAN[thing.kind]
            moved = {"left": x[0] - x[-1], "right": x[-1] - x[0], "up": y[0] - y[-1], "down": y[-1] - y[0]}
            if thing.motion in moved:
                assert moved[thing.motion] > 0.15
            if thing.motion in ("still", "spin"):
                assert np.ptp(x) == np.ptp(y) == 0
            if thing.motion in ("bounce", "circle"):
                assert np.ptp(y) > 0.2
        if {"left", "right"} <= at.keys():
            assert (at["right"] - at["left"] > 0.08).all(), "nothing crosses to the other's side"
    first = sample_scene(np.random.default_rng(1), held_out=True, layout="beside").things[0]
    assert (first.colour, first.kind) in HELD_OUT
    with pytest.raises(ValueError, match="layout"):
        sample_scene(rng, layout="none")


@pytest.mark.parametrize("event", EVENTS[1:])
def test_events_have_consequences_that_stay(event: str):
    scene = sample_scene(np.random.default_rng(2), layout="event", event=event)
    frames = render(scene, 96).astype(int)
    first, last = frames[:8], frames[-8:]
    assert np.abs(first - first[0]).mean() < 4
    assert np.abs(last - last[-1]).mean() < 0.5, "nothing changes any more"
    assert np.abs(last[-1] - first[0]).mean() > 0.5


@pytest.mark.parametrize("size", [32, 256])
def test_rendered_colours_are_true(size: int):
    """The middle of a thing has its colour's hue, in both styles, in every place."""
    rng = np.random.default_rng(2)
    for _ in range(80):
        scene = sample_scene(rng, held_out=None, layout=str(rng.choice(["single", "beside", "above", "three"])))
        frame = render(scene, size, at=0)[0]
        for thing in scene.things:
            if thing.kind in ("cookie", "lamp", "cat", "robot"):
                continue
            x, y = path(thing, np.zeros(1, np.float32))
            r, g, b = frame[int(y[0] * size), int(x[0] * size)] / 255
            hue = colorsys.rgb_to_hsv(r, g, b)[0] * 360
            away = abs((hue - COLOURS[thing.colour] + 180) % 360 - 180)
            assert away < 14, (thing, hue)


def test_one_frame_is_the_same_as_in_the_clip_and_a_part_as_in_the_whole():
    for layout in LAYOUTS:
        scene = sample_scene(np.random.default_rng(3), layout=layout)
        whole = render(scene, 48)
        assert (render(scene, 48, at=7)[0] == whole[7]).all()
        assert whole.shape == (FRAMES, 48, 48, 3)
        part = render(scene, 48, 5, span=(8 / 31, 12 / 31))
        assert np.abs(part.astype(int) - whole[8:13]).mean() < 0.2


def test_cameras_pan_and_zoom():
    still = [view(sample_scene(np.random.default_rng(4), layout="single"), TIMES)]
    assert np.ptp(still[0][0]) == np.ptp(still[0][1]) == 0
    found = {
        scene.camera: view(scene, TIMES)
        for scene in (sample_scene(np.random.default_rng(i), layout="camera") for i in range(40))
    }
    assert (np.diff(found["pan right"][0]) > 0).all()
    assert (np.diff(found["pan left"][0]) < 0).all()
    assert (np.diff(found["zoom in"][1]) > 0).all()
    assert (np.diff(found["zoom out"][1]) < 0).all()


def test_captions_say_what_they_claim():
    rng = np.random.default_rng(4)
    known = set(known_words())
    vocabulary = Vocabulary()
    order = [(slot, field) for slot, fields in SLOTS for field in fields]
    for _ in range(600):
        scene = sample_scene(rng)
        text, said = caption(scene, rng)
        assert set(words(text)) <= known
        assert len(said.values) == len(order)
        for (slot, field), value in zip(order, said.values, strict=True):
            assert value in FIELDS[field]
            assert said.get(slot, field) == value
        assert said.get("scene", "style") in ("any", scene.style)
        assert said.get("scene", "event") == scene.event
        assert sorted(t.x for t in said.things) == sorted(t.x for t in scene.things)
        for slot, thing in zip(("first", "second", "third"), said.things, strict=False):
            assert said.get(slot, "kind") in ("any", thing.kind)
            assert said.get(slot, "colour") in ("any", thing.colour)
            assert said.get(slot, "motion") in ("any", thing.motion)
            assert said.get(slot, "place") in ("any", thing.place)
        assert vocabulary.encode(text).unknown == ()
        for language in ("en", "de"):
            assert vocabulary.encode(say(scene, language=language)).unknown == ()


def test_plain_captions_read_as_people_write():
    texts = {say(sample_scene(np.random.default_rng(i), layout="beside")) for i in range(60)}
    assert any(" to the left of a" in text for text in texts)
    assert len(texts) > 50
    bitten = sample_scene(np.random.default_rng(1), layout="event", event="bite")
    assert say(bitten).startswith("a cookie is bitten ")
    assert say(bitten, language="de").startswith("ein Keks wird angebissen ")
    knocked = sample_scene(np.random.default_rng(1), layout="event", event="knock")
    ball = next(thing for thing in knocked.things if thing.kind == "ball")
    assert f" rolls to the {ball.motion} and knocks over a" in say(knocked), "nothing is left out"


def test_unknown_words_are_mapped_or_reported():
    tokens = Vocabulary().encode("A redd ball bouncess next to a dragon, please")
    assert tokens.unknown == ("dragon",)
    assert tokens.read_as == (("redd", "red"), ("bouncess", "bounces"))
