"""The figures of an estimator against their definitions."""

import numpy as np
import pandas as pd
import pytest

from skylight.evaluation.bootstrap import correlation, correlations, resamples, sample_counts
from skylight.galaxies import length_scores as lengths
from skylight.galaxies.catalogue import catalogue_arcsec, to_kpc


@pytest.fixture
def catalogue():
    rng = np.random.default_rng(0)
    count = 300
    scaled, size, scale = rng.uniform(0.2, 1, count), rng.uniform(6, 25, count), rng.uniform(0.4, 0.8, count)
    table = pd.DataFrame({"length_scaled": scaled, "PETROR90_R": size, "length_avg": 2 * scaled * size * scale})
    return table.assign(length_stdev=0.15 * table["length_avg"], bar_meas=4)


def test_people_agree_with_themselves(catalogue):
    people = catalogue_arcsec(catalogue)
    assert np.allclose(to_kpc(people, catalogue), catalogue["length_avg"])
    figures = lengths.compare(people, catalogue, 3 * people, sample_counts(300, 20, 0))
    assert figures["correlation"] == pytest.approx(1)
    assert figures["correlation_true"] == pytest.approx(1)
    assert figures["rmse"] == pytest.approx(0, abs=1e-9)
    assert lengths.scale_factor(people / 1.7, catalogue) == pytest.approx(1.7)


def test_correlation_and_its_bootstrap_error(catalogue):
    people = catalogue_arcsec(catalogue)
    measured = people + np.random.default_rng(1).normal(0, people.std(), 300)
    figures = lengths.compare(measured, catalogue, None, sample_counts(300, 2000, 0))
    r = np.corrcoef(measured, people)[0, 1]
    assert figures["correlation"] == pytest.approx(r)
    assert figures["correlation_error"] == pytest.approx((1 - r**2) / np.sqrt(300), rel=0.25)
    assert "correlation_true" not in figures


def test_the_sums_of_a_bootstrap_sample_are_those_of_its_galaxies(catalogue):
    people = catalogue_arcsec(catalogue)
    measured = people + np.random.default_rng(5).normal(0, 2, 300)
    drawn = resamples(300, 4, 7)
    assert np.allclose(
        correlations(measured, people, sample_counts(300, 4, 7)),
        [np.corrcoef(measured[sample], people[sample])[0, 1] for sample in drawn],
    )
    assert np.isnan(correlation(np.ones(300), people))
    alone = np.zeros((2, 300))
    alone[0, 5], alone[1, :] = 300, 1
    assert np.isnan(correlations(measured, people, alone)).tolist() == [True, False]


def test_sizes_alone_raise_one_correlation_and_not_the_other(catalogue):
    figures = lengths.compare(
        catalogue["PETROR90_R"].to_numpy() * np.random.default_rng(2).normal(1, 0.01, 300),
        catalogue, None, sample_counts(300, 20, 0),
    )  # fmt: skip
    assert figures["correlation"] > 0.5
    assert abs(figures["correlation_scaled"]) < 0.2


def test_the_gain_of_a_better_estimator(catalogue):
    people, rng = catalogue_arcsec(catalogue), np.random.default_rng(3)
    better, worse = people + rng.normal(0, 3, 300), people + rng.normal(0, 12, 300)
    gain = lengths.difference(better, worse, catalogue, sample_counts(300, 500, 0))
    expected = np.corrcoef(better, people)[0, 1] - np.corrcoef(worse, people)[0, 1]
    assert gain["correlation_gain"] == pytest.approx(expected)
    assert gain["correlation_gain"] > 3 * gain["correlation_gain_error"] > 0
    size = catalogue["PETROR90_R"].to_numpy()
    scaled = [np.corrcoef(lengths_ / size, people / size)[0, 1] for lengths_ in (better, worse)]
    assert gain["correlation_scaled_gain"] == pytest.approx(scaled[0] - scaled[1])
    same = lengths.difference(better, better, catalogue, sample_counts(300, 50, 0))
    assert set(same) == {f"correlation{which}_gain{error}" for which in ("", "_scaled") for error in ("", "_error")}
    assert not any(same.values())


def test_the_best_row_is_that_of_the_largest_correlation():
    tried = pd.DataFrame({"model": ["a", "b", "c"], "correlation": [0.3, 0.9, np.nan], "rmse": [1.0, 9.0, 0.1]})
    assert lengths.best(tried)["model"] == "b"


def test_the_ceiling(catalogue):
    noise = 0.15 * catalogue["length_avg"] / 2
    assert lengths.ceiling(catalogue)["rmse"] == pytest.approx(np.sqrt((noise**2).mean()))
    rng = np.random.default_rng(4)
    repeats = [
        np.corrcoef(catalogue["length_avg"], catalogue["length_avg"] - rng.normal(0, noise))[0, 1] for _ in range(50)
    ]
    assert lengths.ceiling(catalogue)["correlation"] == pytest.approx(np.mean(repeats), abs=0.01)
