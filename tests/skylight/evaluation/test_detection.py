"""Error rates against counts by hand."""

import numpy as np
import pytest

from skylight.evaluation.bootstrap import resamples
from skylight.evaluation.detection import accuracy_gain, rates, rates_by_snr, rates_with_errors, trade_off

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.5, 0.4, 0.8, 0.1, 0.6, 0.2, 0.3, 0.0, 0.49])


def test_rates_are_shares_of_the_candidates():
    assert rates(LABELS, SCORES) == {"accuracy": 0.8, "fnr": 0.25, "fpr": 1 / 6}
    assert np.isnan(rates(LABELS[:4], SCORES[:4])["fpr"])


def test_bootstrap_errors_agree_with_the_binomial_distribution():
    rng = np.random.default_rng(0)
    labels, right = rng.integers(0, 2, 2000), rng.random(2000) < 0.9
    scores = np.where(right, labels, 1 - labels).astype(float)
    found = rates_with_errors(labels, scores, resamples(2000, 500, 0))
    assert found["accuracy_error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 2000), rel=0.15)
    assert found["fnr_error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 1000), rel=0.2)


def test_a_gain_is_measured_on_the_same_candidates():
    samples = resamples(10, 4000, 0)
    assert accuracy_gain(LABELS, SCORES, SCORES, samples) == {"accuracy_gain": 0, "accuracy_gain_error": 0}
    gain = accuracy_gain(LABELS, LABELS.astype(float), SCORES, samples)
    assert gain["accuracy_gain"] == pytest.approx(0.2)
    assert gain["accuracy_gain_error"] == pytest.approx(np.sqrt(0.2 * 0.8 / 10), rel=0.1)


def test_the_trade_off_has_the_rates_of_every_threshold():
    curve = trade_off(LABELS, SCORES)
    assert len(curve) >= 5 and (np.diff(curve["fpr"]) <= 0).all() and (np.diff(curve["fnr"]) >= 0).all()
    for row in curve.itertuples():
        expected = rates(LABELS, SCORES, row.threshold)
        assert np.allclose((row.fpr, row.fnr), (expected["fpr"], expected["fnr"]))


def test_each_bin_of_snr_has_the_rates_of_its_candidates():
    snr = np.array([3, 4, 5, 9, 3, 4, 7, 8, 9, 30])
    table = rates_by_snr(LABELS, SCORES, snr, [3, 5, 10, 20])
    assert list(table["real"]) == [2, 2, 0] and list(table["artifacts"]) == [2, 3, 0]
    assert list(table["fnr"][:2]) == [0, 0.5] and list(table["fpr"][:2]) == [0.5, 0]
    assert np.isnan(table["fnr"][2]) and (table["fnr_error"][:2] > 0).all()
