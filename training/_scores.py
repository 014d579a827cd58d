"""Held-out scores: each clip judged by models that were fitted without its fold, on one variant after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.detect.models import fused, main_axes, scores
from countermark.training._footage import Clip, weights
from countermark.training._fusion import INPUTS, Arrays, fit_fusion, fit_hand, fit_range, fit_whole
from countermark.training._statistics import LEARNT, Table

__all__ = ["Held", "fit_all", "held_out"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MATCHED = 0.8  # how far bands of frame rate, size and bitrate are re-weighted


@dataclass(frozen=True)
class Held:
    """Of each variant: fused probabilities (N) and their inputs (N x 3), held out; nan where a clip has no windows.

    ``models``: of each fold the arrays that were fitted without it.
    """

    probability: dict[str, Floats]
    inputs: dict[str, Floats]
    models: dict[int, Arrays]


def _inputs(table: Table, rows: npt.NDArray[np.int64], arrays: Arrays) -> Floats:
    """What is fused, of some clips: their number x 3."""
    return scores(main_axes(table.whole[rows], arrays), table.hand[rows], arrays)


def _stacked(tables: dict[str, Table], chosen: Flags) -> tuple[npt.NDArray[np.float32], Floats, npt.NDArray[np.int64]]:
    """Statistics of whole frames and of patches, and clip numbers, of chosen clips over what training sees."""
    which = [(tables[v], np.flatnonzero(chosen & tables[v].there)) for v in LEARNT]
    whole = np.concatenate([t.whole[i] for t, i in which])
    return whole, np.concatenate([t.hand[i] for t, i in which]), np.concatenate([i for _, i in which])


def _fit(tables: dict[str, Table], chosen: Flags, generated: Flags, weight: Floats) -> Arrays:
    whole, hand, which = _stacked(tables, chosen)
    truth = generated[which]
    arrays = fit_whole(whole, truth, weight[which]) | fit_hand(hand, truth, weight[which])
    return arrays | fit_range(hand, arrays)


def _weights(clips: Sequence[Clip]) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Which clips are of either class, and their weights in training."""
    known = np.array([c.label in ("generated", "real") for c in clips])
    weight = np.zeros(len(clips))
    weight[known] = weights([c for c, k in zip(clips, known, strict=True) if k], matched=MATCHED)
    return known, weight


def held_out(clips: Sequence[Clip], fold: npt.NDArray[np.int64], tables: dict[str, Table]) -> Held:
    """Judges every clip by models of the other folds; clips of fold -1 (edited footage) take part in no fit.

    The fusion of a fold is fitted on the other folds' clips, as the models that had not seen them judged these.
    """
    generated = np.array([c.generated for c in clips])
    known, weight = _weights(clips)
    inputs = {v: np.full((len(clips), len(INPUTS)), np.nan) for v in tables}
    models: dict[int, Arrays] = {}
    for own in np.unique(fold):
        arrays = models[int(own)] = _fit(tables, known & (fold != own), generated, weight)
        for v, table in tables.items():
            rows = np.flatnonzero((fold == own) & table.there)
            inputs[v][rows] = _inputs(table, rows, arrays)
    found = {v: np.full(len(clips), np.nan) for v in tables}
    for own in np.unique(fold):
        models[int(own)] |= _fusion(tables, inputs, known & (fold != own), generated, weight)
        for v, table in tables.items():
            rows = np.flatnonzero((fold == own) & table.there)
            found[v][rows] = fused(inputs[v][rows], models[int(own)])
    return Held(found, inputs, models)


def _fusion(
    tables: dict[str, Table], inputs: dict[str, Floats], chosen: Flags, generated: Flags, weight: Floats
) -> Arrays:
    rows = [(v, np.flatnonzero(chosen & tables[v].there)) for v in LEARNT]
    which = np.concatenate([i for _, i in rows])
    return fit_fusion(np.concatenate([inputs[v][i] for v, i in rows]), generated[which], weight[which])


def fit_all(clips: Sequence[Clip], held: Held, tables: dict[str, Table]) -> Arrays:
    """The models that are shipped: fitted on all clips, and fused as the held-out scores ask for."""
    generated = np.array([c.generated for c in clips])
    known, weight = _weights(clips)
    return _fit(tables, known, generated, weight) | _fusion(tables, held.inputs, known, generated, weight)
