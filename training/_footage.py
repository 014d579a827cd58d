"""The table of training clips, and how it may be split: never across families, sources, repositories or videos."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.errors import UsageError

__all__ = ["Clip", "bands", "folds", "read_footage", "weights"]

SAME = (  # sources that show the same footage, or may: DAVIS sequences
    "DAVIS-bijustin",
    "DMT-originals",
    "RAVE-sources",
    "SAM2gallery",
    "CoTracker",
    "Text2LIVE-like-inputs",
    "STTN",
    "ShapeOfMotion-inputs",
    "TrackAnything",
    "VDA-rollercoaster",
)
CAP = 20  # clips that a family or source counts as at most


@dataclass(frozen=True)
class Clip:
    """A clip: ``name`` is its path in the data folder, ``group`` what no split may cut through.

    ``made``: for matched fakes and our own generator's output, how they were made; None for footage.
    """

    name: str
    label: str
    family: str
    group: str
    width: int
    height: int
    fps: float
    seconds: float
    kbps: float
    made: str | None = None

    @property
    def generated(self) -> bool:
        """Whether its class is that of generated footage."""
        return self.label == "generated"


def read_footage(folder: Path) -> list[Clip]:
    """The clips of a folder with a ``clips.tsv``, in its order, edited ones included.

    Columns that must be there: file, label (generated, real or edited), family_or_source, repo, blob_sha, width,
    height, fps, seconds, kbps. Groups are connected components of family, repository and video.
    Raises UsageError for a folder without a table, or a table without these columns.
    """
    path = folder / "clips.tsv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    try:
        clips = [
            Clip(
                r["file"],
                r["label"],
                r["family_or_source"],
                "",
                int(r["width"]),
                int(r["height"]),
                float(r["fps"]),
                float(r["seconds"]),
                float(r["kbps"]),
            )
            for r in rows
        ]
        groups = _components([(c.label, c.family, r["repo"], r["blob_sha"]) for c, r in zip(clips, rows, strict=True)])
    except (KeyError, ValueError) as error:
        raise UsageError(f"{path}: {error} is missing or wrong") from None
    return [replace(c, group=g) for c, g in zip(clips, groups, strict=True)]


def _components(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for label, family, repo, video in rows:
        known = "/DAVIS" if label == "real" and family in SAME else f"{label}/{family}"
        parent[root(f"repo/{repo}")] = root(known)
        parent[root(f"video/{video}")] = root(known)
    return [root("/DAVIS" if row[0] == "real" and row[1] in SAME else f"{row[0]}/{row[1]}") for row in rows]


def folds(clips: Sequence[Clip], count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """A fold for each clip, whole groups together, families and clips of both classes spread evenly: N."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for i, clip in enumerate(clips):
        members[clip.group].append(i)
    order = sorted(members, key=lambda g: (-len(members[g]), g))
    fold = np.zeros(len(clips), np.int64)
    load = np.zeros((count, 4))
    share = np.maximum(sum(_load([clips[i] for i in ids]) for ids in members.values()), 1.0)
    for group in order:
        mine = _load([clips[i] for i in members[group]]) / share
        cost = [float(((load + np.eye(count)[[f]].T * mine) ** 2).sum()) for f in range(count)]
        best = int(np.argmin(np.array(cost) + rng.random(count) * 1e-9))
        load[best] += mine
        fold[members[group]] = best
    return fold


def _load(clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
    counts = [sum(c.generated for c in clips), sum(not c.generated for c in clips)]
    families = [len({c.family for c in clips if c.generated == kind}) for kind in (True, False)]
    return np.array([*counts, *families], np.float64)


def bands(clip: Clip) -> tuple[int, int, int]:
    """Bands of frame rate, size and bits per pixel and second, within which classes are compared."""
    density = clip.kbps * 1000 / max(clip.width * clip.height, 1)
    return (
        int(np.searchsorted([9, 13, 20, 24.5, 27], clip.fps)),
        int(np.searchsorted([200e3, 500e3], clip.width * clip.height)),
        int(np.searchsorted([1.5, 4.0], density)),
    )


def weights(clips: Sequence[Clip], *, matched: float = 0.5) -> npt.NDArray[np.float64]:
    """A weight a clip, with mean 1 in each class: families count alike up to a cap, and frame rate, size and bitrate
    say less about the class.

    ``matched``: how far bands are re-weighted by their odds, from 0 to 1: a clip whose band is mostly of the other
    class counts more, within bounds.
    """
    size = Counter((c.label, c.family) for c in clips)
    weight = np.array(
        [min(1.0, CAP / size[c.label, c.family]) / min(size[c.label, c.family], CAP) ** 0.5 for c in clips]
    )
    kind = np.array([c.generated for c in clips])
    for axis in range(3):
        band = np.array([bands(c)[axis] for c in clips])
        for value in np.unique(band):
            here = band == value
            mine, other = weight[here & kind].sum() + 1e-9, weight[here & ~kind].sum() + 1e-9
            mine, other = mine / max(weight[kind].sum(), 1e-9), other / max(weight[~kind].sum(), 1e-9)
            for chosen, odds in ((here & kind, other / mine), (here & ~kind, mine / other)):
                weight[chosen] *= np.clip(odds, 1 / 6, 6) ** (matched / 2)
    for chosen in (kind, ~kind):
        if chosen.any():
            weight[chosen] /= weight[chosen].mean()
    return weight
