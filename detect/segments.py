"""Cuts a video into stretches that look alike, so that each can be judged as a whole.

A single window's probability is mostly noise; what tells is the mean over a stretch. Where one stretch ends and the
next begins is found without asking what is generated: by the change-points of the windows' statistics (kernel
change-point detection with a linear kernel and a penalty a change, Arlot, Celisse and Harchaoui, JMLR 2019, as the
library ruptures has it). Footage of another camera, another generator or merely another scene changes them all at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["inner", "stretches"]

Floats = npt.NDArray[np.float64]
PENALTY = 1.0  # what a change must explain, as mean squared deviation of the statistics, summed over windows
LEAST = 2  # windows of a stretch


def stretches(statistics: Floats) -> list[tuple[int, int]]:
    """Stretches of windows (first, one past the last), in order and covering all: of W x F statistics in deviations."""
    count, width = statistics.shape
    if count < 2 * LEAST:
        return [(0, count)]
    from ruptures import KernelCPD

    ends = KernelCPD(kernel="linear", min_size=LEAST).fit(statistics / np.sqrt(width)).predict(pen=PENALTY)
    return list(zip([0, *ends[:-1]], ends, strict=True))


def inner(stretch: tuple[int, int], count: int) -> slice:
    """The windows of a stretch that surely show nothing else: of three or more, not those where it meets another."""
    first, end = stretch
    if end - first > LEAST:
        return slice(first + (first > 0), end - (end < count))
    return slice(first, end)
