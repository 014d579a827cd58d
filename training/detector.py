"""Trains the classifier on a folder of clips with a table: ``countermark train detector --data DIR``.

Stages, each resumable, both of them by default:

* ``collect``: statistics of every clip, raw and degraded; decoding and encoding take a few CPU-hours a thousand clips.
* ``export``: models of these statistics, their fusion, calibration and limits: seconds.

Design decisions: what is learnt is linear, or nearly so, since generators are few and each teaches its own traces;
folds of whole families and sources give the scores that fusion and thresholds are fitted on, the models themselves are
then fitted on all clips; settings of degradation are drawn without a look at the class. The same seed gives the same
figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.models import Arrays, distance
from countermark.training._embedded import embedded_clips, make_embedded
from countermark.training._footage import Clip, folds, read_footage
from countermark.training._scores import fit_all, held_out
from countermark.training._statistics import LEARNT, VARIANTS, collect, load_table

__all__ = ["clips_of", "few", "fold_of", "main", "usable"]

WEIGHTS = Path(__file__).resolve().parent.parent / "detect" / "weights"
STAGES = ("collect", "export")
FALSE_ALARMS = 0.01
KEPT: dict[str, type] = {"whole.axes": np.float16, "whole.points": np.float16}  # halves the file

Floats = npt.NDArray[np.float64]


def main(argv: list[str]) -> int:
    """Runs one stage or both; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark train detector", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of clips with clips.tsv")
    parser.add_argument("--runs", type=Path, default=Path("runs/detector"), help="statistics, and our own clips")
    parser.add_argument("--stage", choices=("all", *STAGES), default="all")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--embedded", type=int, default=24, help="clips of our own generator that are added")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="raw and degraded ones that are collected")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that collect")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights file")
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error("there must be at least 2 folds")
    variants = args.variants.split(",")
    if set(variants) - set(VARIANTS):
        parser.error(f"--variants takes some of {','.join(VARIANTS)}")
    if args.stage in ("all", "collect"):
        _collect(args, variants)
    if args.stage in ("all", "export"):
        _export(args)
    return 0


def clips_of(data: Path, runs: Path) -> list[Clip]:
    """The clips of a data folder, and those that our own generator has made into the runs' folder."""
    return read_footage(data) + embedded_clips(runs)


def usable(clips: Iterable[Clip]) -> list[Clip]:
    """Clips that are trained on: edited ones are neither class."""
    return [c for c in clips if c.label in ("generated", "real")]


def fold_of(clips: list[Clip], count: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of every clip, -1 for clips that are not trained on; our own generator's are in fold 0: N."""
    chosen = [c for c in usable(clips) if c.made is None]
    own = dict(zip((c.name for c in chosen), folds(chosen, count, seed), strict=True))
    made = {c.name: 0 for c in clips if c.made is not None}
    return np.array([(own | made).get(c.name, -1) for c in clips])


def _progress(items: Iterable[Any], total: int, name: str) -> None:
    from tqdm import tqdm

    for _ in tqdm(items, total=total, desc=name, disable=None, leave=False):
        pass


def _collect(args: argparse.Namespace, variants: list[str]) -> None:
    if args.embedded:
        _progress(make_embedded(args.runs, args.embedded, args.seed), args.embedded, "our own generator")
    learnt, measured = ([v for v in variants if (v in LEARNT) == wanted] for wanted in (True, False))
    for clips, data in ((read_footage(args.data), args.data), (embedded_clips(args.runs), args.runs)):
        for chosen, which in ((clips, learnt), (few(clips), measured)):
            made = collect(chosen, data, args.runs, which, seed=args.seed, workers=args.workers)
            _progress(made, len(chosen), f"statistics: {', '.join(which)}")


def few(clips: Iterable[Clip], most: int = 10) -> list[Clip]:
    """At most so many clips of a family or source: enough to measure by."""
    count: Counter[tuple[str, str]] = Counter()
    chosen = []
    for clip in clips:
        count[clip.label, clip.family] += 1
        if count[clip.label, clip.family] <= most:
            chosen.append(clip)
    return chosen


def _export(args: argparse.Namespace) -> None:
    """Writes ``classifier.safetensors`` and prints its sha256 and thresholds."""
    from safetensors.numpy import save_file

    clips = clips_of(args.data, args.runs)
    tables = {v: load_table(args.runs, v, clips) for v in LEARNT}
    fold = fold_of(clips, args.folds, args.seed)
    held = held_out(clips, fold, tables)
    arrays = fit_all(clips, held, tables)
    real = np.array([c.label == "real" for c in clips])
    alarms = np.concatenate([p[real & (fold >= 0) & np.isfinite(p)] for p in held.probability.values()])
    hand = np.concatenate([t.hand[(fold >= 0) & t.there] for t in tables.values()])
    about = {"limits": _limits(alarms, hand, arrays)}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "classifier.safetensors"
    tensors: dict[str, npt.NDArray[Any]] = {
        name: np.ascontiguousarray(a, KEPT.get(name, np.float32)) for name, a in arrays.items()
    }
    save_file(tensors, path, {"about": json.dumps(about)})
    path.chmod(0o644)
    print(json.dumps(about))
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def _limits(real: Floats, hand: Floats, arrays: Arrays) -> dict[str, float]:
    """The threshold that one in a hundred held-out real clips exceeds, its mirror image, and the range of training."""
    high = max(0.5, float(np.sort(real)[-max(1, int(FALSE_ALARMS * len(real)))]) + 1e-6)
    return {
        "high": round(high, 5),
        "low": round(1 - high, 5),
        "fine": round(float(np.quantile(hand[:, 0], 0.002)), 4),
        "distance": round(float(np.quantile(distance(hand, arrays), 0.998)), 4),
    }
