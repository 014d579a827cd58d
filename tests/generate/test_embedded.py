import hashlib
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from countermark.errors import BadMedia, UsageError, WeightsMissing
from countermark.generate import Request, embedded, load_model
from countermark.generate.captions import caption, say
from countermark.generate.render import render_small
from countermark.generate.sampler import levels, sample
from countermark.generate.text import SLOT_WIDTH
from countermark.generate.things import part
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import Upscaler
from countermark.generate.world import KINDS, sample_scene
from countermark.training._looks import true_looks
from countermark.watermark import Key


@pytest.fixture(scope="module")
def model():
    return load_model("embedded")


def test_weights_are_the_expected_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert hashlib.sha256(embedded.WEIGHTS.read_bytes()).hexdigest() == embedded.SHA256
    assert embedded.WEIGHTS.stat().st_size < 40e6
    for path, message in ((tmp_path / "none", "cannot be read"), (Path(__file__), "damaged or of another version")):
        embedded.networks.cache_clear()
        monkeypatch.setattr(embedded, "WEIGHTS", path)
        with pytest.raises(WeightsMissing, match=message):
            load_model("embedded").generate(Request("a red ball", steps=1))
    embedded.networks.cache_clear()


def test_a_clip_has_the_promised_shape_and_is_seeded(model):
    steps: list[int] = []
    request = Request("a red ball bounces, animated", seed=3, steps=3, on_step=steps.append)
    result = model.generate(request)
    assert result.frames.shape == (32, 256, 256, 3)
    assert (result.frames.dtype, result.fps, result.warnings, steps) == (np.uint8, 8.0, (), [3, 3, 3])
    assert (model.generate(request).frames == result.frames).all()
    assert (model.generate(Request("a red ball bounces, animated", seed=4, steps=3)).frames != result.frames).any()
    other = model.generate(Request("a blue star rises at night, animated", seed=3, steps=3))
    assert (other.frames != result.frames).any()


def test_options_change_what_they_should(model):
    plain = model.generate(Request("a red ball bounces", seed=3, steps=2)).frames
    for changed in (
        Request("a red ball bounces", seed=3, steps=3),
        Request("a red ball bounces", seed=3, steps=2, guidance=1.0),
        Request("a red ball bounces", seed=3, steps=2, negative="night"),
        Request("a red ball bounces", seed=3, steps=2, style="photorealistic"),
    ):
        assert (model.generate(changed).frames != plain).any()
    short = model.generate(Request("a red ball bounces", seed=3, steps=2, seconds=1, fps=16, size=(512, 512)))
    assert short.frames.shape == (16, 512, 512, 3)
    assert short.fps == 16
    same = model.generate(Request("a red ball bounces", seed=3, steps=2, frames=8)).frames
    assert (same == plain[np.round(np.linspace(0, 31, 8)).astype(int)]).all(), "the same scene, faster"


def test_a_batch_gives_what_single_calls_give():
    torch.manual_seed(0)
    network = VideoTransformer(Shape(frames=8, size=16, width=64, depth=2)).eval()
    torch.nn.init.normal_(network.patch_out.weight, std=0.05)
    slots = torch.randn(3, 4, SLOT_WIDTH)
    together = sample(network, slots, steps=3, seeds=[5, 6, 7])
    for i, seed in enumerate((5, 6, 7)):
        alone = sample(network, slots[i : i + 1], steps=3, seeds=[seed])
        assert torch.allclose(together[i], alone[0], atol=1e-4)


def test_long_clips_go_on_and_pictures_begin_them(model, tmp_path: Path):
    steps: list[int] = []
    long = model.generate(Request("a red ball moves to the right", seed=1, steps=2, seconds=10, on_step=steps.append))
    assert long.frames.shape == (80, 256, 256, 3)
    assert steps == [8] * 8
    first = long.frames[0]
    path = tmp_path / "first.png"
    cv2.imwrite(str(path), first[..., ::-1])
    again = model.generate(Request("a red ball moves to the right", seed=2, steps=2, image=path)).frames
    assert np.abs(again[0].astype(int) - first).mean() < 12
    with pytest.raises(BadMedia):
        model.generate(Request("a red ball", image=tmp_path / "none.png"))


def test_given_frames_stay_and_are_told_apart():
    torch.manual_seed(0)
    network = VideoTransformer(Shape(frames=8, size=16, width=64, depth=2)).eval()
    for layer in (network.patch_out, network.given, network.span):
        torch.nn.init.normal_(layer.weight, std=0.05)
    slots, known = torch.randn(1, 4, SLOT_WIDTH), torch.rand(1, 3, 16, 16, 3)
    made = sample(network, slots, steps=3, seeds=[5], known=known)
    assert torch.equal(made[:, :3], known)
    assert not torch.equal(made, sample(network, slots, steps=3, seeds=[5]))
    whole, part = (sample(network, slots, steps=3, seeds=[5], span=span) for span in ((0.0, 1.0), (0.5, 1.0)))
    assert torch.equal(whole, sample(network, slots, steps=3, seeds=[5]))
    assert not torch.equal(whole, part)


def test_noise_levels_fall_from_the_start_to_zero():
    for start in (1.0, 0.4):
        path = levels(10, start)
        assert (path[0], path[-1], len(path)) == (start, 0.0, 11)
        assert all(a > b for a, b in pairwise(path))


def test_a_clip_that_starts_as_another_ends_near_it():
    text, video, _, vocabulary = embedded.networks()
    scene, other = (sample_scene(np.random.default_rng(seed)) for seed in (0, 1))
    truth, away = (torch.from_numpy(render_small(one, 16)).float()[None] / 127.5 - 1 for one in (scene, other))
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        slots = text(vocabulary.batch([say(scene)]))
    made = sample(video, slots, steps=4, guidance=1.0, seeds=[], noise=truth * 0.6 + noise * 0.4, start=0.4)
    assert (made - truth).square().mean() < 0.1 * (away - truth).square().mean()
    assert (made - truth).square().mean() < 0.1 * (noise * 0.4).square().mean()


def test_the_decoder_draws_each_frame_by_its_neighbours_and_its_time():
    torch.manual_seed(0)
    network = Upscaler(width=16, depth=2, size=8, even=16, fine=8, layers=1).eval()
    torch.nn.init.normal_(network.last.weight, std=0.05)
    torch.nn.init.normal_(network.turn[2].weight, std=0.05)
    clip, slots, times = torch.rand(1, 12, 8, 8, 3), torch.randn(1, 4, SLOT_WIDTH), torch.linspace(0, 1, 12)[None]

    def behind(frames: int, speed: float = 1.0) -> torch.Tensor:
        features = network.mended(clip[:, :frames], slots, times[:, :frames] * speed)
        return network.drawn(features, clip[0, :frames].permute(0, 3, 1, 2))

    with torch.inference_mode():
        whole, part, later = behind(12), behind(8), behind(12, 0.5)
        assert network(clip, slots, times).shape == (1, 12, 128, 128, 3)
    assert torch.allclose(whole[:5], part[:5], atol=1e-5), "a frame further for each layer, and one"
    assert not torch.allclose(whole[7], part[7], atol=1e-3)
    assert not torch.allclose(whole[11], later[11], atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_decoder_finds_the_things_of_a_clip(seed: int):
    text, _, upscaler, vocabulary = embedded.networks()
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    prompt, said = caption(scene, rng, leave_out=0.0)
    clip = torch.from_numpy(render_small(scene, 16)).float()[None] / 127.5 - 1
    times = np.linspace(0, 1, len(clip[0]), dtype=np.float32)
    true = true_looks(scene, said.things, times)
    with torch.inference_mode():
        slots = text(vocabulary.batch([prompt]))
        told = torch.from_numpy(times)[None]
        [looks], _ = upscaler.found(upscaler.mended(clip, slots, told), clip, slots, told)
    assert torch.equal(part(looks, "there").mean(0) > 0, part(true, "there")[0] > 0)
    for index, thing in enumerate(said.things):
        here = part(true[:, index], "whole")[:, 0] > 0
        off = (part(looks[:, index], "place") - part(true[:, index], "place")).abs()[here]
        assert off.mean() < 0.02, thing
        assert KINDS[int(part(looks[:, index], "kind").mean(0).argmax())] == thing.kind


def test_words_outside_the_world_are_named(model):
    result = model.generate(Request("a dragon eats a red ball", steps=1))
    [warning] = result.warnings
    assert "dragon, eats" in warning
    assert "it knows" in warning
    typo = model.generate(Request("a red bouncee ball", steps=1)).warnings
    assert any("read" in one for one in typo)
    assert "xyzzy" in model.generate(Request("xyzzy!", steps=1)).warnings[0]
    assert "any word" in model.generate(Request("42!", steps=1)).warnings[0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("x", seconds=13), "at most 12 seconds"),
        (Request("x", seconds=6, noise_key=Key(bytes(32))), "a noise mark takes a clip of 4 seconds"),
        (Request("x", size=(640, 360)), "squares"),
    ],
)
def test_what_it_cannot_do_is_an_error(model, request_: Request, message: str):
    with pytest.raises(UsageError, match=message):
        model.generate(request_)
