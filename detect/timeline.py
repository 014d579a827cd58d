"""Where things lie on a report's timeline, in percent of its width and height; drawing them is the template's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countermark.report import Segment

__all__ = ["Bar", "Tick", "Timeline", "timeline_of"]

NICE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)  # seconds between ticks
TICKS = 6  # at most
APART = 7.0  # percent of the width from which on two pins stand apart, on a phone too
LABELLED = 9.0  # percent of the width from which a bar's label fits


@dataclass(frozen=True)
class Bar:
    """A stretch: ``left`` and ``width`` in percent; ``top`` of a probability, in percent from above."""

    start: float
    end: float
    left: float
    width: float
    top: float = 0.0
    text: str = ""
    labelled: bool = True
    kind: str = "unsure"


@dataclass(frozen=True)
class Tick:
    """A mark of the axis, or of a moment: ``left`` in percent."""

    left: float
    text: str


@dataclass(frozen=True)
class Timeline:
    """All that is drawn. ``path``: the windows' probabilities as points of 100 x 100; ``low`` and ``high``: bounds'
    heights in percent from above.
    """

    seconds: float
    bars: tuple[Bar, ...]
    path: str
    marked: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    moments: tuple[Tick, ...]
    low: float | None
    high: float | None


def timeline_of(
    segments: Sequence[Segment],
    windows: Sequence[Segment],
    marked: Sequence[tuple[float, float, str]],
    moments: Sequence[float],
    bounds: tuple[float, float] | None,
    seconds: float | None,
) -> Timeline | None:
    """A timeline of stretches with a probability, marked stretches (start, end, payload) and moments, in seconds.

    None where there is no length to draw along.
    """
    length = max([seconds or 0.0, *(s.end for s in segments), *(end for _, end, _ in marked)])
    if length <= 0:
        return None

    def bar(start: float, end: float, top: float, text: str, kind: str) -> Bar:
        start, end = max(0.0, start), min(length, end)
        width = max(0.4, 100 * (end - start) / length)  # what is shorter is still to be seen
        left = min(100 * start / length, 100 - width)
        return Bar(start, end, round(left, 3), round(width, 3), top, text, width >= LABELLED, kind)

    bars = tuple(
        bar(s.start, s.end, round(100 * (1 - s.probability), 2), f"{s.probability:.0%}", _kind(s.probability, bounds))
        for s in segments
    )
    points = " ".join(
        f"{50 * (w.start + w.end) / length:.3f},{100 * (1 - w.probability):.2f}" for w in sorted(windows, key=_start)
    )
    step = next((s for s in NICE if length / s <= TICKS), length)
    ticks = tuple(
        Tick(round(100 * i * step / length, 3), _clock(i * step, step)) for i in range(int(length / step) + 1)
    )
    return Timeline(
        length,
        bars,
        points,
        tuple(bar(start, end, 0.0, payload, "marked") for start, end, payload in marked),
        ticks,
        _pins([min(100.0, 100 * t / length) for t in moments]),
        None if bounds is None else round(100 * (1 - bounds[0]), 2),
        None if bounds is None else round(100 * (1 - bounds[1]), 2),
    )


def _pins(lefts: Sequence[float]) -> tuple[Tick, ...]:
    """Numbered pins, in order; those that would cover each other share one, such as 2-4."""
    groups: list[list[int]] = []
    for i, left in enumerate(lefts):
        if groups and left - lefts[groups[-1][0]] < APART:
            groups[-1].append(i)
        else:
            groups.append([i])
    return tuple(
        Tick(
            round(sum(lefts[i] for i in group) / len(group), 3),
            f"{group[0] + 1}" if len(group) == 1 else f"{group[0] + 1}\N{EN DASH}{group[-1] + 1}",
        )
        for group in groups
    )


def _start(segment: Segment) -> float:
    return segment.start


def _kind(probability: float, bounds: tuple[float, float] | None) -> str:
    if bounds is None or bounds[0] < probability < bounds[1]:
        return "unsure"
    return "high" if probability >= bounds[1] else "low"


def _clock(seconds: float, step: float) -> str:
    if step < 60:
        return f"{seconds:g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
