"""Figures against the textbook's and other libraries'."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from countermark.training._metrics import Rate, auc, auc_interval, calibration_error, clopper_pearson, rate_at


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.4
    return np.round(rng.normal(positive * 1.0, 1.0), 1), positive  # rounded: ties must count half


def test_the_interval_of_a_rate_is_exact():
    for hits, of in ((0, 10), (3, 10), (10, 10), (1, 300)):
        low, high = binomtest(hits, of).proportion_ci(method="exact")
        assert clopper_pearson(hits, of) == pytest.approx((low, high), abs=1e-9)
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert str(Rate(0, 0)) == "-"
    assert str(Rate(1, 2)).startswith("0.50 (0.01-0.99)")


def test_the_area_is_sklearns(scored):
    scores, positive = scored
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert np.isnan(auc(scores, np.zeros(400, bool)))


def test_the_interval_of_the_area_is_wider_when_groups_are_fewer(scored):
    scores, positive = scored
    many, few = np.arange(400).astype(str), (np.arange(400) % 8).astype(str)
    scores = scores + (np.arange(400) % 8) * 0.4 * np.where(positive, 1, -1)
    widths = [np.diff(auc_interval(scores, positive, group))[0] for group in (many, few)]
    assert widths[1] > 1.5 * widths[0]


def test_a_rate_at_a_share_of_false_alarms_keeps_that_share(scored):
    scores, positive = scored
    for share in (0.1, 0.05, 0.01):
        rate = rate_at(scores, positive, share)
        negative = np.sort(scores[~positive])
        loosest = negative[len(negative) - int(share * len(negative)) - 1]
        assert rate.hits == (scores[positive] > loosest).sum()
        assert (scores[~positive] > loosest).mean() <= share


def test_calibration_is_judged_in_bins():
    rng = np.random.default_rng(1)
    p = rng.random(4000)
    right = rng.random(4000) < p
    assert calibration_error(p, right) < 0.03
    assert calibration_error(p**3, right) > 0.15
