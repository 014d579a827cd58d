"""The classifier as a stream: when it speaks, when it abstains and why, and what it keeps. Weights are beside the point
here, except that the shipped ones are the expected ones.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest

from countermark.detect import backbone as backbone_module
from countermark.detect import classifier as module
from countermark.detect.backbone import CHANNELS, KINDS, WIDTH, Backbone, load_backbone
from countermark.detect.classifier import TELLING, Classifier, Limits, load_classifier
from countermark.detect.features import NAMES
from countermark.detect.opinion import declined
from countermark.errors import WeightsMissing
from countermark.report import MediaFacts, Segment


def _facts(kind: str = "video", width: int = 256, height: int = 256, seconds: float | None = 2.0) -> MediaFacts:
    return MediaFacts(kind, width, height, 24.0, seconds, "h264", "0" * 64)


def _brightness(windows: np.ndarray) -> np.ndarray:
    return np.stack([windows.mean((1, 2, 3, 4)) - 128, np.full(len(windows), 9.0)], 1)


@pytest.fixture(scope="module")
def blank() -> Classifier:
    """One that knows nothing: of whole frames how bright they are, statistics that do not matter, no limits."""
    count = len(NAMES)
    arrays = {
        "whole.mean": np.zeros(2),
        "whole.scale": np.ones(2),
        "whole.axes": np.eye(2),
        "whole.points": np.array([[1.0, 0.0]]),
        "whole.dual": np.ones(1),
        "whole.bias": np.zeros(1),
        "whole.width": np.ones(1),
        "hand.knots": np.tile([-20.0, 20.0], (count, 1)),
        "hand.levels": np.array([-2.0, 2.0]),
        "hand.coef": np.zeros(count),
        "hand.bias": np.zeros(1),
        "kernel.points": np.zeros((1, count)),
        "kernel.dual": np.zeros(1),
        "kernel.bias": np.zeros(1),
        "kernel.width": np.ones(1),
        "fusion.mean": np.zeros(3),
        "fusion.scale": np.ones(3),
        "fusion.coef": np.array([1.0, 0.0, 0.0]),
        "fusion.bias": np.zeros(1),
        "range.mean": np.zeros(count),
        "range.axes": np.zeros((count, 2)),
    }
    return Classifier(_brightness, arrays, Limits(high=0.9, low=0.1, fine=-99.0, distance=99.0))


def _with(classifier: Classifier, bias: float = 0.0, **limits: float) -> Classifier:
    kept = {name: getattr(classifier.limits, name) for name in ("high", "low", "fine", "distance")}
    arrays = {**classifier.arrays, "fusion.coef": np.zeros(3), "fusion.bias": np.array([bias])}
    return Classifier(classifier.backbone, arrays, Limits(**{**kept, **limits}))


def _judge(classifier: Classifier, frames, fps: float = 24.0, facts: MediaFacts | None = None):
    judge = classifier.start(facts or _facts(width=frames.shape[2], height=frames.shape[1]))
    for i, rgb in enumerate(frames):
        judge.add(i / fps, rgb)
    return judge.finish()


def test_segments_cover_the_file_and_moments_tell_where(blank: Classifier, clip):
    opinion = _judge(blank, clip(60))
    assert not opinion.abstained
    assert opinion.applies
    assert [(s.start, s.end) for s in opinion.windows[:4]] == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0)]
    assert opinion.segments[0].start == 0.0
    assert opinion.segments[-1].end == opinion.windows[-1].end == pytest.approx(2.5, abs=0.1)
    assert all(a.end == b.start for a, b in itertools.pairwise(opinion.segments))
    assert all(0 <= s.probability <= 1 for s in opinion.segments)
    assert 0 <= opinion.probability <= 1
    assert len(opinion.moments) == TELLING
    assert [m.probability for m in opinion.moments] == sorted((m.probability for m in opinion.moments), reverse=True)
    for moment in opinion.moments:
        assert 0 <= moment.time <= 2.5
        for top, left, side, probability in moment.patches:
            assert 0 <= top <= 256 - side
            assert 0 <= left <= 256 - side
            assert 0 <= probability <= 1


def test_a_clip_cut_into_another_is_a_segment_of_its_own(blank: Classifier, clip):
    """Whatever the weights make of it: where it begins and ends is found without them."""
    rng = np.random.default_rng(0)
    rough = clip(60, seed=5).astype(np.float32) + rng.normal(0, 25, (60, 256, 256, 3))
    frames = np.concatenate([clip(72), np.clip(rough, 0, 255).astype(np.uint8), clip(72)])
    arrays = {**blank.arrays, "hand.knots": blank.arrays["hand.knots"] / 10}  # statistics in about their deviations
    opinion = _judge(Classifier(blank.backbone, arrays, blank.limits), frames, facts=_facts(seconds=8.5))
    edges = [segment.start for segment in opinion.segments[1:]]
    assert edges == [pytest.approx(3.0, abs=0.5), pytest.approx(5.5, abs=0.5)]
    assert len(opinion.windows) == 17
    thin = _judge(Classifier(blank.backbone, arrays, blank.limits), frames, facts=_facts(seconds=1200.0))
    assert len(thin.windows) < 10
    assert all(a.end == b.start for a, b in itertools.pairwise(thin.segments))


def test_a_part_that_looks_generated_is_not_lost_in_the_whole(blank: Classifier):
    judge = _with(blank).start(_facts())
    parts = (Segment(0.0, 4.0, 0.05), Segment(4.0, 6.5, 0.93), Segment(6.5, 9.0, 0.91), Segment(9.0, 9.9, 0.2))
    says, why = judge._verdict(0.06, parts)
    assert says == "unsure"
    assert "from 4.0 to 9.0 s (probability 93%)" in why, "what follows on each other is one part"
    assert "not the whole (6%)" in why
    assert judge._verdict(0.95, parts)[0] == "generated"
    assert judge._verdict(0.06, (Segment(0.0, 4.0, 0.05), Segment(4.0, 4.5, 0.93)))[0] == "nothing", "too short to tell"
    assert judge._verdict(0.06, (Segment(0.0, 4.0, 0.05), Segment(4.0, 6.5, 0.89)))[0] == "nothing"


@pytest.mark.parametrize("asked", [True, False])
def test_moments_keep_a_small_picture_where_one_is_asked_for(blank: Classifier, clip, asked: bool):
    frames = clip(60, 600, 800)
    judge = blank.start(_facts(width=800, height=600), pictures=asked)
    for i, rgb in enumerate(frames):
        judge.add(i / 24, rgb)
    opinion = judge.finish()
    assert len(opinion.moments) == TELLING
    assert [picture.shape for picture in opinion.pictures] == [(360, 480, 3)] * (TELLING if asked else 0)


@pytest.mark.parametrize(("bias", "says"), [(3.0, "generated"), (0.0, "unsure"), (-3.0, "nothing")])
def test_the_verdict_follows_symmetric_thresholds(blank: Classifier, clip, bias: float, says: str):
    opinion = _judge(_with(blank, bias), clip(16))
    assert opinion.says == says
    assert opinion.probability == pytest.approx(1 / (1 + np.exp(-bias)), abs=1e-3)
    assert f"{opinion.probability:.0%}" in opinion.why


def test_pictures_and_tiny_videos_are_not_looked_at():
    assert declined(_facts()) is None
    for facts, word in ((_facts("image"), "images"), (_facts(width=100, height=300), "pixels")):
        opinion = declined(facts)
        assert opinion is not None
        assert (opinion.says, opinion.applies, opinion.abstained, opinion.probability) == ("nothing", False, True, None)
        assert word in opinion.why
        assert opinion.segments == ()


def test_too_short_or_too_slow_is_said_so(blank: Classifier, clip):
    two, few = _judge(blank, clip(2)), _judge(blank, clip(4))
    slow = _judge(blank, clip(12), fps=2.0)
    for opinion, word in ((two, "short"), (few, "short"), (slow, "too far apart")):
        assert (opinion.says, opinion.applies, opinion.abstained) == ("nothing", False, True)
        assert word in opinion.why


def test_blank_footage_is_said_so(blank: Classifier):
    opinion = _judge(blank, np.full((24, 256, 256, 3), 128, np.uint8))
    assert not opinion.applies
    assert "detail" in opinion.why


@pytest.mark.parametrize(("limit", "word"), [({"fine": 99.0}, "compressed"), ({"distance": -1.0}, "unlike")])
def test_what_is_out_of_range_gets_a_reason_and_no_probability(blank: Classifier, clip, limit, word: str):
    opinion = _judge(_with(blank, 3.0, **limit), clip(24))
    assert (opinion.says, opinion.applies, opinion.abstained, opinion.probability) == ("unsure", True, True, None)
    assert word in opinion.why
    assert opinion.segments == ()


def test_memory_does_not_grow_with_the_file(blank: Classifier, clip):
    """Frames are dropped as soon as their half second is over, and long files are looked at more thinly."""
    judge = blank.start(_facts(seconds=40000.0))
    assert judge.every > 10
    judge = blank.start(_facts())
    frames = clip(24)
    for i in range(240):
        judge.add(i / 24, frames[i % 24])
        assert len(judge._sampler._kept) <= 14
    judge.finish()
    assert len(judge._moments) <= TELLING


def test_the_backbone_sees_change_and_light_and_is_the_same_in_batches(clip):
    backbone = load_backbone()
    frames = clip(6, 224, 224)
    still = np.stack([frames[:1].repeat(3, 0), frames[::2]])
    both = backbone(still)
    assert both.shape == (2, WIDTH)
    assert both[:1] == pytest.approx(backbone(still[:1]), abs=1e-3)
    first = both[:, : len(KINDS) * CHANNELS[0]].reshape(2, len(KINDS), CHANNELS[0])
    assert np.abs(first[0, KINDS.index("change") :]).max() < 1e-3, "nothing changes in a still picture"
    assert (first[1, KINDS.index("change")] > 0.01).all()
    assert first[0, KINDS.index("level")] == pytest.approx(first[1, KINDS.index("level")], abs=1.0)
    with pytest.raises(ValueError, match="224"):
        backbone(still[:, :, :100])


def test_shipped_weights_are_the_expected_ones(tmp_path: Path):
    classifier = load_classifier()
    assert isinstance(classifier.backbone, Backbone)
    assert module.WEIGHTS.stat().st_size + backbone_module.WEIGHTS.stat().st_size < 20_000_000
    assert len(classifier.arrays["whole.axes"]) == WIDTH
    assert 0.5 <= classifier.limits.high < 1
    assert classifier.limits.low == pytest.approx(1 - classifier.limits.high)
    other = tmp_path / "classifier.safetensors"
    other.write_bytes(module.WEIGHTS.read_bytes()[:-1])
    with pytest.raises(WeightsMissing, match="damaged or of another version"):
        load_classifier(other)
    with pytest.raises(WeightsMissing, match="cannot be read"):
        load_classifier(tmp_path / "none")
