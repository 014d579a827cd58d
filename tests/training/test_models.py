"""Degradation, matched fakes, the cache and the linear models: small, and each against what it must give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from countermark.detect.classifier import Classifier, Limits
from countermark.detect.network import Network
from countermark.detect.patches import Sampler
from countermark.media import Timed
from countermark.training._autoencoders import KINDS, AutoEncoder, reconstruct
from countermark.training._cache import Shelf
from countermark.training._degrade import FIXED, Settings, degrade, draw, encode
from countermark.training._fusion import WIDTH, fit_fusion, fit_hand, fit_range, fused, hand_scores, normal
from countermark.training._muon import Optimisers


def _timed(frames: np.ndarray, fps: float = 24.0) -> list[Timed]:
    return [Timed(i / fps, rgb) for i, rgb in enumerate(frames)]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_encoding_loses_detail_and_no_frames(clip, codec: str):
    frames = _timed(clip(8, 128, 160))
    gentle, hard = encode(frames, codec, 18), encode(frames, codec, 40)
    for made in (gentle, hard):
        assert [f.time for f in made] == [f.time for f in frames]
        assert made[0].rgb.shape == (128, 160, 3)
    error = [np.abs(f[4].rgb.astype(int) - frames[4].rgb).mean() for f in (gentle, hard)]
    assert error[0] < error[1] < 20


def test_degrading_is_the_same_for_the_same_seed_and_keeps_patches_possible(clip):
    frames = _timed(clip(10, 144, 256))
    for seed in range(4):
        settings = draw(np.random.default_rng(seed))
        one, two = (degrade(frames, settings, np.random.default_rng(seed)) for _ in range(2))
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(one, two, strict=True))
        assert min(one[0].rgb.shape[:2]) >= 112
    assert degrade(frames, FIXED["half"], np.random.default_rng(0))[0].rgb.shape[0] < 144


def test_every_second_clip_is_marked_and_the_rate_only_falls(clip):
    settings = [draw(np.random.default_rng(seed)) for seed in range(400)]
    assert 0.42 < np.mean([s.mark is not None for s in settings]) < 0.58
    assert {s.chain[0][0] for s in settings} == {"libx264", "libx265", "libvpx-vp9"}
    assert min(s.chain[0][1] for s in settings) == 18
    assert max(s.chain[0][1] for s in settings) == 40
    thin = degrade(_timed(clip(24, 128, 128)), Settings((("libx264", 20),), rate=8.0), np.random.default_rng(0))
    assert len(thin) == 8


@pytest.mark.parametrize("name", KINDS)
def test_auto_encoders_give_back_what_they_were_given(name: str, clip):
    model = AutoEncoder(KINDS[name]).eval()
    frames = list(clip(9, 70, 90))
    made = reconstruct(model, frames)
    assert len(made) == 9 // KINDS[name].frames * KINDS[name].frames
    assert made[0].shape == (64, 80, 3)
    assert made[0].dtype == np.uint8


def test_muon_moves_kernels_in_place():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    before = [p.detach().clone() for p in model.parameters()]
    optimisers = Optimisers(model, (1e-2, 1e-2))
    for _ in range(3):
        model(torch.randn(2, 3, 8, 8)).square().sum().backward()
        optimisers.step(1.0)
    for p, old in zip(model.parameters(), before, strict=True):
        if p.ndim > 2:
            assert (p - old).abs().max() > 1e-3
        assert p.grad is None


def test_a_shelf_gives_back_what_was_put_there_and_goes_on(tmp_path: Path, clip):
    sampler = Sampler()
    windows = [w for i, rgb in enumerate(clip(25)) if (w := sampler.add(i / 24, rgb)) is not None]
    Shelf(tmp_path / "raw").add("a", windows, {"mark": 3})
    shelf = Shelf(tmp_path / "raw")
    shelf.add("none", [], {})
    shelf.add("b", windows, {})
    again = Shelf(tmp_path / "raw")
    assert list(again.entries) == ["a", "none", "b"]
    assert again.entries["a"].settings == {"mark": 3}
    assert again.entries["none"].count == 0
    for name in "ab":
        entry = again.entries[name]
        rows = slice(entry.first, entry.first + entry.count)
        assert np.array_equal(again.array("luma")[rows], np.concatenate([w.luma for w in windows]))
        assert np.array_equal(again.array("chroma")[rows], np.concatenate([w.chroma for w in windows]))
        assert np.array_equal(again.array("thumb")[entry.window], windows[0].thumb)


def test_the_classifier_computes_what_training_fitted():
    rng = np.random.default_rng(0)
    generated = rng.random(300) < 0.5
    features = rng.normal(0, 1, (300, 6)) ** 3 + generated[:, None] * [1, 0, 0, 0.5, 0, 0]
    inputs = rng.normal(0, 2, (300, 3)) + generated[:, None] * [3, 0, 1]
    weight = rng.uniform(0.5, 2, 300)
    arrays = fit_hand(features, generated, weight, strength=1.0)
    arrays |= fit_range(features, arrays) | fit_fusion(inputs, generated, weight)
    classifier = Classifier((Network(),), arrays, Limits(0.9, 0.1, 0, 1))
    hand = hand_scores(features, arrays)
    assert np.array([classifier.hand(row) for row in features]) == pytest.approx(hand)
    assert (hand[generated].mean(0) > hand[~generated].mean(0) + 0.5).all()
    even = np.where(generated, 150 / weight[generated].sum(), 150 / weight[~generated].sum()) * weight
    machine = SVC(C=1.0, gamma=WIDTH).fit(normal(features, arrays), generated, sample_weight=even)
    assert hand[:, 1] == pytest.approx(machine.decision_function(normal(features, arrays)), abs=1e-3)
    assert classifier.probability(inputs) == pytest.approx(fused(inputs, arrays))
    assert np.mean(fused(inputs, arrays)[generated]) > 0.7
    distances = [classifier.distance(row) for row in features]
    assert np.sqrt(np.mean(np.square(distances))) == pytest.approx(1.0, abs=0.05)
    assert classifier.distance(features[0] + 50) > max(distances) * 0.9
