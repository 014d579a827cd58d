"""The cells that change with time: finds which segment shows when, by pilot chips alone, and reads the rest.

A copy may start anywhere, run faster or backwards, and a hard encoder may hold on to the segment that its first
picture showed. Each such course of time gives every group of frames a weight for every segment; the course whose
weighted sum agrees best with the pilot's signs is taken, if it agrees at all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Alignment, Chips, chips_at
from countermark.watermark.carriers import CYCLE, SEGMENT, carriers, fade
from countermark.watermark.keys import Key
from countermark.watermark.maps import Residuals

__all__ = ["changing_chips"]

Floats = npt.NDArray[np.float32]
SPEEDS = (1.0, -1.0, 0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0)
OFFSET = 0.125  # seconds between the starts that are tried
AGREES = 4.2  # rho of the pilot from which a course is believed


def changing_chips(residuals: Residuals, key: Key, alignment: Alignment, level: int) -> list[Chips]:
    """Chips of the changing cells along the best course of time, one set a segment; none where no course agrees."""
    carrier = next(c for c in carriers(key) if c.changes.any())
    index = np.flatnonzero(carrier.changes.ravel())
    groups = [chips_at(maps, carrier, alignment, residuals.canvas, index) for maps in residuals.groups(level)]
    times = [(min(s.start for s in g), max(s.end for s in g)) for g in residuals.grouped()]
    counts = np.array([sum(s.frames for s in g) for g in residuals.grouped()], np.float32)
    values = np.stack([g.values for g in groups]) * counts[:, None]  # G x cells
    cells = groups[0].index
    signs = carrier.signs.reshape(CYCLE, -1)[:, cells]
    pilot = groups[0].pilot
    if pilot.sum() < 8:
        return []
    agree = values[:, pilot] @ signs[:, pilot].T  # G x CYCLE
    gram = values[:, pilot] @ values[:, pilot].T
    best, weights = 0.0, None
    for course in _courses(tuple(times)):
        norm = float(np.sqrt(max(0.0, np.sum((gram @ course) * course))))
        rho = float(np.sum(course * agree)) / norm if norm > 0 else 0.0
        if rho > best:
            best, weights = rho, course
    if weights is None or best < AGREES:
        return []
    shown = [k for k in range(CYCLE) if np.abs(weights[:, k]).max() > 0.05]
    return [
        Chips(weights[:, k] @ values, signs[k], groups[0].roles, groups[0].at, cells + (k + 1) * carrier.role.size)
        for k in shown
    ]


@lru_cache(maxsize=4)
def _courses(times: tuple[tuple[float, float], ...]) -> list[Floats]:
    """Weights (groups x CYCLE) of every course of time that is tried, with and without their mean over time."""
    out: list[Floats] = []
    inside = np.array([np.linspace(a, b, 6)[:-1] + (b - a) / 10 for a, b in times])  # G x 5
    for speed in SPEEDS:
        for offset in np.arange(0.0, CYCLE * SEGMENT, OFFSET):
            out.append(_shown((inside * speed + offset) % (CYCLE * SEGMENT)))
    for k in range(CYCLE):  # held on to
        course = np.zeros((len(times), CYCLE), np.float32)
        course[:, k] = 1
        out.append(course)
    return out + [c - c.mean(0) for c in out if len(times) > 2 and np.ptp(c, 0).max() > 0]


def _shown(at: npt.NDArray[np.float64]) -> Floats:
    """Mean weight of every segment in each group, from times within it (G x n)."""
    course = np.zeros((len(at), CYCLE), np.float32)
    for group, moments in enumerate(at):
        for moment in moments:
            first, second, a, b = fade(float(moment))
            course[group, first] += a / len(moments)
            course[group, second] += b / len(moments)
    return course
