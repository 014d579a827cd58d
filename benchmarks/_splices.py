"""Clips spliced into real footage, and how well the classifier's segments find them.

Each splice is real footage, a clip, and real footage of the same source again, all of one fold, encoded as one video at
the first one's size and rate. It is judged by models that were fitted on the other folds, so that neither
the generator nor the source has been seen.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import wilson
from countermark.detect.backbone import load_backbone
from countermark.detect.classifier import Classifier, Limits
from countermark.detect.models import Arrays
from countermark.detect.opinion import Opinion
from countermark.media import open_source
from countermark.training._footage import Clip
from countermark.writer import VideoWriter

__all__ = ["HEAD", "Lengths", "splices_rows"]

Frames = list[npt.NDArray[np.uint8]]
NEAR = 1.0  # seconds that an end may be off
LARGER = 0.9  # least ratio of the inserted clip's side to the footage's: enlarging is a trace of its own
EACH = 3  # splices with one family or source at most
HEAD = ("splices", "ends found", "located within 1 s", "and called generated", "something else called so")


@dataclass(frozen=True)
class Lengths:
    """Least seconds of real footage on either side, and of what is spliced in."""

    around: float = 2.0
    inside: float = 1.9


@dataclass(frozen=True)
class Splice:
    """Real footage before and after a clip, all of one fold."""

    before: Clip
    inside: Clip
    after: Clip
    fold: int


def _plan(
    clips: Sequence[Clip], fold: npt.NDArray[np.int64], count: int, least: Lengths, *, generated: bool, seed: int
) -> list[Splice]:
    """Draws splices of clips that are long enough, few of any one family; real ones come from another group."""
    rng = np.random.default_rng([seed, generated])
    real: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    for clip, own in zip(clips, fold, strict=True):
        if clip.label == "real" and own >= 0 and clip.seconds >= least.around:
            real[int(own), clip.family].append(clip)
    places = {key: found for key, found in real.items() if len(found) > 1}
    kind = "generated" if generated else "real"
    inserts = [i for i, c in enumerate(clips) if c.label == kind and fold[i] >= 0 and c.seconds >= least.inside]
    found: list[Splice] = []
    used: dict[str, int] = defaultdict(int)
    for i in rng.permutation(inserts):
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


def _make(splice: Splice, data: Path, out: Path) -> tuple[float, float]:
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


def _classifiers(models: Mapping[int, Arrays], high: dict[int, float]) -> dict[int, Classifier]:
    """Of each fold a classifier that has not seen it; ``high``: the threshold of each fold."""
    made = {}
    for own, bound in high.items():
        limits = Limits(high=bound, low=1 - bound, fine=-np.inf, distance=np.inf)
        made[own] = Classifier(load_backbone(), models[own], limits)
    return made


def _judged(path: Path, classifier: Classifier) -> Opinion:
    """The opinion of a file."""
    media = open_source(path)
    judge = classifier.start(media.facts)
    for timed in media.frames():
        judge.add(timed.time, timed.rgb)
    return judge.finish()


@dataclass(frozen=True)
class Found:
    """Whether a change was found near both ends, the likeliest stretch is the clip, it passes the threshold, and
    whether a stretch elsewhere passes it.
    """

    ends: bool
    located: bool
    called: bool
    elsewhere: bool


def _found(opinion: Opinion, start: float, end: float) -> Found | None:
    if opinion.bounds is None:
        return None
    segments, high = opinion.segments, opinion.bounds[1]
    edges = np.array([edge for s in segments for edge in (s.start, s.end)])
    likeliest = max(segments, key=lambda s: s.probability)
    located = abs(likeliest.start - start) <= NEAR and abs(likeliest.end - end) <= NEAR
    return Found(
        bool(np.abs(edges - start).min() <= NEAR and np.abs(edges - end).min() <= NEAR),
        located,
        located and likeliest.probability >= high,
        any(s.probability >= high and min(s.end, end) - max(s.start, start) < (s.end - s.start) / 2 for s in segments),
    )


def splices_rows(
    clips: list[Clip],
    fold: npt.NDArray[np.int64],
    data: Path,
    models: Mapping[int, Arrays],
    high: dict[int, float],
    *,
    count: int = 100,
    least: Lengths | None = None,
    seed: int = 0,
) -> list[list[str]]:
    """Rows under HEAD: generated clips in real footage, and, as a control, real clips of another source.

    ``models`` and ``high``: each fold's arrays, fitted without it, and its threshold.
    """
    classifiers, rows = _classifiers(models, high), []
    for name, generated in (
        ("a generated clip in real footage", True),
        ("control: real footage of another source", False),
    ):
        found: list[Found] = []
        for splice in _plan(clips, fold, count, least or Lengths(), generated=generated, seed=seed):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "splice.mp4"
                start, end = _make(splice, data, path)
                one = _found(_judged(path, classifiers[splice.fold]), start, end)
            found += [] if one is None else [one]
        rows.append([name, str(len(found)), *(_share([getattr(f, n) for f in found]) for n in Found.__annotations__)])
    return rows


def _share(hits: Sequence[bool]) -> str:
    low, top = wilson(sum(hits), len(hits))
    return f"{np.mean(hits):.2f} ({low:.2f}-{top:.2f})" if hits else "-"
