"""Which seconds of a file carry a mark: every piece of time says how well it agrees with the codeword that was read.

Under the wrong codeword or without a mark the agreement of a piece is a standard normal deviate at most (the bound of
:mod:`countermark.watermark.stats` holds for each), under the mark its mean is positive; the likeliest course of a
two-state chain through the pieces gives the stretches, and their ends are then looked at slice by slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Alignment, read_chips
from countermark.watermark.code import encode
from countermark.watermark.keys import Key
from countermark.watermark.maps import Maps, Residuals, level_of
from countermark.watermark.slices import Planes
from countermark.watermark.stats import correlation

__all__ = ["Stretch", "stretches_of"]

SWITCH = 7.0  # log-likelihood that a change between marked and unmarked has to earn


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, in seconds, that carries ``payload`` (64 bits); ``pieces`` are its groups' numbers."""

    start: float
    end: float
    payload: int
    pieces: tuple[int, ...]


def stretches_of(
    residuals: Residuals, key: Key, alignment: Alignment, payload: int, variant: int
) -> tuple[Stretch, ...]:
    """The stretches of a file that carry a payload which was read at an alignment, in order of time."""
    level = level_of(alignment.zoom)
    word = encode([payload], variant)[0]

    def agree(maps: Maps | None) -> float:
        if maps is None:
            return 0.0
        values, signs = [], []
        for chips in read_chips(maps, key, alignment, residuals.canvas):
            use = ~chips.pilot
            power = float(np.mean(chips.values[use] ** 2)) if use.any() else 0.0
            values.append(chips.values[use] / max(power, 1e-12) ** 0.5)
            signs.append(chips.signs[use] * (1.0 - 2.0 * word[chips.roles[use]]))
        return correlation(np.concatenate(values), np.concatenate(signs).astype(np.float32))

    scores = np.array([agree(maps) for maps in residuals.groups(level)])
    gains = _gains(scores)
    groups = residuals.grouped()
    found = []
    for first, last in _runs(gains):
        start, end = groups[first][0].start, groups[last][-1].end

        def gain(piece: Planes) -> float:
            alone = agree(Residuals([piece], residuals.canvas).whole(level))
            return float(_gains(np.array([alone]), _strength(scores) * 0.7)[0])

        if first > 0:
            pieces = [*groups[first - 1], *groups[first]]
            start = pieces[_first_of([gain(p) for p in pieces])].start
        if last + 1 < len(groups):
            pieces = [*groups[last], *groups[last + 1]]
            backwards = pieces[::-1]
            end = backwards[_first_of([gain(p) for p in backwards])].end
        found.append(Stretch(round(start, 3), round(end, 3), payload, tuple(range(first, last + 1))))
    return tuple(found)


def _strength(scores: npt.NDArray[np.float64]) -> float:
    """Mean agreement of the marked pieces: of those beyond half of it."""
    mean = float(np.mean(np.sort(scores)[-2:]))
    for _ in range(5):
        mean = float(np.mean(scores[scores >= min(mean / 2, scores.max())]))
    return max(2.0, mean)


def _gains(scores: npt.NDArray[np.float64], strength: float | None = None) -> npt.NDArray[np.float64]:
    """Log-likelihood of each piece being marked against not, for normal agreements of mean ``strength`` and 0."""
    mean = _strength(scores) if strength is None else strength
    return np.asarray(np.clip(scores * mean - mean * mean / 2, -30, 30), np.float64)


def _runs(gains: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last piece of each marked run of the likeliest two-state course."""
    best = np.zeros((len(gains) + 1, 2))
    came = np.zeros((len(gains), 2), int)
    for i, gain in enumerate(gains):
        for state in (0, 1):
            ways = [best[i, before] - SWITCH * (before != state) for before in (0, 1)]
            came[i, state] = int(np.argmax(ways))
            best[i + 1, state] = max(ways) + gain * state
    state, marked = int(np.argmax(best[-1])), []
    for i in range(len(gains) - 1, -1, -1):
        if state:
            marked.append(i)
        state = came[i, state]
    runs: list[tuple[int, int]] = []
    for i in reversed(marked):
        if runs and runs[-1][1] == i - 1:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


def _first_of(gains: list[float]) -> int:
    """Where the marked part of a row of pieces begins, if it goes on to the row's end."""
    sums = np.cumsum(gains[::-1])[::-1]
    return int(np.argmax(sums))
