"""What the classifier says of a file, and which files it does not look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.detect.patches import SMALLEST
from countermark.report import MediaFacts, Segment

__all__ = ["Moment", "Opinion", "declined"]


@dataclass(frozen=True)
class Moment:
    """A window that tells most: its time in seconds, and its patches as top, left, side in pixels and probability."""

    time: float
    probability: float
    patches: tuple[tuple[int, int, int, float], ...]


@dataclass(frozen=True)
class Opinion:
    """What the classifier says of a file: ``generated``, ``unsure`` or ``nothing``, and why, in a plain sentence.

    ``applies`` is false where it could not look (a picture, too small, too short); ``abstained`` is true there, and
    also where it looked and found the footage unlike any in its training. ``segments`` are stretches that look alike,
    ``windows`` what they are made of, half a second each. ``pictures``: of each moment, where they were asked for, a
    small copy of its middle frame (H x W x 3, uint8, RGB). ``bounds``: the probabilities up to which nothing speaks for
    generation, and from which it is likely.
    """

    says: str
    why: str
    probability: float | None = None
    abstained: bool = True
    applies: bool = True
    segments: tuple[Segment, ...] = ()
    moments: tuple[Moment, ...] = ()
    windows: tuple[Segment, ...] = ()
    pictures: tuple[npt.NDArray[np.uint8], ...] = ()
    bounds: tuple[float, float] | None = None


def declined(facts: MediaFacts) -> Opinion | None:
    """The opinion of a file that the classifier does not look at, for what it is; None for all others.

    Asked before the classifier is loaded, which takes seconds.
    """
    why = None
    if facts.kind != "video":
        why = "The classifier was trained on video and does not judge single images."
    elif min(facts.width, facts.height) < SMALLEST:
        why = f"The classifier needs {SMALLEST} pixels on the shorter side."
    return None if why is None else Opinion("nothing", why, applies=False)
