import numpy as np
import pytest

from countermark.generate.render import render
from countermark.generate.verifier import verify
from countermark.generate.world import sample_scene


def test_passes_rendered_truth():
    rng = np.random.default_rng(0)
    scenes = [sample_scene(rng, held_out=None) for _ in range(100)]
    wrong = [scene for scene in scenes if not verify(render(scene, 256), scene).all]
    assert len(wrong) <= 1, wrong[:3]


def test_fails_other_scenes_noise_and_grey():
    rng = np.random.default_rng(1)
    scenes = [sample_scene(rng, held_out=None) for _ in range(40)]
    clips = [render(scene, 128) for scene in scenes]
    shuffled = sum(verify(clips[i], scenes[(i + 1) % 40]).all for i in range(40))
    assert shuffled <= 1
    noise = rng.integers(0, 256, (24, 128, 128, 3), dtype=np.uint8)
    grey = np.full((24, 128, 128, 3), 128, np.uint8)
    assert not any(verify(junk, scene).all for junk in (noise, grey) for scene in scenes)


@pytest.mark.parametrize("motion", ["left", "right", "up", "down", "bounce"])
def test_a_still_frame_and_a_reversed_clip_fail_the_motion(motion: str):
    rng = np.random.default_rng(2)
    for _ in range(4):
        scene = sample_scene(rng, pairs=0.0, motion=motion)
        clip = render(scene, 128)
        assert verify(clip, scene).motion
        assert not verify(np.repeat(clip[:1], len(clip), 0), scene).motion
        if motion != "bounce":
            assert not verify(clip[::-1], scene).motion


def test_a_mirrored_pair_fails_the_relation():
    rng = np.random.default_rng(3)
    for _ in range(6):
        scene = sample_scene(rng, pairs=1.0)
        clip = render(scene, 128)
        assert verify(clip, scene).relation
        assert not verify(np.ascontiguousarray(clip[:, :, ::-1]), scene).relation


def test_an_extra_thing_is_noticed():
    rng = np.random.default_rng(4)
    pair = sample_scene(rng, pairs=1.0)
    alone = type(pair)(pair.style, pair.background, pair.things[:1], pair.seed)
    assert not verify(render(pair, 128), alone).objects
