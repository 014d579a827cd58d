"""The bound on false positives, checked by Monte-Carlo: the theorem carries the claim, this checks its code."""

import math

import numpy as np
import pytest

from countermark.watermark import Embedder, Key, Reader, embed, read
from countermark.watermark.alignment import IDENTITY, Alignment, pilot_rho, pilots, read_chips
from countermark.watermark.maps import Residuals
from countermark.watermark.search import likeliest_window
from countermark.watermark.slices import Slices
from countermark.watermark.stats import P_FALSE_ALARM, correlation, payload_p_value, presence_p_value


def _residuals(frames):
    slices = Slices(frames.shape[2], frames.shape[1])
    for index, frame in enumerate(frames):
        slices.add(frame, index / 24)
    return Residuals(slices.finish(), slices.canvas)


def test_correlations_of_foreign_keys_stay_under_the_bound(clip):
    residuals = _residuals(clip(6))
    maps, rhos = residuals.whole(), []
    for i in range(150):
        key = Key(i.to_bytes(32, "big"))
        rhos.append(pilot_rho(maps, pilots(key), IDENTITY, residuals.canvas))
        for chips in read_chips(maps, key, IDENTITY, residuals.canvas):
            rhos.append(correlation(chips.values[~chips.pilot], chips.signs[~chips.pilot]))
    rhos = np.array(rhos)
    assert abs(rhos.mean()) < 0.15
    assert 0.85 < rhos.var() < 1.15
    for t in (1.0, 1.5, 2.0, 2.5):
        tail, bound = (rhos >= t).mean(), math.exp(-t * t / 2)
        assert tail <= bound + 3 * math.sqrt(bound / len(rhos))


def test_no_detection_without_the_key(clip):
    noise = np.random.default_rng(0).integers(0, 256, (4, 128, 256, 3), dtype=np.uint8)
    for i, frames in enumerate((clip(4), noise)):
        reading = read(frames, Key(bytes([i, 7] * 16)))
        assert reading.tier == "none"
        assert reading.payload is None
        assert reading.p_value > 1e-6


def test_p_values_fall_with_rho_and_rise_with_what_was_tried():
    assert payload_p_value(12.2, 1) == pytest.approx(P_FALSE_ALARM, rel=0.75)
    assert payload_p_value(13, 1) < payload_p_value(12, 1)
    assert payload_p_value(13, 10) == pytest.approx(55 * payload_p_value(13, 1))
    assert payload_p_value(13, 1, keys=3) == pytest.approx(3 * payload_p_value(13, 1))
    assert presence_p_value(6.8, 4) == pytest.approx(P_FALSE_ALARM, rel=0.5)
    assert presence_p_value(9, 4, rung=2) == pytest.approx(4 * presence_p_value(9, 4))
    assert presence_p_value(-9, 1) == payload_p_value(0, 1) == 1.0


def test_the_pilot_lends_its_evidence_to_the_payload_at_the_price_of_a_product():
    alone = payload_p_value(11, 1) / 2
    assert payload_p_value(11, 1, presence=1.0) == pytest.approx(2 * alone)
    assert payload_p_value(11, 1, presence=1e-6) == pytest.approx(2 * alone * 1e-6 * (1 - math.log(alone * 1e-6)))
    # a product of two uniform deviates, charged like this, is one again
    pairs = np.random.default_rng(3).random((200_000, 2)).prod(1)
    charged = pairs * (1 - np.log(pairs))
    for level in (0.5, 0.1, 0.01):
        assert (charged <= level).mean() == pytest.approx(level, rel=0.1)


def test_presence_is_judged_at_places_that_were_fixed_beforehand():
    base = Alignment(np.diag([1.1, 1.1, 1.0]), negative=True)
    moved = base.moved("dx", 2.9).moved("turn", -1.4).moved("tilt_x", 0.5)
    fixed = moved.snapped(base)
    assert fixed.negative
    change = fixed.matrix @ np.linalg.inv(base.matrix)
    assert change[:2, 2] == pytest.approx([3.0, 0.0])
    assert (change[1, 0] - change[0, 1]) * 192 / 2 == pytest.approx(-1.5)
    assert moved.moved("dy", 0.2).snapped(base).matrix == pytest.approx(fixed.matrix)
    assert base.moved("dx", 50).snapped(base).matrix @ [0, 0, 1] == pytest.approx([6, 0, 1])


def test_a_stretch_that_was_chosen_is_charged_for_the_choice(clip):
    residuals = _residuals(np.concatenate([clip(24, seed=s) for s in range(3)]))
    window, tried = likeliest_window(residuals, Key(bytes(32)))
    count = len(residuals.grouped())
    assert 2 <= len(window) < count
    assert tried == sum(count - length + 1 for length in range(2, count))


def test_a_mark_too_weak_to_be_read_is_confirmed_among_those_that_are_known(clip):
    key, frames, marks = Key(bytes([9] * 32)), clip(24), [(n * 977, n) for n in range(1, 400)]
    embedder = Embedder(frames.shape[2], frames.shape[1], 123456789, key, like=list(frames[:4]))
    marked = np.stack([embedder.mark(f, i / 24) for i, f in enumerate(frames)])
    noise = np.random.default_rng(4).normal(0, 130, frames.shape)
    reader = Reader()
    for frame in np.clip(marked + noise, 0, 255).astype(np.uint8):
        reader.add(frame)

    def asked(known):
        return reader.read(key, known=known, thorough=False)

    assert asked(None).payload is None
    reading = asked(lambda key_id: [*marks, (123456789, embedder.variant)] if key_id == key.id else [])
    assert (reading.tier, reading.payload) == ("confirmed", 123456789)
    assert reading.p_value <= P_FALSE_ALARM
    assert asked(lambda _: marks).payload is None
    assert asked(lambda _: []).payload is None


def test_without_thoroughness_only_the_canvas_as_it_is_is_looked_at(clip):
    key, frames = Key(bytes([9] * 32)), clip(12)
    marked = embed(frames, 5, key)
    for frames, found in ((marked, 5), (marked[:, :, ::-1], None)):
        reader = Reader()
        for frame in frames:
            reader.add(np.ascontiguousarray(frame))
        assert reader.read(key, thorough=False).payload == found
