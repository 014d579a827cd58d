"""Trains the classifier on a folder of clips with a table: ``countermark train detector --data DIR --cache DIR``.

Stages, each resumable, all of them by default:

* ``cache``: patches of every clip, raw and degraded, decoded once.
* ``match``: auto-encoders of several kinds, trained on the real clips, and real clips passed through them.
* ``network``: one network for each fold of families and sources, which has not seen that fold (``--minutes`` each).
* ``score``: every clip judged by the network that has not seen it; what ``countermark bench detect`` prints.
* ``export``: fusion, calibration and limits from the held-out scores; the folds' networks together are the model.

Design decisions: the folds' networks are what is shipped, as an ensemble, so that the figures are those of what runs;
settings of degradation are drawn without a look at the class; matched fakes come with their originals, treated alike;
Muon trains the kernels. The same seed gives the same figures within noise: stretches are measured in minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from countermark.detect.network import Network
from countermark.errors import UsageError
from countermark.training import _scores as scoring
from countermark.training._batches import Pool
from countermark.training._cache import VARIANTS, Shelf, build
from countermark.training._embedded import embedded_clips, make_embedded
from countermark.training._fit import fit
from countermark.training._footage import Clip, folds, read_footage, weights
from countermark.training._fusion import fit_fusion, fit_hand, fit_range

__all__ = ["clips_of", "fold_networks", "fold_of", "main", "usable"]

WEIGHTS = Path(__file__).resolve().parent.parent / "detect" / "weights"
STAGES = ("cache", "match", "network", "score", "export")
SHARES = {"raw": 1.0, "re1": 0.8, "re2": 0.8}
FALSE_ALARMS = 0.01
EVEN = 0.5  # how far clips are drawn so that frame rate, size and bitrate say less of the class


def main(argv: list[str]) -> int:
    """Runs one stage or all; returns the exit code."""
    args = _parse(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.runs.mkdir(parents=True, exist_ok=True)
    stages = {"cache": _cache, "match": _match, "network": _network, "score": _score, "export": export}
    clips = clips_of(args.data, args.cache)
    for stage in STAGES if args.stage == "all" else (args.stage,):
        stages[stage](args, clips)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="countermark train detector", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of clips with clips.tsv")
    parser.add_argument("--cache", type=Path, required=True, help="where patches are kept: a few GB")
    parser.add_argument("--runs", type=Path, default=Path("runs/detector"), help="checkpoints and scores")
    parser.add_argument("--stage", choices=("all", *STAGES), default="all")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=6.0, help="of training for each network, on one core")
    parser.add_argument("--ae-minutes", type=float, default=1.0, help="of training for each auto-encoder")
    parser.add_argument("--pairs", type=int, default=6, help="matched fakes in a batch; 0: none")
    parser.add_argument("--pull", type=float, default=0.3, help="how much they count in the main output")
    parser.add_argument("--embedded", type=int, default=24, help="clips of our own generator that are added")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="cores; 0: as torch chooses")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights file")
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error("there must be at least 2 folds")
    return args


def clips_of(data: Path, cache: Path) -> list[Clip]:
    """The clips of a data folder, and those that our own generator has made into the cache."""
    return read_footage(data) + embedded_clips(cache)


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


def _cache(args: argparse.Namespace, clips: list[Clip]) -> None:
    if args.embedded:
        _progress(make_embedded(args.cache, args.embedded, args.seed), args.embedded, "our own generator")
    made = embedded_clips(args.cache)
    clips = [c for c in clips if c.made is None]
    _progress(build(clips, args.data, args.cache, VARIANTS, args.seed), len(clips), "cache")
    _progress(build(made, args.cache, args.cache, VARIANTS, args.seed), len(made), "cache of our own")


def _match(args: argparse.Namespace, clips: list[Clip]) -> None:
    from safetensors.torch import load_file, save_file

    from countermark.training._autoencoders import KINDS, AutoEncoder
    from countermark.training._autoencoders import fit as fit_autoencoder
    from countermark.training._matched import crops_of, make_pairs

    models, crops = {}, None
    for name, kind in KINDS.items():
        path = args.runs / f"ae-{name}.safetensors"
        if not path.exists():
            crops = crops_of(clips, args.data, seed=args.seed) if crops is None else crops
            trained, error = fit_autoencoder(kind, crops, args.ae_minutes * 60, args.seed)
            print(f"{name}: mean error {255 * error:.1f} of 255", flush=True)
            save_file(trained.state_dict(), path)
        models[name] = AutoEncoder(kind)
        models[name].load_state_dict(load_file(path))
        models[name].eval().requires_grad_(False)
    made = make_pairs(clips, args.data, models, Shelf(args.cache / "pairs"), seed=args.seed)
    _progress(made, len(clips), "matched fakes")


def _shelves(args: argparse.Namespace) -> tuple[dict[str, Shelf], Shelf | None]:
    shelves = {name: Shelf(args.cache / name) for name in SHARES}
    if not shelves["raw"].entries:
        raise UsageError(f"{args.cache} holds no patches yet: run --stage cache first")
    pairs = Shelf(args.cache / "pairs") if args.pairs else None
    return shelves, pairs


def _network(args: argparse.Namespace, clips: list[Clip]) -> None:
    shelves, pairs = _shelves(args)
    fold = fold_of(clips, args.folds, args.seed)
    for own in range(args.folds):
        chosen = [c for c, f in zip(clips, fold, strict=True) if f not in (-1, own)]
        seed = args.seed * 1000 + own
        pool = Pool(chosen, shelves, SHARES, pairs, seed=10 + seed, matched=EVEN)
        fit(pool, args.minutes * 60, args.runs / f"network-{own}.pt", seed=seed, pairs=args.pairs, pull=args.pull)


def fold_networks(runs: Path, count: int) -> dict[int, Network]:
    """The averaged networks of a run. Raises UsageError where one is missing."""
    found = {}
    for own in range(count):
        path = runs / f"network-{own}.pt"
        if not path.exists():
            raise UsageError(f"{path} is missing: run --stage network first")
        found[own] = Network()
        found[own].load_state_dict(torch.load(path, weights_only=True)["average"])
        found[own].eval().requires_grad_(False)
    return found


def _score(args: argparse.Namespace, clips: list[Clip]) -> None:
    fold = fold_of(clips, args.folds, args.seed)
    networks = fold_networks(args.runs, args.folds)
    for variant in VARIANTS:
        shelf = Shelf(args.cache / variant)
        features = scoring.collect_features(shelf, args.runs / f"features-{variant}.npz")
        _progress(features, len(shelf.entries), f"statistics of {variant}")
        path = args.runs / f"logits-{variant}.npz"
        logits = scoring.collect_logits(networks, clips, [int(f) for f in fold], shelf, path)
        _progress(logits, len(clips), f"scores of {variant}")


def export(args: argparse.Namespace, clips: list[Clip]) -> None:
    """Writes ``classifier.safetensors`` and prints its sha256 and thresholds."""
    from safetensors.torch import save_file

    fold = fold_of(clips, args.folds, args.seed)
    scores = {v: scoring.load_scores(args.runs, v, clips) for v in scoring.LEARNT}
    generated = np.array([c.generated for c in clips])
    known = fold >= 0
    weight = np.zeros(len(clips))
    weight[known] = weights(usable(clips), matched=scoring.MATCHED)
    held_out, inputs = scoring.probabilities(clips, fold, scores)
    rows = [(v, np.flatnonzero(known & scores[v].there)) for v in scoring.LEARNT]
    which = np.concatenate([i for _, i in rows])
    features = np.concatenate([scores[v].features[i] for v, i in rows])
    arrays = fit_hand(features, generated[which], weight[which])
    arrays |= fit_range(features, arrays)
    arrays |= fit_fusion(np.concatenate([inputs[v][i] for v, i in rows]), generated[which], weight[which])
    p = np.concatenate([held_out[v][i] for v, i in rows])
    limits = _limits(p, generated[which], weight[which], features, arrays)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a, np.float32)) for name, a in arrays.items()}
    for own, network in fold_networks(args.runs, args.folds).items():
        for name, tensor in network.state_dict().items():
            if tensor.dtype.is_floating_point:
                tensors[f"network{own}.{name}"] = tensor.contiguous()
    about = {"networks": args.folds, "limits": limits}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "classifier.safetensors"
    save_file(tensors, path, {"about": json.dumps(about)})
    print(json.dumps(about))
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def _limits(
    p: npt.NDArray[np.float64],
    generated: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.float64],
    features: npt.NDArray[np.float64],
    arrays: dict[str, npt.NDArray[np.float64]],
) -> dict[str, float]:
    """The threshold that one in a hundred held-out real clips exceeds, its mirror image, and the range of training."""
    from countermark.training._fusion import normal

    real = np.sort(p[~generated])
    high = float(real[-max(1, int(FALSE_ALARMS * len(real)))]) + 1e-6
    high = max(high, 0.5)
    along = (normal(features, arrays) - arrays["range.mean"]) @ arrays["range.axes"]
    distance = np.sqrt(np.mean(along**2, 1))
    return {
        "high": round(high, 5),
        "low": round(1 - high, 5),
        "fine": round(float(np.quantile(features[:, 0], 0.002)), 4),
        "distance": round(float(np.quantile(distance, 0.998)), 4),
    }
