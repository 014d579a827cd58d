"""Windows and patches: by time, at native scale, away from corners, in bounded memory."""

import numpy as np
import pytest

from countermark.detect.patches import PATCHES, SIDE, SMALLEST, WINDOW, Sampler, Window, triple


def _video(fps: float, seconds: float, height: int = 240, width: int = 320, seed: int = 0):
    """A texture that glides to the right, 60 pixels a second, as frames with times."""
    import cv2

    rng = np.random.default_rng(seed)
    wide = rng.integers(0, 256, (height // 4, (width + 400) // 4, 3), np.uint8)
    ground = cv2.resize(wide, (width + 400, height), interpolation=cv2.INTER_CUBIC)
    for i in range(int(fps * seconds + 1e-6)):
        x = round(60 * i / fps) % 400
        yield i / fps, np.ascontiguousarray(ground[:, x : x + width])


def _windows(frames) -> list[Window]:
    sampler = Sampler()
    found = [w for time, rgb in frames if (w := sampler.add(time, rgb)) is not None]
    last = sampler.finish()
    return found + ([last] if last is not None else [])


@pytest.mark.parametrize("fps", [6, 8, 10, 12, 15, 16, 24, 25, 30, 60])
def test_the_gap_between_frames_hardly_depends_on_the_rate(fps: int):
    windows = _windows(_video(fps, 2.0))
    assert 3 <= len(windows) <= 4
    for window in windows:
        before, after = np.diff(window.times)
        assert 0.09 <= before <= 0.21, (fps, window.times)
        assert before == pytest.approx(after, abs=0.051)


def test_patches_are_cut_where_they_say_and_never_resized():
    frames = dict(_video(16, 0.5))
    (window,) = _windows(frames.items())
    assert window.luma.shape == (PATCHES, 3, SIDE, SIDE)
    assert window.chroma.shape == (PATCHES, 3, 2, SIDE // 2, SIDE // 2)
    for (top, left), patch in zip(window.places, window.luma, strict=True):
        for time, luma in zip(window.times, patch, strict=True):
            rgb = frames[time][top : top + SIDE, left : left + SIDE].astype(float)
            assert np.abs(rgb @ [0.299, 0.587, 0.114] - luma).max() <= 1.0


def test_patches_keep_away_from_corners():
    for window in _windows(_video(16, 1.0, 480, 640)):
        for top, left in window.places:
            at_row_end = top < 480 / 6 or top + SIDE > 480 * 5 / 6
            at_column_end = left < 640 / 6 or left + SIDE > 640 * 5 / 6
            assert not (at_row_end and at_column_end)


def test_frames_that_repeat_the_one_before_do_not_count():
    """A clip of 8 frames a second in a file of 24 is seen as what it is."""
    slow = list(_video(8, 2.0))
    tripled = [(time + d / 24, rgb) for time, rgb in slow for d in range(3)]
    for ours, theirs in zip(_windows(slow), _windows(tripled), strict=True):
        assert ours.times == pytest.approx(theirs.times)
        assert np.array_equal(ours.luma, theirs.luma)


def test_a_still_picture_still_gives_windows():
    _, rgb = next(iter(_video(16, 0.1)))
    assert len(_windows((i / 16, rgb) for i in range(16))) == 2


def test_a_long_video_is_not_kept():
    sampler = Sampler()
    for time, rgb in _video(60, 20.0, 120, 160):
        sampler.add(time, rgb)
        assert len(sampler._kept) <= WINDOW / 0.038 + 1


def test_blank_and_small_frames_give_none():
    blank = np.full((240, 320, 3), 90, np.uint8)
    sampler = Sampler()
    assert _windows((i / 16, blank) for i in range(16)) == []
    for i in range(16):
        assert sampler.add(i / 16, blank) is None
    assert sampler.blank == 1
    assert _windows(_video(16, 1.0, SMALLEST - 2, 200)) == []
    assert len(_windows(_video(16, 1.0, SMALLEST, 200))) == 2


def test_letterbox_bars_are_not_looked_at():
    def boxed():
        for time, rgb in _video(16, 0.5, 480, 640):
            rgb[:120], rgb[360:] = 0, 0
            yield time, rgb

    (window,) = _windows(boxed())
    assert all(top + SIDE > 120 and top < 360 for top, _ in window.places)


def test_three_frames_are_chosen_evenly():
    assert triple([0.0, 0.1], 0.14) is None
    assert triple([i / 30 for i in range(15)], 4 / 30) == (3, 7, 11)
    times = [0.0, 0.167, 0.333]
    assert triple(times, 0.14) == (0, 1, 2)


def test_windows_can_be_spread_over_a_long_file():
    sampler = Sampler(every=2.0)
    found = [w for time, rgb in _video(16, 8.0, 120, 160) if (w := sampler.add(time, rgb)) is not None]
    assert [w.start for w in found] == [0.0, 2.0, 4.0, 6.0]
