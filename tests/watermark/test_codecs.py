"""Other codecs: their presence test against the binomial law, and the channels that they stand on."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from countermark.errors import BadMedia, ModelUnavailable, UsageError
from countermark.watermark import Key, KeyedCodec, SpreadSpectrum, WatermarkCodec, _imwatermark, load_codec
from countermark.watermark.codecs import _tail

KEY, OTHER = Key(bytes(range(32))), Key(bytes([9] * 32))
needs_interop = pytest.mark.skipif(not _imwatermark.installed(), reason="the interop extra is not installed")


class Wire:
    """A channel that keeps its bits in the first pixels of every frame, and may turn some over."""

    name = "wire"

    def __init__(self, bits: int, broken: tuple[int, ...] = ()) -> None:
        self.bits, self.broken = bits, list(broken)

    def put(self, frames, bits):
        marked = frames.copy()
        marked[:, 0, : self.bits, 0] = bits * 255
        marked[:, 0, self.broken, 0] ^= 255
        return marked

    def votes(self, frames):
        return (frames[:, 0, : self.bits, 0] > 127).astype(float)


def _noise(frames: int = 3, side: int = 256, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)


def test_tails_are_the_binomials():
    for trials in (1, 16, 30, 40, 192):
        for agreed in (0, trials // 2, trials - 1, trials):
            assert _tail(agreed, trials) == pytest.approx(binom.sf(agreed - 1, trials, 0.5), rel=1e-9)


@pytest.mark.parametrize(("bits", "payload_bits"), [(30, 0), (32, 2), (48, 8), (64, 24), (96, 56), (256, 64)])
def test_bits_are_shared_between_payload_and_check(bits: int, payload_bits: int):
    codec = KeyedCodec(Wire(bits), KEY)
    assert (codec.bits, codec.check_bits) == (payload_bits, bits - payload_bits)
    assert codec.smallest_p_value == 2.0**-codec.check_bits <= 1e-9
    payload = (1 << payload_bits) - 1
    reading = codec.read(codec.embed(_noise(), payload))
    assert (reading.detected, reading.payload, reading.key_id) == (True, payload, KEY.id)
    assert reading.p_value == codec.smallest_p_value


def test_a_check_bears_two_errors_and_a_payload_none():
    frames = _noise()

    def after(*broken: int):
        codec = KeyedCodec(Wire(64, broken), KEY)
        return codec.read(codec.embed(frames, 77))

    assert after(30, 50).payload == 77
    assert after(30, 50).p_value == pytest.approx(binom.sf(37, 40, 0.5))
    three = after(30, 50, 60)
    assert (three.detected, three.payload) == (False, None)
    assert three.p_value == pytest.approx(binom.sf(36, 40, 0.5))
    assert three.p_value > 1e-9
    wrong = after(3)  # another payload has another check
    assert (wrong.detected, wrong.payload) == (False, None)
    assert wrong.p_value > 1e-6


def test_too_short_a_check_never_says_detected():
    codec = KeyedCodec(Wire(32), KEY, payload_bits=16)
    reading = codec.read(codec.embed(_noise(), 4321))
    assert reading.p_value == codec.smallest_p_value == 2.0**-16
    assert (reading.detected, reading.payload) == (False, None)


def test_frames_vote_and_are_no_trials():
    codec = KeyedCodec(Wire(64), KEY)
    marked = codec.embed(_noise(5), 9)
    assert codec.read(marked[:1]).p_value == codec.read(marked).p_value
    marked[3:] = _noise(2, seed=4)
    assert codec.read(marked).payload == 9, "three frames outvote two"


def test_keys_are_tried_and_priced_in():
    frames = KeyedCodec(Wire(64), KEY).embed(_noise(), 5)
    alone, ring = KeyedCodec(Wire(64), KEY).read(frames), KeyedCodec(Wire(64), [OTHER, KEY]).read(frames)
    assert ring.p_value == 2 * alone.p_value
    assert (ring.key_id, ring.payload) == (KEY.id, 5)
    assert not KeyedCodec(Wire(64), OTHER).read(frames).detected


def test_p_values_without_a_mark_follow_the_binomial_law():
    """Every channel gives some bits: here the same ones always, which only the keys can tell from a message."""
    frames = np.zeros((1, 8, 64, 3), np.uint8)
    values = np.array([KeyedCodec(Wire(64), Key(i.to_bytes(32, "big"))).read(frames).p_value for i in range(3000)])
    for level in (binom.sf(k - 1, 40, 0.5) for k in (20, 23, 25, 27)):
        share = np.mean(values <= level * (1 + 1e-9))
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(values)), level
    assert values.min() > 1e-6


def test_a_payload_must_fit_and_frames_must_be_frames():
    codec = KeyedCodec(Wire(64), KEY)
    for payload in (-1, 1 << 24):
        with pytest.raises(UsageError, match="24 bits"):
            codec.embed(_noise(), payload)
    with pytest.raises(BadMedia, match="uint8"):
        codec.read(_noise().astype(np.float32))
    for wrong in (-1, 64):
        with pytest.raises(UsageError, match="does not fit"):
            KeyedCodec(Wire(64), KEY, payload_bits=wrong)
    with pytest.raises(UsageError, match="key"):
        KeyedCodec(Wire(64), [])


def test_the_houses_mark_is_a_codec(clip):
    codec = load_codec("spread-spectrum", [KEY, OTHER])
    assert isinstance(codec, SpreadSpectrum)
    assert isinstance(codec, WatermarkCodec)
    reading = codec.read(codec.embed(clip(8), 1 << 63))
    assert (reading.detected, reading.payload, reading.key_id) == (True, 1 << 63, KEY.id)
    assert reading.p_value <= 1e-9
    with pytest.raises(UsageError, match="64"):
        load_codec("spread-spectrum", KEY, payload_bits=8)


@needs_interop
@pytest.mark.parametrize(("name", "payload_bits"), [("dwtDctSvd", 24), ("rivaGan", 2)])
def test_invisible_watermark_reads_back_with_a_p_value(name: str, payload_bits: int, clip):
    codec = load_codec(name, KEY)
    assert (codec.name, codec.bits) == (name, payload_bits)
    frames = clip(1)
    marked = codec.embed(frames, 2)
    assert marked.shape == frames.shape
    assert np.abs(marked.astype(int) - frames).mean() < 8
    reading = codec.read(marked)
    assert (reading.detected, reading.payload) == (True, 2)
    plain = codec.read(frames)
    assert (plain.detected, plain.payload) == (False, None)
    assert plain.p_value > 1e-6


@needs_interop
def test_invisible_watermark_refuses_small_frames():
    codec = load_codec("dwtDct", KEY)
    with pytest.raises(BadMedia, match="256x256"):
        codec.embed(_noise(1, 64), 1)
    assert codec.read(_noise(1, 64)).p_value == 1.0


def test_a_missing_extra_and_an_unknown_name_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(ModelUnavailable, match="spread-spectrum, dwtDct"):
        load_codec(str(tmp_path / "none.pt"), KEY)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "imwatermark" else found(name))
    with pytest.raises(ModelUnavailable, match=r"countermark\[interop\]"):
        load_codec("dwtDct", KEY)
