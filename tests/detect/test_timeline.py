"""Where stretches lie on the timeline, and where one stretch ends and the next begins."""

import itertools

import numpy as np
import pytest

from countermark.detect.segments import inner, stretches
from countermark.detect.timeline import timeline_of
from countermark.report import Segment


@pytest.mark.parametrize(("first", "second", "third"), [(8, 6, 9), (3, 2, 4), (200, 5, 600)])
def test_other_footage_is_found_to_the_window(first: int, second: int, third: int):
    """Statistics in deviations: a clip's own mean, and what windows of one clip differ by."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, (2, 101))
    rows = np.concatenate([np.tile(one, (first, 1)), np.tile(other, (second, 1)), np.tile(one, (third, 1))])
    found = stretches(rows + rng.normal(0, 0.5, rows.shape))
    assert found == [(0, first), (first, first + second), (first + second, first + second + third)]


def test_one_clip_is_one_stretch_and_a_few_windows_are_never_cut():
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 1, 101) + rng.normal(0, 0.5, (40, 101))
    assert stretches(rows) == [(0, 40)]
    for count in (1, 2, 3):
        assert stretches(rng.normal(0, 9, (count, 101))) == [(0, count)]


def test_stretches_cover_all_windows():
    rng = np.random.default_rng(2)
    found = stretches(rng.normal(0, 3, (60, 101)))
    assert (found[0][0], found[-1][1]) == (0, 60)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("stretch", "windows"),
    [((0, 10), (0, 10)), ((0, 4), (0, 3)), ((4, 8), (5, 7)), ((4, 10), (5, 10)), ((4, 6), (4, 6)), ((4, 7), (5, 6))],
)
def test_windows_where_stretches_meet_do_not_count(stretch: tuple[int, int], windows: tuple[int, int]):
    found = inner(stretch, 10)
    assert (found.start, found.stop) == windows


def test_places_are_shares_of_the_length():
    made = timeline_of(
        [Segment(0.0, 5.0, 0.25), Segment(5.0, 10.0, 0.95)],
        [Segment(5.0, 5.5, 0.9), Segment(0.0, 0.5, 0.1)],
        [(2.0, 4.0, "00ff")],
        [7.5],
        (0.1, 0.9),
        10.0,
    )
    assert made is not None
    assert [(b.left, b.width, b.top, b.kind) for b in made.bars] == [(0, 50, 75, "unsure"), (50, 50, 5, "high")]
    assert [(b.left, b.width, b.text) for b in made.marked] == [(20, 20, "00ff")]
    assert made.path == "2.500,90.00 52.500,10.00", "in order of time"
    assert [t.text for t in made.ticks] == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]
    assert [(m.left, m.text) for m in made.moments] == [(75, "1")]
    assert (made.low, made.high) == (90, 10)


def test_long_files_count_in_minutes_and_short_stretches_stay_visible():
    made = timeline_of([Segment(0, 3600, 0.5)], [], [(3599.0, 3600.0, "00ff")], [], None, 3600.0)
    assert made is not None
    assert [t.text for t in made.ticks][:3] == ["0:00 min", "10:00 min", "20:00 min"]
    assert made.marked[0].width == 0.4
    assert made.marked[0].left + made.marked[0].width <= 100
    assert not made.marked[0].labelled
    assert (made.low, made.high) == (None, None)


def test_pins_that_would_cover_each_other_are_one():
    made = timeline_of([], [], [], [1.0, 5.0, 5.2, 5.4, 9.0], None, 10.0)
    assert made is not None
    assert [(pin.left, pin.text) for pin in made.moments] == [(10, "1"), (52, "2–4"), (90, "5")]


def test_what_has_no_length_has_no_timeline():
    assert timeline_of([], [], [], [], None, None) is None
    assert timeline_of([], [], [], [], None, 0.0) is None
