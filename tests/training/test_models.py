"""Degradation, collected statistics and the models above them: small, and each against what it must give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from countermark.benchmarks.detect import make_footage
from countermark.detect.backbone import CHANNELS, KINDS
from countermark.detect.backbone import WIDTH as BACKBONE_WIDTH
from countermark.detect.features import NAMES
from countermark.detect.models import distance, fused, linear, main_axes, normal, scores
from countermark.media import Timed
from countermark.training._degrade import FIXED, Settings, degrade, draw, encode
from countermark.training._footage import read_footage
from countermark.training._fusion import AXES, fit_fusion, fit_hand, fit_range, fit_whole
from countermark.training._muon import Optimisers
from countermark.training._statistics import collect, load_table


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


def test_muon_takes_matrices_and_adamw_the_rest():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.LayerNorm(4))
    before = [p.detach().clone() for p in model.parameters()]
    optimisers = Optimisers(model, (1e-2, 1e-2), matrices=[model[0].weight])
    assert [len(one.param_groups[0]["params"]) for one in optimisers.all] == [1, 3]
    for _ in range(3):
        model(torch.randn(8, 6)).square().sum().backward()
        optimisers.step(1.0)
    for p, old in zip(model.parameters(), before, strict=True):
        assert (p - old).abs().max() > 1e-3
        assert p.grad is None


def test_statistics_of_clips_are_made_once_and_told_apart_by_variant(tmp_path: Path):
    make_footage(tmp_path / "data", clips=1, sources=1)
    clips, runs = read_footage(tmp_path / "data"), tmp_path / "runs"
    assert len(list(collect(clips, tmp_path / "data", runs, ["raw", "re1"]))) == len(clips) == 2
    raw, again = load_table(runs, "raw", clips), load_table(runs, "re1", clips)
    assert raw.there.all()
    assert raw.hand.shape == (2, len(NAMES))
    assert raw.whole.shape == (2, BACKBONE_WIDTH)
    assert not raw.marked.any()
    assert np.abs(raw.hand - again.hand).max() > 0.1
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*.npz")}
    (tmp_path / "data" / clips[0].name).unlink()
    list(collect(clips, tmp_path / "data", runs, ["raw", "re1", "crf35"]))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert load_table(runs, "crf35", clips).there.tolist() == [False, True], "a clip that cannot be decoded has none"


def test_whole_frames_are_told_by_direction_and_each_stage_has_the_same_say():
    rng = np.random.default_rng(0)
    generated = rng.random(120) < 0.5
    whole = rng.normal(3, 2, (120, BACKBONE_WIDTH)).astype(np.float32)
    few, many = len(KINDS) * CHANNELS[0], len(KINDS) * CHANNELS[-1]
    whole += generated[:, None]
    hand = np.zeros((120, len(NAMES)))
    arrays = fit_whole(whole, generated, np.ones(120)) | fit_hand(
        hand + rng.normal(0, 1, hand.shape), generated, np.ones(120)
    )
    weighed = (whole - arrays["whole.mean"]) * arrays["whole.scale"]
    assert (weighed[:, :few] ** 2).sum() == pytest.approx((weighed[:, -many:] ** 2).sum(), rel=0.3)
    along = main_axes(whole, arrays)
    assert along.shape == (120, min(AXES, 119))
    found = scores(along, hand, arrays)
    assert found[generated, 0].min() > found[~generated, 0].max()
    assert scores(along * 3, hand, arrays)[:, 0] == pytest.approx(found[:, 0], abs=1e-4), (
        "how far out counts for nothing"
    )
    machine = SVC(C=10.0, gamma=0.4).fit(along / np.linalg.norm(along, axis=1, keepdims=True), generated)
    assert (
        np.corrcoef(machine.decision_function(along / np.linalg.norm(along, axis=1, keepdims=True)), found[:, 0])[0, 1]
        > 0.99
    )


def test_hand_statistics_are_fused_into_probabilities():
    rng = np.random.default_rng(0)
    generated = rng.random(300) < 0.5
    features = rng.normal(0, 1, (300, 6)) ** 3 + generated[:, None] * [1, 0, 0, 0.5, 0, 0]
    inputs = rng.normal(0, 2, (300, 3)) + generated[:, None] * [3, 0, 1]
    weight = rng.uniform(0.5, 2, 300)
    arrays = fit_hand(features, generated, weight, strength=1.0)
    arrays |= fit_range(features, arrays) | fit_fusion(inputs, generated, weight)
    x = normal(features, arrays)
    even = np.where(generated, 150 / weight[generated].sum(), 150 / weight[~generated].sum()) * weight
    line = LogisticRegression(C=1.0, max_iter=1000).fit(x, generated, sample_weight=even)
    assert linear(x, arrays) == pytest.approx(line.decision_function(x), abs=1e-6)
    assert np.mean(fused(inputs, arrays)[generated]) > 0.7
    distances = distance(features, arrays)
    assert np.sqrt(np.mean(np.square(distances))) == pytest.approx(1.0, abs=0.05)
    assert distance(features[:1] + 50, arrays)[0] > max(distances) * 0.9
