"""Hand statistics: their names, their bounds, and what must not move them."""

import numpy as np
import pytest

from countermark.detect.features import MOTION, NAMES, clip_features, cube_features, motion_features
from countermark.detect.patches import Sampler


@pytest.fixture(scope="module")
def cubes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    luma = np.clip(rng.normal(120, 12, (4, 3, 96, 96)), 0, 255).astype(np.uint8)
    return luma, np.clip(rng.normal(128, 4, (4, 3, 2, 48, 48)), 0, 255).astype(np.uint8)


def test_there_is_one_figure_a_name(cubes):
    assert len(set(NAMES)) == len(NAMES)
    assert cube_features(*cubes).shape == (4, len(NAMES) - len(MOTION))
    assert motion_features(np.zeros((3, 64, 64), np.uint8)).shape == (len(MOTION),)


def test_they_are_finite_on_the_emptiest_picture():
    flat = np.zeros((2, 3, 96, 96), np.uint8), np.full((2, 3, 2, 48, 48), 128, np.uint8)
    assert np.isfinite(cube_features(*flat)).all()
    assert np.isfinite(motion_features(np.full((3, 64, 64), 255, np.uint8))).all()


def test_patches_are_judged_alone(cubes):
    luma, chroma = cubes
    whole = cube_features(luma, chroma)
    for i in range(len(luma)):
        assert np.allclose(cube_features(luma[i : i + 1], chroma[i : i + 1])[0], whole[i], atol=1e-3)


def test_a_grid_of_eight_pixels_shows_as_a_peak(cubes):
    luma, chroma = cubes
    at = NAMES.index("s.h8")
    grid = luma.copy()
    grid[..., ::8] = np.clip(grid[..., ::8].astype(int) + 40, 0, 255)
    assert (cube_features(grid, chroma)[:, at] > cube_features(luma, chroma)[:, at] + 2).all()


def test_noise_that_stays_is_told_from_noise_that_changes(cubes):
    luma, chroma = cubes
    still = np.repeat(luma[:, 1:2], 3, 1)
    same, ratio = NAMES.index("t.same1"), NAMES.index("t.first")
    assert (cube_features(still, chroma)[:, same] > 0.99).all()
    assert (np.abs(cube_features(luma, chroma)[:, same]) < 0.1).all()
    assert (cube_features(still, chroma)[:, ratio] < cube_features(luma, chroma)[:, ratio] - 3).all()


def test_the_frame_rate_does_not_show(clip):
    """The same motion, seen 24 and 12 times a second, gives the same windows and so the same figures."""
    frames = clip(48)

    def windows(step: int):
        sampler = Sampler(gap=1 / 6)
        found = [w for i in range(0, 48, step) if (w := sampler.add(i / 24, frames[i])) is not None]
        return [*found, sampler.finish()]

    fast, slow = clip_features(windows(1)), clip_features(windows(2))
    assert np.abs(fast[0] - slow[0]).max() < 0.6
    with pytest.raises(ValueError, match="without windows"):
        clip_features([])
