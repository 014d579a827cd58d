"""The bound on false positives, checked by Monte-Carlo: the theorem carries the claim, this checks its code."""

import math

import numpy as np
import pytest

from countermark.watermark import Key, read
from countermark.watermark.alignment import Alignment, read_chips
from countermark.watermark.carriers import carriers
from countermark.watermark.residual import Residual, match
from countermark.watermark.stats import P_FALSE_ALARM, correlation, payload_p_value, presence_p_value


def _matched(frames):
    residual = Residual(frames.shape[2], frames.shape[1])
    for frame in frames:
        residual.add(frame)
    return match(residual.images())


def test_correlations_of_foreign_keys_stay_under_the_bound(clip):
    matched = _matched(clip(6))
    rhos = []
    for i in range(400):
        chips = read_chips(matched, carriers(Key(i.to_bytes(32, "big"))), Alignment())
        rhos.append(chips.pilot_rho())
        values = np.concatenate([v[r >= 0] for v, r in zip(chips.values, chips.roles, strict=True)])
        signs = np.concatenate([s[r >= 0] for s, r in zip(chips.signs, chips.roles, strict=True)])
        rhos.append(correlation(values, signs))
    rhos = np.array(rhos)
    assert abs(rhos.mean()) < 0.15
    assert 0.85 < rhos.var() < 1.15
    for t in (1.0, 1.5, 2.0, 2.5):
        tail, bound = (rhos >= t).mean(), math.exp(-t * t / 2)
        assert tail <= bound + 3 * math.sqrt(bound / len(rhos))


def test_no_detection_without_the_key(clip):
    clips = [clip(4, seed=s) for s in range(2)]
    clips.append(np.zeros((4, 256, 256, 3), np.uint8))
    clips.append(np.random.default_rng(0).integers(0, 256, (4, 256, 256, 3), dtype=np.uint8))
    for i, frames in enumerate(clips):
        for j in range(4):
            reading = read(frames, Key(bytes([i, j] * 16)))
            assert reading.tier == "none"
            assert reading.payload is None
            assert reading.p_value > 1e-6


def test_p_values_fall_with_rho_and_rise_with_what_was_tried():
    assert payload_p_value(11.77, 64) == pytest.approx(P_FALSE_ALARM, rel=0.15)
    assert payload_p_value(13, 1) < payload_p_value(12, 1)
    assert payload_p_value(13, 10) == pytest.approx(10 * payload_p_value(13, 1))
    assert payload_p_value(13, 1, keys=3) == pytest.approx(3 * payload_p_value(13, 1))
    assert presence_p_value(6.7, 4) == pytest.approx(P_FALSE_ALARM, rel=0.5)
    assert presence_p_value(-9, 1) == payload_p_value(0, 1) == 1.0
