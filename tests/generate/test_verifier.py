from dataclasses import replace

import numpy as np
import pytest

from countermark.benchmarks.generate import mirrored
from countermark.generate.render import render
from countermark.generate.silhouettes import kind_of, turned_by
from countermark.generate.verifier import verify
from countermark.generate.world import EVENTS, LAYOUTS, Scene, sample_scene

SIDE = 160


@pytest.mark.parametrize(
    ("layout", "event"), [(one, None) for one in LAYOUTS if one != "event"] + [("event", one) for one in EVENTS[1:]]
)
def test_passes_rendered_truth(layout: str, event: str | None):
    rng = np.random.default_rng(0)
    scenes = [sample_scene(rng, held_out=None, layout=layout, event=event) for _ in range(12)]
    wrong = [scene for scene in scenes if not verify(render(scene, 256), scene).all]
    assert not wrong[1:], wrong


def test_fails_other_scenes_noise_and_grey():
    rng = np.random.default_rng(1)
    scenes = [sample_scene(rng, held_out=None) for _ in range(20)]
    clips = [render(scene, SIDE) for scene in scenes]
    assert sum(verify(clips[i], scenes[(i + 1) % 20]).all for i in range(20)) <= 1
    noise = rng.integers(0, 256, (32, SIDE, SIDE, 3), dtype=np.uint8)
    grey = np.full((32, SIDE, SIDE, 3), 128, np.uint8)
    assert not any(verify(junk, scene).all for junk in (noise, grey) for scene in scenes)


def _single(rng: np.random.Generator, motion: str) -> Scene:
    while True:
        scene = sample_scene(rng, layout="single")
        if scene.things[0].motion == motion:
            return scene


@pytest.mark.parametrize("motion", ["left", "right", "up", "down", "bounce", "circle", "spin"])
def test_a_still_frame_and_a_reversed_clip_fail_the_motion(motion: str):
    rng = np.random.default_rng(2)
    for _ in range(3):
        scene = _single(rng, motion)
        clip = render(scene, SIDE)
        assert verify(clip, scene).motion
        assert not verify(np.repeat(clip[:1], len(clip), 0), scene).motion
        if motion in ("left", "right", "up", "down"):
            assert not verify(clip[::-1], scene).motion


@pytest.mark.parametrize("layout", ["beside", "three"])
def test_a_mirrored_clip_fails_the_relation(layout: str):
    rng = np.random.default_rng(3)
    for _ in range(4):
        scene = sample_scene(rng, layout=layout)
        clip = render(scene, SIDE)
        assert verify(clip, scene).relation
        assert not verify(np.ascontiguousarray(clip[:, :, ::-1]), scene).relation
        if layout == "beside":
            assert verify(render(mirrored(scene), SIDE), mirrored(scene)).relation


def test_above_is_not_below_and_before_not_behind():
    rng = np.random.default_rng(4)
    turned = {"above": "below", "below": "above", "front": "behind", "behind": "front"}
    for layout in ("above", "behind"):
        scene = sample_scene(rng, layout=layout)
        other = replace(scene, things=tuple(replace(t, place=turned[t.place]) for t in scene.things))
        clip = render(scene, SIDE)
        assert verify(clip, scene).relation
        assert not verify(clip, other).relation


@pytest.mark.parametrize("event", EVENTS[1:])
def test_an_event_must_happen_and_stay(event: str):
    rng = np.random.default_rng(5)
    for _ in range(3):
        scene = sample_scene(rng, layout="event", event=event)
        clip = render(scene, SIDE)
        assert verify(clip, scene).event
        healed = np.concatenate([clip[:-8], clip[:8]])
        for wrong in (np.repeat(clip[:1], 32, 0), np.repeat(clip[-1:], 32, 0), clip[::-1], healed):
            assert not verify(wrong, scene).event


def test_a_camera_moves_the_background_too():
    rng = np.random.default_rng(6)
    for _ in range(6):
        scene = sample_scene(rng, layout="camera")
        assert verify(render(scene, SIDE), scene).camera
        assert not verify(render(replace(scene, camera="fixed"), SIDE), scene).camera
        if scene.camera.startswith("pan") and scene.background == "street":
            way = -0.44 if scene.camera == "pan right" else 0.44
            thing = replace(scene.things[0], motion="right", x=scene.things[0].x - way / 2, reach=way)
            assert not verify(render(replace(scene, camera="fixed", things=(thing,)), SIDE), scene).camera


def test_another_place_fails_the_background():
    scene = sample_scene(np.random.default_rng(7), layout="beside")
    for place in ("day", "night", "studio", "meadow", "street"):
        assert verify(render(replace(scene, background=place), SIDE), scene).background == (place == scene.background)


@pytest.mark.parametrize("layout", ["single", "beside", "event"])
def test_the_other_style_fails(layout: str):
    rng = np.random.default_rng(9)
    for _ in range(4):
        scene = sample_scene(rng, layout=layout)
        clip = render(scene, SIDE)
        other = {"animated": "photorealistic", "photorealistic": "animated"}[scene.style]
        assert verify(clip, scene).style
        assert not verify(clip, replace(scene, style=other)).style


def test_an_extra_thing_is_noticed():
    pair = sample_scene(np.random.default_rng(8), layout="beside")
    alone = replace(pair, things=(replace(pair.things[0], place="none"),))
    assert not verify(render(pair, SIDE), alone).objects


def test_outlines_tell_kinds_and_turns():
    y, x = np.mgrid[0:90, 0:90] - 44.5
    assert kind_of((np.hypot(x, y) < 30)[None]) == "ball"
    assert kind_of((np.hypot(x, y / 1.25) < 30)[None]) == "balloon"
    square = (np.abs(x) < 28) & (np.abs(y) < 28)
    assert kind_of(square[None]) == "box"
    diamond = np.abs(x) + np.abs(y) < 38
    assert kind_of(diamond[None], turning=True) == "box"
    angles = np.radians(np.arange(0, 100, 10))
    turning = np.stack(
        [(np.abs(x * np.cos(a) + y * np.sin(a)) < 28) & (np.abs(y * np.cos(a) - x * np.sin(a)) < 28) for a in angles]
    )
    assert turned_by(turning, "box") == pytest.approx(90, abs=3)
    assert kind_of(np.zeros((2, 9, 9), bool)) == "none"
