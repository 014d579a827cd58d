"""The trained classifier: frames in, as they are decoded, and an opinion out, with its segments and moments.

A file's frames are pushed once (:meth:`Judge.add`), beside the other signals; memory does not grow with its length.
Three scores of its windows' means (of whole frames through a backbone, and two of patches' hand statistics) are fused
by a linear model that was fitted on generators and sources that training had not seen. Input unlike all that it was
trained on gets no probability but a reason.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.detect.backbone import load_backbone
from countermark.detect.models import Arrays, distance, fused, linear, main_axes, normal, scores
from countermark.detect.opinion import Moment, Opinion
from countermark.detect.patches import SIDE, WINDOW, Sampler, Window
from countermark.detect.segments import inner, stretches
from countermark.report import MediaFacts, Segment
from countermark.weights import pinned

__all__ = ["Classifier", "Judge", "load_classifier"]

Floats = npt.NDArray[np.float64]
WEIGHTS = Path(__file__).parent / "weights" / "classifier.safetensors"
SHA256 = "744fa5f0061a74bae3d7204171fe502bd3c73e15976bfd6540e2603e2c1b6c43"
MOST_WINDOWS = 1200  # windows of a file; longer ones are sampled more thinly
TELLING = 5  # moments that are kept
LONG_ENOUGH = 1.0  # seconds of a part whose probability counts when the whole's is lower
SLOWEST = 0.24  # seconds between a window's frames beyond which its motion is unlike any it was trained on
SHORTEST = 0.15  # seconds from a window's first to its last frame, below which there is hardly any motion to judge


@dataclass(frozen=True)
class Limits:
    """Thresholds of the verdict, and the range of what it was trained on.

    ``high``: the probability that one real clip in a hundred reaches, held out; ``low``: its mirror image, below which
    nothing speaks for generation. ``fine``: the least log energy of the finest detail. ``distance``: how far, in
    deviations along training's main axes, a clip's statistics may lie.
    """

    high: float
    low: float
    fine: float
    distance: float


@dataclass(frozen=True)
class Look:
    """What is kept of a window: whole frames along main axes (A), hand statistics (F), and each patch's share (P)."""

    along: npt.NDArray[np.float32]
    hand: Floats
    patches: Floats


@dataclass(frozen=True)
class Classifier:
    """The backbone, the models above it and the limits; see ``detect/weights/README.md``."""

    backbone: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    arrays: Arrays
    limits: Limits

    def start(self, facts: MediaFacts, *, pictures: bool = False) -> Judge:
        """Begins with a file; with ``pictures`` its most telling moments keep one each."""
        expected = (facts.seconds or 0.0) / WINDOW
        return Judge(self, facts, every=WINDOW * max(1.0, expected / MOST_WINDOWS), pictures=pictures)

    def look(self, window: Window) -> Look:
        """What is kept of a window."""
        from countermark.detect.features import cube_features, motion_features

        along = main_axes(self.backbone(window.whole[None]), self.arrays)[0]
        cubes, motion = cube_features(window.luma, window.chroma), motion_features(window.thumb)
        rows = np.concatenate([cubes, np.broadcast_to(motion, (len(cubes), len(motion)))], 1)
        return Look(along, rows.mean(0), _share(linear(normal(rows, self.arrays), self.arrays)))

    def probability(self, looks: Sequence[Look]) -> float:
        """Calibrated probability of one window or several, judged as one by their means."""
        along, hand = np.mean([look.along for look in looks], 0), np.mean([look.hand for look in looks], 0)
        return float(fused(scores(along[None], hand[None], self.arrays), self.arrays)[0])


def _share(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


@dataclass
class Judge:
    """One file being judged: push its frames, then :meth:`finish`."""

    classifier: Classifier
    facts: MediaFacts
    every: float = WINDOW
    pictures: bool = False
    _sampler: Sampler = field(init=False)
    _spans: list[tuple[float, float]] = field(default_factory=list)
    _looks: list[Look] = field(default_factory=list)
    _moments: list[tuple[float, int, Moment, npt.NDArray[np.uint8] | None]] = field(default_factory=list)
    _slow: int = 0

    def __post_init__(self) -> None:
        self._sampler = Sampler(every=self.every, pictures=self.pictures)

    def add(self, time: float, rgb: npt.NDArray[np.uint8]) -> None:
        """Takes the next frame (H x W x 3, uint8, RGB, never resized) and its time in seconds."""
        self._take(self._sampler.add(time, rgb))

    def _take(self, window: Window | None) -> None:
        if window is None:
            return
        if max(np.diff(window.times)) > SLOWEST:
            self._slow += 1
            return
        if window.times[2] - window.times[0] < SHORTEST:
            return
        look = self.classifier.look(window)
        self._looks.append(look)
        self._spans.append((window.start, window.end))
        probability = self.classifier.probability([look])
        places = tuple((*place, SIDE, float(p)) for place, p in zip(window.places, look.patches, strict=True))
        moment = Moment(window.times[1], probability, places)
        heapq.heappush(self._moments, (probability, len(self._spans), moment, window.picture))
        if len(self._moments) > TELLING:
            heapq.heappop(self._moments)

    def finish(self) -> Opinion:
        """The opinion, when all frames have been pushed."""
        self._take(self._sampler.finish())
        if not self._looks:
            return Opinion("nothing", self._nothing_seen(), applies=False)
        unlike = self._unlike(np.mean([look.hand for look in self._looks], 0))
        if unlike is not None:
            return Opinion("unsure", unlike)
        best = sorted(self._moments, key=lambda one: one[:2], reverse=True)
        segments, windows = self._segments(), self._windows()
        probability = self.classifier.probability(self._looks)
        says, why = self._verdict(probability, segments)
        return Opinion(
            says,
            why,
            round(probability, 4),
            False,
            True,
            segments,
            tuple(one[2] for one in best),
            windows,
            tuple(one[3] for one in best if one[3] is not None),
            (self.classifier.limits.low, self.classifier.limits.high),
        )

    def _nothing_seen(self) -> str:
        if self._slow:
            return "The frames lie too far apart in time for the classifier."
        if self._sampler.blank:
            return "The classifier found no place with enough detail to look at."
        return "The video is too short for the classifier: it needs three frames over a sixth of a second."

    def _unlike(self, hand: Floats) -> str | None:
        limits = self.classifier.limits
        if hand[0] < limits.fine:
            return (
                "The picture is so smooth or so strongly compressed that nothing is left for the classifier to judge."
            )
        if distance(hand[None], self.classifier.arrays)[0] > limits.distance:
            return (
                "The footage is unlike any that the classifier was trained on, such as a screen recording or a drawing."
            )
        return None

    def _segments(self) -> tuple[Segment, ...]:
        """Stretches that look alike, each judged by the mean of its windows as a clip of its own would be."""
        found = stretches(normal(np.array([look.hand for look in self._looks]), self.classifier.arrays))
        return tuple(self._segment(stretch, self._looks[inner(stretch, len(self._looks))]) for stretch in found)

    def _windows(self) -> tuple[Segment, ...]:
        return tuple(self._segment((i, i + 1), [look]) for i, look in enumerate(self._looks))

    def _segment(self, stretch: tuple[int, int], looks: list[Look]) -> Segment:
        first, after = stretch
        start, end = self._spans[first][0], self._spans[after - 1][1]
        if after - first > 1 and after < len(self._spans) and self._spans[after][0] - end <= self.every:
            end = self._spans[after][0]  # long files are looked at thinly, and what lies between belongs to one of both
        return Segment(round(start, 3), round(end, 3), round(self.classifier.probability(looks), 4))

    def _verdict(self, probability: float, segments: tuple[Segment, ...]) -> tuple[str, str]:
        limits, share = self.classifier.limits, f"{probability:.0%}"
        if probability >= limits.high:
            return "generated", f"The classifier takes it for generated (probability {share})."
        part = _likeliest_part(segments, limits.high)
        if part is not None:
            where = f"from {part.start:.1f} to {part.end:.1f} s (probability {part.probability:.0%})"
            return "unsure", f"The classifier takes a part for generated, {where}, but not the whole ({share})."
        if probability <= limits.low:
            return "nothing", f"The classifier sees no sign of generation (probability {share}), which proves nothing."
        return "unsure", f"The classifier cannot tell (probability {share})."


def _likeliest_part(segments: tuple[Segment, ...], high: float) -> Segment | None:
    """Of segments that pass a bound the likeliest, with those that follow on each other as one; None if too short."""
    parts: list[Segment] = []
    for one in segments:
        if one.probability >= high:
            last = parts.pop() if parts and parts[-1].end == one.start else one
            parts.append(Segment(last.start, one.end, max(last.probability, one.probability)))
    parts = [part for part in parts if part.end - part.start >= LONG_ENOUGH]
    return max(parts, key=lambda part: part.probability, default=None)


@cache
def load_classifier(path: Path = WEIGHTS, sha256: str = SHA256) -> Classifier:
    """The classifier with its weights. Raises WeightsMissing unless the file is the expected one."""
    from safetensors import safe_open

    pinned(path, sha256, "the classifier")
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["about"])
        arrays = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 - no mapping
    return Classifier(load_backbone(), arrays, Limits(**about["limits"]))
