"""Clips spliced into real footage, and how well the classifier's segments find them.

Each splice is real footage, a clip, and real footage of the same source again, all of one fold, encoded as one video at
the first one's size and rate. It is judged by that fold's network and by linear models that were fitted on the other
folds, so that neither the generator nor the source has been seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import wilson
from countermark.detect.classifier import Classifier, Opinion, load_classifier
from countermark.media import open_source
from countermark.report import Segment
from countermark.training import _scores as scoring
from countermark.training import detector
from countermark.training._footage import Clip, weights
from countermark.training._fusion import fit_fusion, fit_hand
from countermark.writer import VideoWriter

__all__ = ["HEAD", "Splice", "held_out_classifiers", "judged", "make_splice", "plan", "rows_of", "suspect"]

Frames = list[npt.NDArray[np.uint8]]
AROUND = 2.0  # least seconds of real footage on either side
INSIDE = 1.9  # least seconds of what is spliced in
NEAR = 1.0  # seconds that an end may be off
LARGER = 0.9  # least ratio of the inserted clip's side to the footage's: enlarging is a trace of its own
EACH = 3  # splices with one family or source at most
HEAD = ("splices", "both ends within 1 s", "and called generated", "half of it or more found", "false stretches")


@dataclass(frozen=True)
class Splice:
    """Real footage before and after a clip, all of one fold."""

    before: Clip
    inside: Clip
    after: Clip
    fold: int


def plan(clips: Sequence[Clip], fold: npt.NDArray[np.int64], count: int, *, generated: bool, seed: int) -> list[Splice]:
    """Draws splices of clips that are long enough, few of any one family; real ones come from another group."""
    rng = np.random.default_rng([seed, generated])
    real: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    for clip, own in zip(clips, fold, strict=True):
        if clip.label == "real" and own >= 0 and clip.seconds >= AROUND:
            real[int(own), clip.family].append(clip)
    places = {key: found for key, found in real.items() if len(found) > 1}
    inserts = [i for i, c in enumerate(clips) if c.generated == generated and fold[i] >= 0 and c.seconds >= INSIDE]
    found: list[Splice] = []
    used: dict[str, int] = defaultdict(int)
    for i in rng.permutation([i for i in inserts if clips[i].label != "edited"]):
        inside, own = clips[i], int(fold[i])
        fitting = [
            (key, clip)
            for key, group in sorted(places.items())
            for clip in group
            if key[0] == own and clip.group != inside.group and _fits(inside, clip)
        ]
        if not fitting or used[inside.family] >= EACH or inside.made is not None:
            continue
        key, before = fitting[rng.integers(len(fitting))]
        others = [c for c in places[key] if c.name != before.name]
        used[inside.family] += 1
        found.append(Splice(before, inside, others[rng.integers(len(others))], own))
        if len(found) == count:
            break
    return found


def _fits(inside: Clip, ground: Clip) -> bool:
    return min(inside.width / ground.width, inside.height / ground.height) >= LARGER


def make_splice(splice: Splice, data: Path, out: Path) -> tuple[float, float]:
    """Encodes a splice (H.264, CRF 23) and gives the seconds from which and until which the clip is shown."""
    width, height = splice.before.width // 2 * 2, splice.before.height // 2 * 2
    rate = Fraction(splice.before.fps).limit_denominator(1001)
    parts = [_frames(data / c.name, width, height, float(rate)) for c in (splice.before, splice.inside, splice.after)]
    with VideoWriter(out, width, height, rate, crf=23) as writer:
        for t, rgb in enumerate(frame for part in parts for frame in part):
            writer.write(t / float(rate), rgb)
    start = len(parts[0]) / float(rate)
    return start, start + len(parts[1]) / float(rate)


def _frames(path: Path, width: int, height: int, fps: float) -> Frames:
    """A clip at another rate, its frames repeated or left out, filling another size."""
    import cv2

    found: Frames = []
    last = None
    media = open_source(path)
    for timed in media.frames():
        while last is not None and len(found) / fps < timed.time - 1e-6:
            found.append(last)
        high, wide = timed.rgb.shape[:2]
        scale = max(width / wide, height / high)
        size = (max(width, round(wide * scale)), max(height, round(high * scale)))
        rgb = cv2.resize(timed.rgb, size, interpolation=cv2.INTER_AREA) if size != (wide, high) else timed.rgb
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        last = np.ascontiguousarray(rgb[top : top + height, left : left + width])
    return [*found, last] if last is not None else found


def held_out_classifiers(
    clips: list[Clip], fold: npt.NDArray[np.int64], runs: Path, high: dict[int, float]
) -> dict[int, Classifier]:
    """Of each fold a classifier that has not seen it; ``high``: the threshold of each fold."""
    scores = {v: scoring.load_scores(runs, v, clips) for v in scoring.LEARNT}
    _, inputs = scoring.probabilities(clips, fold, scores)
    generated = np.array([c.generated for c in clips])
    known = np.array([c.label in ("generated", "real") for c in clips])
    weight = np.zeros(len(clips))
    weight[known] = weights([c for c, k in zip(clips, known, strict=True) if k], matched=scoring.MATCHED)
    networks, shipped, made = detector.fold_networks(runs, int(fold.max()) + 1), load_classifier(), {}
    for own, network in networks.items():
        _, features, which = scoring.stack(scores, scoring.LEARNT, known & (fold != own))
        arrays = shipped.arrays | fit_hand(features, generated[which], weight[which])
        rows = [(v, np.flatnonzero(known & (fold != own) & scores[v].there)) for v in scoring.LEARNT]
        x, which = np.concatenate([inputs[v][i] for v, i in rows]), np.concatenate([i for _, i in rows])
        arrays |= fit_fusion(x, generated[which], weight[which])
        limits = replace(shipped.limits, high=high[own], low=1 - high[own], distance=np.inf, fine=-np.inf)
        made[own] = Classifier((network,), arrays, limits)
    return made


def judged(path: Path, classifier: Classifier) -> Opinion:
    """The opinion of a file."""
    media = open_source(path)
    judge = classifier.start(media.facts)
    for timed in media.frames():
        judge.add(timed.time, timed.rgb)
    return judge.finish()
