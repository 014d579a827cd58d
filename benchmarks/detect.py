"""Figures of the classifier on clips that it has not seen, by grouped folds: ``countermark bench detect --data DIR``.

Families, sources, repositories and videos are never split: each clip is judged by models that were fitted without its
group, fusion and calibration included. ``--runs`` is that of ``countermark train detector``. ``--small`` makes its own
clips and trains for seconds: it shows that all of it runs, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._cost import cost
from countermark.benchmarks._rates import HEAD, Held, bands_rows, controls_rows, family_rows, line, source_rows
from countermark.benchmarks._splices import HEAD as HEAD_OF_SPLICES
from countermark.benchmarks._splices import Lengths, splices_rows
from countermark.benchmarks._table import table
from countermark.training import detector
from countermark.training._footage import Clip, bands
from countermark.training._fusion import INPUTS
from countermark.training._metrics import Rate, auc
from countermark.training._scores import held_out
from countermark.training._statistics import LEARNT, RANDOM, VARIANTS, Table, load_table

__all__ = ["main"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
FALSE_ALARMS = 0.01
PARTS = ("figures", "splices", "cost")


def main(argv: list[str]) -> int:
    """Prints the tables; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark bench detect", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of clips with clips.tsv")
    parser.add_argument("--runs", type=Path, help="statistics, as the trainer keeps them")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables; cost needs no data")
    parser.add_argument("--splices", type=int, default=100, help="how many splices of each kind")
    parser.add_argument("--small", action="store_true", help="clips that it makes itself, seconds of training")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if set(parts) - set(PARTS):
        parser.error(f"--parts takes some of {','.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        if args.small:
            _small(Path(folder), parts)
            return 0
        if set(parts) - {"cost"} and not (args.data and args.runs):
            parser.error("it needs --data and --runs, or --parts cost, or --small")
        if "figures" in parts:
            _report(args.data, args.runs, args.folds, args.seed)
        if "splices" in parts:
            _splices(args.data, args.runs, args.folds, args.seed, args.splices, Lengths())
        if "cost" in parts:
            cost(Path(folder), (1280, 720), 10.0)
    return 0


def _small(folder: Path, parts: list[str]) -> None:
    """Trains and reports on a few tiny clips of each class."""
    make_footage(folder / "data")
    data, runs = folder / "data", folder / "runs"
    quick = ["--folds", "2", "--embedded", "0", "--workers", "1", "--out", str(folder)]
    detector.main(["--data", str(data), "--runs", str(runs), *quick])
    if "figures" in parts:
        _report(data, runs, 2, 0)
    if "splices" in parts:
        _splices(data, runs, 2, 0, 2, Lengths(0.5, 0.5))
    if "cost" in parts:
        cost(folder, (320, 240), 2.0)


def make_footage(folder: Path, clips: int = 2, sources: int = 4) -> None:
    """Clips of moving noise ("real") and of the same made smooth ("generated"), with their table."""
    import cv2

    from countermark.writer import VideoWriter

    columns = ("file", "label", "family_or_source", "repo", "blob_sha", "width", "height", "fps", "seconds", "kbps")
    folder.mkdir(parents=True)
    rows = []
    for i in range(2 * clips * sources):
        label, family = ("generated", "real")[i % 2], f"family{i % (2 * sources)}"
        rng = np.random.default_rng(i)
        ground = cv2.resize(rng.integers(0, 256, (40, 44, 3), np.uint8), (176, 160), interpolation=cv2.INTER_CUBIC)
        name = f"{label}-{i}.mp4"
        with VideoWriter(folder / name, 144, 128, Fraction(16)) as writer:
            for t in range(12):
                frame = ground[t : t + 128, 2 * t : 2 * t + 144].astype(np.float32)
                frame += rng.normal(0, 4, frame.shape) if label == "real" else 0
                writer.write(t / 16, np.clip(frame, 0, 255).astype(np.uint8))
        kbps = (folder / name).stat().st_size * 8 / 750
        rows.append((name, label, family, family, str(i), 144, 128, 16.0, 0.75, round(kbps, 1)))
    with (folder / "clips.tsv").open("w", newline="") as file:
        writer_ = csv.writer(file, delimiter="\t")
        writer_.writerows([columns, *rows])


def _report(data: Path, runs: Path, folds: int, seed: int) -> None:
    start = time.monotonic()
    clips = detector.clips_of(data, runs)
    fold = detector.fold_of(clips, folds, seed)
    tables = {v: t for v in VARIANTS if (t := load_table(runs, v, clips)).there.any()}
    judged = held_out(clips, fold, tables)
    found = judged.probability
    known = fold >= 0
    edited = _edited(clips, fold, found)
    for values in found.values():
        values[~known] = np.nan
    held = Held(clips, found, {v: _thresholds(clips, fold, p) for v, p in found.items()})
    print(f"{int(known.sum())} clips in {folds} folds of {len({c.group for c in clips})} groups, held out\n")
    fewer = [v for v, p in found.items() if np.isfinite(p).sum() < 0.9 * np.isfinite(found["raw"]).sum()]
    same = [line("raw, same clips as below", held, "raw", np.isfinite(found[v])) for v in fewer[:1]]
    rows = [line(v, held, v) for v in found if v not in fewer] + same + [line(v, held, v) for v in fewer]
    print(table(["after", *HEAD], rows))
    print("\nwhat is fused, AUC\n")
    print(table(["scores", *found], _parts(clips, judged.inputs, found)))
    print("\nraw, within bands\n")
    print(table(["band", *HEAD], bands_rows(held, "raw")))
    print("\neach generator against all real clips, AUC, and its rate at 5 % false alarms, raw\n")
    shown = [v for v in ("raw", "re1", "crf35") if v in found]
    rows = family_rows(held, shown)
    print(table(["family", "size, fps", "clips", *shown, "TPR at 5 %"], rows))
    big = sorted(float(row[3]) for row in rows if int(row[2]) >= 5)
    if big:
        worst = ", ".join(f"{value:.2f}" for value in big[:5])
        print(f"\nfamilies of five clips or more: mean {np.mean(big):.2f}, median {np.median(big):.2f}, worst {worst}")
    modern = np.array([not c.generated or c.width * c.height >= 700_000 for c in clips])
    print("\ngenerators of 720p and up against all real clips\n")
    print(table(["after", *HEAD], [line(v, held, v, modern) for v in found]))
    print("\nreal sources: mean probability, and share above the threshold of 5 % false alarms, raw\n")
    print(table(["source", "clips", "mean", "above"], source_rows(held, "raw")))
    if edited:
        print("\nedited footage, of neither class: mean probability, and how many are called likely generated\n")
        print(table(["source", "after", "clips", "mean", "likely generated"], edited))
    print("\ncontrols, AUC\n")
    rows = controls_rows(held, {v: tables[v].marked for v in RANDOM}, seed)
    rows += _metadata(clips, fold, seed) + _shuffled(clips, fold, tables, seed)
    print(table(["control", "clips", "AUC"], rows))
    print("\nIntervals of rates: Clopper-Pearson, 95 %; of AUC: groups drawn again.")
    print(f"{time.monotonic() - start:.0f} s")


def _splices(data: Path, runs: Path, folds: int, seed: int, count: int, least: Lengths) -> None:
    clips = detector.clips_of(data, runs)
    fold = detector.fold_of(clips, folds, seed)
    held = held_out(clips, fold, {v: load_table(runs, v, clips) for v in LEARNT})
    high = _thresholds(clips, fold, held.probability["raw"])
    by_fold = {int(own): float(high[fold == own][0]) for own in np.unique(fold[fold >= 0])}
    rows = splices_rows(clips, fold, data, held.models, by_fold, count=count, least=least, seed=seed)
    print("\nspliced into real footage of one source, held out, re-encoded at CRF 23\n")
    print(table(["what", *HEAD_OF_SPLICES], rows))
    print("\nIntervals: Wilson, 95 %. Located: the likeliest stretch begins and ends within 1 s of the clip.")


def _edited(clips: list[Clip], fold: npt.NDArray[np.int64], found: dict[str, Floats]) -> list[list[str]]:
    rows = []
    for source in sorted({c.family for c in clips if c.label == "edited"}):
        for variant, p in found.items():
            high = _thresholds(clips, fold, p)
            mine = np.array([c.label == "edited" and c.family == source for c in clips]) & np.isfinite(p)
            if mine.any():
                rate = Rate(int((p[mine] >= high[mine]).sum()), int(mine.sum()))
                rows.append([source, variant, str(int(mine.sum())), f"{p[mine].mean():.2f}", str(rate)])
    return rows


def _thresholds(clips: list[Clip], fold: npt.NDArray[np.int64], p: Floats) -> Floats:
    """For each clip the threshold that 1 % of the real clips of the other folds exceed, at least one half."""
    real = np.array([c.label == "real" for c in clips]) & np.isfinite(p)
    high = np.full(len(clips), np.nan)
    for own in np.unique(fold):
        others = np.sort(p[real & (fold != own) & (fold >= 0)])
        if len(others):
            high[fold == own] = max(0.5, float(others[-max(1, int(FALSE_ALARMS * len(others)))]))
    return high


def _parts(clips: list[Clip], inputs: dict[str, Floats], found: dict[str, Floats]) -> list[list[str]]:
    generated = np.array([c.generated for c in clips])
    rows = []
    for i, name in enumerate((*INPUTS, "fused")):
        cells = [name]
        for v, p in found.items():
            there = np.isfinite(p)
            cells.append(f"{auc((p if name == 'fused' else inputs[v][:, i])[there], generated[there]):.3f}")
        rows.append(cells)
    return rows


def _metadata(clips: list[Clip], fold: npt.NDArray[np.int64], seed: int) -> list[list[str]]:
    """A forest on frame rate, size, length and bitrate: on all clips, and where these say the same of both classes."""
    from sklearn.ensemble import ExtraTreesClassifier

    facts = np.array([[c.fps, c.width, c.height, c.seconds, np.log(c.kbps + 1)] for c in clips])
    generated = np.array([c.generated for c in clips])
    p = np.full(len(clips), np.nan)
    for own in range(fold.max() + 1):
        learn = (fold >= 0) & (fold != own)
        forest = ExtraTreesClassifier(200, min_samples_leaf=3, random_state=seed, class_weight="balanced")
        p[fold == own] = forest.fit(facts[learn], generated[learn]).predict_proba(facts[fold == own])[:, 1]
    there = np.isfinite(p)
    band = [bands(c) for c in clips]
    inside = [auc(p[k], generated[k]) for b in set(band) if (k := there & np.array([x == b for x in band])).sum() >= 20]
    inside = [value for value in inside if np.isfinite(value)]
    within = f"{np.mean(inside):.3f}" if inside else "-"
    return [
        ["metadata only, all clips", str(int(there.sum())), f"{auc(p[there], generated[there]):.3f}"],
        ["metadata only, mean within bands of fps, size and bitrate", f"{len(inside)} bands", within],
    ]


def _shuffled(clips: list[Clip], fold: npt.NDArray[np.int64], tables: dict[str, Table], seed: int) -> list[list[str]]:
    """All that is learnt on labels that were dealt out anew by group; its mean over five deals."""
    from dataclasses import replace

    rng, found = np.random.default_rng(seed), []
    kind = {c.group: c.label for c in clips if c.label != "edited"}
    groups = sorted(kind)
    learnt = {v: tables[v] for v in LEARNT}
    for _ in range(5):
        dealt = dict(zip(groups, rng.permutation([kind[g] for g in groups]), strict=True))
        fake = [replace(c, label=dealt[c.group]) if c.label != "edited" else c for c in clips]
        if any(len({c.label for c, f in zip(fake, fold, strict=True) if f not in (-1, own)}) < 2 for own in set(fold)):
            continue
        p = held_out(fake, fold, learnt).probability["raw"]
        there = np.isfinite(p) & (fold >= 0)
        found.append(auc(p[there], np.array([c.generated for c in fake])[there]))
    cell = f"{np.mean(found):.3f}" if found else "-"
    return [[f"shuffled labels, mean of {len(found)} deals", str(len(clips)), cell]]
