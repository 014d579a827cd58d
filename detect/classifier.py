"""The trained classifier: frames in, as they are decoded, and an opinion out, with its segments and moments.

A file's frames are pushed once (:meth:`Judge.add`), beside the other signals; memory does not grow with its length.
Three scores of each window (of the networks, and of two models of hand statistics) are averaged over the file and
fused by a linear model that was fitted on generators and sources that training had not seen. Input unlike all that it
was trained on gets no probability but a reason.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.opinion import Moment, Opinion
from countermark.detect.patches import WINDOW, Sampler, Window
from countermark.detect.segments import inner, stretches
from countermark.report import MediaFacts, Segment
from countermark.weights import pinned

__all__ = ["Classifier", "Judge", "load_classifier"]

Floats = npt.NDArray[np.float64]
WEIGHTS = Path(__file__).parent / "weights" / "classifier.safetensors"
SHA256 = "fc0edf2fdb5277339873857a6ce35ca38624845407d92dc96c81355d1df058ac"
BATCH = 4  # windows that are judged together
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
class Classifier:
    """The networks, the linear models and the limits; see ``detect/weights/README.md``."""

    networks: tuple[Any, ...]
    arrays: dict[str, Floats]
    limits: Limits

    def start(self, facts: MediaFacts, *, pictures: bool = False) -> Judge:
        """Begins with a file; with ``pictures`` its most telling moments keep one each."""
        expected = (facts.seconds or 0.0) / WINDOW
        return Judge(self, facts, every=WINDOW * max(1.0, expected / MOST_WINDOWS), pictures=pictures)

    def scores(self, windows: list[Window]) -> tuple[Floats, Floats, Floats]:
        """Of each window the fused inputs (W x 3), of each patch its main logit (W x P), and features (W x F).

        A window with fewer patches repeats none: its missing places are nan.
        """
        import torch

        from countermark.detect.features import cube_features, motion_features

        luma = torch.from_numpy(np.concatenate([w.luma for w in windows]))
        chroma = torch.from_numpy(np.concatenate([w.chroma for w in windows]))
        with torch.inference_mode():
            logits = torch.stack([net(luma, chroma) for net in self.networks]).mean(0).double().numpy()
        cubes = cube_features(luma.numpy(), chroma.numpy())
        ends = np.cumsum([len(w.luma) for w in windows])
        most = max(len(w.luma) for w in windows)
        inputs, patches, features = [], [], []
        for window, end in zip(windows, ends, strict=True):
            mine = slice(end - len(window.luma), end)
            motion = motion_features(window.thumb)
            feature = np.concatenate([cubes[mine].mean(0), motion])
            inputs.append([logits[mine, 0].mean(), *self.hand(feature)])
            patches.append(np.pad(logits[mine, 0], (0, most - len(window.luma)), constant_values=np.nan))
            features.append(feature)
        return np.array(inputs), np.array(patches), np.array(features)

    def hand(self, features: Floats) -> tuple[float, float]:
        """What the linear model and the kernel machine make of mean statistics (F)."""
        x, a = self.normal(features), self.arrays
        far = ((a["kernel.points"] - x) ** 2).sum(1)
        kernel = np.exp(-a["kernel.width"][0] * far) @ a["kernel.dual"] + a["kernel.bias"][0]
        return float(x @ a["hand.coef"] + a["hand.bias"][0]), float(kernel)

    def normal(self, features: Floats) -> Floats:
        """Statistics mapped to a standard normal by training's quantiles, so that outliers are bounded: F."""
        knots, levels = self.arrays["hand.knots"], self.arrays["hand.levels"]
        return np.array([np.interp(x, k, levels) for x, k in zip(features, knots, strict=True)])

    def probability(self, inputs: Floats) -> Floats:
        """Calibrated probability of fused inputs (... x 3)."""
        z = ((inputs - self.arrays["fusion.mean"]) / self.arrays["fusion.scale"]) @ self.arrays["fusion.coef"]
        return np.asarray(1 / (1 + np.exp(-(z + self.arrays["fusion.bias"][0]))))

    def distance(self, features: Floats) -> float:
        """How far a clip's mean statistics lie from training's, in deviations along its main axes."""
        along = (self.normal(features) - self.arrays["range.mean"]) @ self.arrays["range.axes"]
        return float(np.sqrt(np.mean(along**2)))


@dataclass
class Judge:
    """One file being judged: push its frames, then :meth:`finish`."""

    classifier: Classifier
    facts: MediaFacts
    every: float = WINDOW
    pictures: bool = False
    _sampler: Sampler = field(init=False)
    _waiting: list[Window] = field(default_factory=list)
    _spans: list[tuple[float, float]] = field(default_factory=list)
    _inputs: list[Floats] = field(default_factory=list)
    _features: list[Floats] = field(default_factory=list)
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
        self._waiting.append(window)
        if len(self._waiting) == BATCH:
            self._judge()

    def _judge(self) -> None:
        windows, self._waiting = self._waiting, []
        if not windows:
            return
        inputs, patches, features = self.classifier.scores(windows)
        self._inputs += list(inputs)
        self._features += list(features)
        for window, own, logits in zip(windows, inputs, patches, strict=True):
            self._spans.append((window.start, window.end))
            probability = float(self.classifier.probability(own))
            each = 1 / (1 + np.exp(-logits))
            places = tuple((top, left, 96, float(p)) for (top, left), p in zip(window.places, each, strict=False))
            moment = Moment(window.times[1], probability, places)
            heapq.heappush(self._moments, (probability, len(self._spans), moment, window.picture))
            if len(self._moments) > TELLING:
                heapq.heappop(self._moments)

    def finish(self) -> Opinion:
        """The opinion, when all frames have been pushed."""
        self._take(self._sampler.finish())
        self._judge()
        if not self._inputs:
            return Opinion("nothing", self._nothing_seen(), applies=False)
        inputs, features = np.array(self._inputs), np.mean(self._features, 0)
        unlike = self._unlike(features)
        if unlike is not None:
            return Opinion("unsure", unlike)
        best = sorted(self._moments, key=lambda one: one[:2], reverse=True)
        segments, windows = self._segments(inputs), self._windows(inputs)
        probability = float(self.classifier.probability(inputs.mean(0)))
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

    def _unlike(self, features: Floats) -> str | None:
        limits = self.classifier.limits
        if features[0] < limits.fine:
            return (
                "The picture is so smooth or so strongly compressed that nothing is left for the classifier to judge."
            )
        if self.classifier.distance(features) > limits.distance:
            return (
                "The footage is unlike any that the classifier was trained on, such as a screen recording or a drawing."
            )
        return None

    def _segments(self, inputs: Floats) -> tuple[Segment, ...]:
        """Stretches that look alike, each judged by the mean of its windows as a clip of its own would be."""
        normal = np.array([self.classifier.normal(f) for f in self._features])
        return tuple(
            self._segment(stretch, inputs[inner(stretch, len(inputs))].mean(0)) for stretch in stretches(normal)
        )

    def _windows(self, inputs: Floats) -> tuple[Segment, ...]:
        return tuple(self._segment((i, i + 1), own) for i, own in enumerate(inputs))

    def _segment(self, stretch: tuple[int, int], inputs: Floats) -> Segment:
        first, after = stretch
        start, end = self._spans[first][0], self._spans[after - 1][1]
        if after - first > 1 and after < len(self._spans) and self._spans[after][0] - end <= self.every:
            end = self._spans[after][0]  # long files are looked at thinly, and what lies between belongs to one of both
        return Segment(round(start, 3), round(end, 3), round(float(self.classifier.probability(inputs)), 4))

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
    import torch
    from safetensors import safe_open

    from countermark.detect.network import Network

    pinned(path, sha256, "the classifier")
    tensors: dict[str, torch.Tensor] = {}
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])
        for name in file.keys():  # noqa: SIM118 - the handle is not iterable
            tensors[name] = file.get_tensor(name)
    networks = []
    for i in range(about["networks"]):
        prefix = f"network{i}."
        network = Network()
        state = {n[len(prefix) :]: t.float() for n, t in tensors.items() if n.startswith(prefix)}
        network.load_state_dict(state, strict=False)
        networks.append(network.eval().requires_grad_(False))
    arrays = {n: t.double().numpy() for n, t in tensors.items() if not n.startswith("network")}
    return Classifier(tuple(networks), arrays, Limits(**about["limits"]))
