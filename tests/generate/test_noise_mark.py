"""The mark in the noise: noise stays noise, its bound holds, and the embedded model's own clips give it back."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from countermark.errors import BadMedia, UsageError
from countermark.generate import Request, Result, generate, load_model, models
from countermark.generate.embedded import networks
from countermark.generate.noise_mark import PATTERNS, marked_noise, read_noise, recovered_signs
from countermark.generate.sampler import invert, sample
from countermark.provenance import keys_of
from countermark.settings import load_settings
from countermark.watermark import Key

KEY, OTHER = Key(bytes(range(32))), Key(bytes([9] * 32))
SHAPE = (32, 16, 16, 3)


@pytest.fixture(scope="module")
def noise():
    return marked_noise(SHAPE, 5, KEY, 0xDEADBEEF)


def test_marked_noise_is_standard_normal_and_white(noise):
    assert (noise.shape, noise.dtype) == (SHAPE, np.float32)
    assert kstest(noise.ravel(), norm.cdf).pvalue > 1e-3
    for axis in range(4):
        shifted = np.roll(noise, 1, axis)
        assert abs(np.mean(noise * shifted)) < 4 / math.sqrt(noise.size)
    others = [marked_noise((6, 8, 8, 3), seed, KEY, 1) for seed in range(400)]
    assert np.abs(np.mean(others, 0)).max() < 5 / 20, "no place leans to a side over many seeds"
    assert kstest(np.array(others)[:, 0, 0, 0, 0], norm.cdf).pvalue > 1e-3


def test_noise_follows_seed_key_and_message(noise):
    assert (marked_noise(SHAPE, 5, KEY, 0xDEADBEEF) == noise).all()
    for changed in ((6, KEY, 0xDEADBEEF), (5, OTHER, 0xDEADBEEF), (5, KEY, 0xDEADBEEE)):
        assert (marked_noise(SHAPE, *changed) != noise).any()
    with pytest.raises(UsageError, match="32 bits"):
        marked_noise(SHAPE, 5, KEY, 1 << 32)


def test_noise_reads_back_under_much_more_noise(noise):
    worn = noise + np.random.default_rng(0).normal(0, 6, SHAPE).astype(np.float32)
    reading = read_noise(worn, [OTHER, KEY], 0xDEADBEEF)
    assert (reading.detected, reading.pattern, reading.key_id) == (True, 5, KEY.id)
    whole = read_noise(noise, KEY)
    assert (whole.detected, whole.message, whole.pattern) == (True, 0xDEADBEEF, 5)
    assert recovered_signs(noise, 5, KEY, 0xDEADBEEF) == (1.0, 1.0)
    assert not read_noise(noise, OTHER, 0xDEADBEEF).detected
    assert not read_noise(noise, KEY, 0xDEADBEEF ^ 0xFFFF).detected, "a message half wrong is another message"


def test_p_values_are_the_bound_with_all_that_was_tried(noise):
    worn = noise + np.random.default_rng(1).normal(0, 8, SHAPE).astype(np.float32)
    known, blind = read_noise(worn, KEY, 0xDEADBEEF), read_noise(worn, KEY)
    assert known.p_value == pytest.approx(min(1, PATTERNS * math.exp(-(known.rho**2) / 2)))
    assert blind.p_value == pytest.approx(min(1, 2.0**32 * PATTERNS * math.exp(-(blind.rho**2) / 2)))
    assert read_noise(worn, [KEY, OTHER], 0xDEADBEEF).p_value == pytest.approx(min(1, 2 * known.p_value))
    seeded = read_noise(worn, KEY, 0xDEADBEEF, seed=5 + 3 * PATTERNS)
    assert seeded.p_value == pytest.approx(known.p_value / PATTERNS)
    assert read_noise(worn, KEY, 0xDEADBEEF, seed=6).p_value > 1e-3
    assert known.p_value < 1e-3, "the case has something to show"


def test_foreign_noise_stays_under_the_bound():
    """A clip without the key: one video's noise, low frequencies far stronger, under thousands of streams."""
    rng = np.random.default_rng(0)
    small = np.cumsum(np.cumsum(rng.normal(0, 1, (32, 8, 8, 3)), 1), 2).astype(np.float32)
    rhos = []
    for i in range(4):
        reading = read_noise(small, Key(i.to_bytes(32, "big")), 7)
        assert not reading.detected
        rhos.append(reading.rho)
    expected = math.sqrt(2 * math.log(PATTERNS))  # about the greatest of so many standard normals
    assert abs(np.mean(rhos) - expected) < 1.0
    assert read_noise(np.zeros((6, 8, 8, 3), np.float32), KEY).p_value == 1.0


def test_inversion_finds_the_noise_of_the_models_own_clip():
    text, video, _, vocabulary = networks()
    start = torch.from_numpy(marked_noise(SHAPE, 3, KEY, 99))[None]
    with torch.inference_mode():
        slots = text(vocabulary.batch(["a red ball bounces"]))
    clip = sample(video, slots, steps=6, guidance=1.0, seeds=[3], noise=start)
    plain = sample(video, slots, steps=6, guidance=1.0, seeds=[3])
    reading = read_noise(invert(video, clip, slots, steps=8)[0].numpy(), KEY, 99, seed=3)
    assert (reading.detected, reading.pattern) == (True, 3)
    blind = read_noise(invert(video, clip, None, steps=8)[0].numpy(), KEY, 99, seed=3)
    assert blind.rho < reading.rho, "the prompt helps"
    assert not read_noise(invert(video, plain, slots, steps=8)[0].numpy(), KEY, 99, seed=3).detected
    with pytest.raises(ValueError, match="2 steps"):
        invert(video, clip, steps=1)


def test_noise_is_recovered_from_frames_and_proves_nothing_that_is_not_there():
    model = load_model("embedded")
    request = Request("a red ball bounces", seed=3, steps=4, guidance=1.0)
    frames = model.generate(request).frames
    noise = model.recover_noise(frames, request.prompt)
    assert (noise.shape, noise.dtype) == (SHAPE, np.float32)
    assert 0.3 < noise.std() < 3
    assert not read_noise(noise, [OTHER, KEY]).detected
    assert (noise != model.recover_noise(frames)).any()


def test_without_the_flag_a_seed_gives_what_it_gave():
    model = load_model("embedded")
    plain = model.generate(Request("a red ball bounces", seed=3, steps=2)).frames
    text, video, upscaler, vocabulary = networks()
    with torch.inference_mode():
        slots = text(vocabulary.batch(["a red ball bounces"]))
        start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))[None]
        own = sample(video, slots, steps=2, seeds=[0], noise=start)
        large = upscaler(own, slots, torch.linspace(0, 1, 32)[None])[0].clamp(-1, 1)
    assert (((large + 1) * 127.5).round().to(torch.uint8).numpy() == plain).all()


def test_what_is_no_whole_clip_is_refused():
    for shape in ((31, 64, 64, 3), (32, 64, 32, 3)):
        with pytest.raises(BadMedia, match="32 square frames"):
            load_model("embedded").recover_noise(np.zeros(shape, np.uint8))


class Silent:
    """A generator that knows nothing of noise, and keeps what it was asked."""

    name, version = "silent", None

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames
        self.asked: list[Request] = []

    def generate(self, request: Request) -> Result:
        self.asked.append(request)
        return Result(self.frames, 8.0)


class Marking(Silent):
    marks_noise = True


def test_a_model_that_cannot_is_refused_before_it_generates(tmp_path):
    model = Silent(np.zeros((1, 64, 64, 3), np.uint8))
    assert isinstance(model, models.VideoModel)
    with pytest.raises(UsageError, match="silent cannot mark its noise"):
        generate("a red ball bounces", tmp_path / "o.mp4", model=model, noise_mark=True)
    assert not model.asked


def test_the_watermark_key_marks_the_noise_only_when_asked(tmp_path, clip):
    model = Marking(clip())
    generate("a red ball bounces", tmp_path / "plain.mp4", model=model)
    generate("a red ball bounces", tmp_path / "marked.mp4", model=model, noise_mark=True)
    assert [one.noise_key for one in model.asked] == [None, keys_of(load_settings())[0]]
