"""The scores of an estimator against their definitions, and the choice of settings."""

import numpy as np
import pandas as pd
import pytest

from skylight.evaluation.bootstrap import sample_counts
from skylight.galaxies import length_scores as lengths
from skylight.galaxies.catalogue import catalogue_arcsec, to_kpc


@pytest.fixture
def catalogue():
    rng = np.random.default_rng(0)
    count = 300
    scaled, size, scale = rng.uniform(0.2, 1, count), rng.uniform(6, 25, count), rng.uniform(0.4, 0.8, count)
    table = pd.DataFrame({"length_scaled": scaled, "PETROR90_R": size, "length_avg": 2 * scaled * size * scale})
    return table.assign(length_stdev=0.15 * table["length_avg"], bar_meas=4)


def test_the_lengths_of_people_agree_with_themselves(catalogue):
    people = catalogue_arcsec(catalogue)
    assert np.allclose(to_kpc(people, catalogue), catalogue["length_avg"])
    scores = lengths.compare(people, catalogue, 3 * people, sample_counts(300, 20, 0))
    assert scores["correlation"] == pytest.approx(1)
    assert scores["correlation_true"] == pytest.approx(1)
    assert scores["rmse"] == pytest.approx(0, abs=1e-9)
    assert lengths.scale_factor(people / 1.7, catalogue) == pytest.approx(1.7)


def test_correlation_and_its_bootstrap_error(catalogue):
    people = catalogue_arcsec(catalogue)
    measured = people + np.random.default_rng(1).normal(0, people.std(), 300)
    scores = lengths.compare(measured, catalogue, None, sample_counts(300, 2000, 0))
    r = np.corrcoef(measured, people)[0, 1]
    assert scores["correlation"] == pytest.approx(r)
    assert scores["correlation_error"] == pytest.approx((1 - r**2) / np.sqrt(300), rel=0.25)
    assert "correlation_true" not in scores


def test_the_scaled_correlation_does_not_rise_with_the_sizes_alone(catalogue):
    scores = lengths.compare(
        catalogue["PETROR90_R"].to_numpy() * np.random.default_rng(2).normal(1, 0.01, 300),
        catalogue, None, sample_counts(300, 20, 0),
    )  # fmt: skip
    assert scores["correlation"] > 0.5
    assert abs(scores["correlation_scaled"]) < 0.2


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


def test_the_ceiling_is_the_correlation_of_repeated_measurements(catalogue):
    noise = 0.15 * catalogue["length_avg"] / 2
    assert lengths.ceiling(catalogue)["rmse"] == pytest.approx(np.sqrt((noise**2).mean()))
    rng = np.random.default_rng(4)
    repeats = [
        np.corrcoef(catalogue["length_avg"], catalogue["length_avg"] - rng.normal(0, noise))[0, 1] for _ in range(50)
    ]
    assert lengths.ceiling(catalogue)["correlation"] == pytest.approx(np.mean(repeats), abs=0.01)


GRID = {"corr_threshold": [0.8, 0.9], "len_threshold": [10, 20, 30], "xinput": [False, True]}
NAMES = ["first", "second"]


@pytest.fixture
def measured():
    """Random lengths of two estimators at every setting, (300, 2, 2, 3, 2)."""
    return np.random.default_rng(6).uniform(1, 30, (300, 2, 2, 3, 2))


def test_a_grid_has_one_row_for_every_estimator_and_setting(catalogue, measured):
    reference = lengths.Reference(catalogue, None, sample_counts(300, 5, 0))
    table = lengths.score_grid(reference, NAMES, measured, GRID, 0.05)
    expected = []
    for e, name in enumerate(NAMES):
        for c, corr_threshold in enumerate(GRID["corr_threshold"]):
            for n, len_threshold in enumerate(GRID["len_threshold"]):
                for x, xinput in enumerate(GRID["xinput"]):
                    r = np.corrcoef(measured[:, e, c, n, x], catalogue_arcsec(catalogue))[0, 1]
                    expected.append((name, 0.05, corr_threshold, len_threshold, xinput, r))
    columns = ["model", "smooth_noise", *lengths.SETTING, "correlation"]
    assert list(table)[:6] == columns and "correlation_true" not in table
    assert table[columns[:5]].values.tolist() == [list(row[:5]) for row in expected]
    assert np.allclose(table["correlation"], [row[5] for row in expected])


def test_the_lengths_of_an_estimator_are_those_at_its_best_setting(measured):
    places = {"first": (1, 0, 1), "second": (0, 2, 1)}
    rows = []
    for e, name in enumerate(NAMES):
        for place in np.ndindex(measured.shape[2:]):
            setting = {key: GRID[key][i] for key, i in zip(lengths.SETTING, place, strict=True)}
            rows.append({"model": name, **setting, "correlation": 0.9 if place == places[name] else 0.1 * e})
    settings = lengths.best_settings(pd.DataFrame(rows), NAMES)
    assert settings == {
        "first": {"corr_threshold": 0.9, "len_threshold": 10, "xinput": True},
        "second": {"corr_threshold": 0.8, "len_threshold": 30, "xinput": True},
    }
    assert [type(value) for value in settings["first"].values()] == [float, int, bool]
    small = lengths.grid_of(settings)
    assert small == {"corr_threshold": [0.8, 0.9], "len_threshold": [10, 30], "xinput": [True]}
    chosen = lengths.at_settings(measured[:, :, :, [0, 2]][..., [1]], NAMES, small, settings)
    assert np.array_equal(chosen["first"], measured[:, 0, 1, 0, 1])
    assert np.array_equal(chosen["second"], measured[:, 1, 0, 2, 1])


def test_the_summary_compares_with_the_control_on_its_own_galaxies(catalogue):
    people, rng = catalogue_arcsec(catalogue), np.random.default_rng(8)
    table = catalogue.assign(a=people + rng.normal(0, 3, 300), control=people + rng.normal(0, 9, 300))
    shared = table[200:].reset_index(drop=True)
    everyone = lengths.Reference(table, None, sample_counts(300, 20, 0))
    tested = lengths.Reference(shared, None, sample_counts(100, 20, 0))
    setting = {"corr_threshold": 0.8, "len_threshold": 10, "xinput": False}
    rows = [everyone.score("a", table["a"], setting, 0.05), tested.score("control", shared["control"])]
    found = lengths.summary(everyone, tested, shared, pd.DataFrame(rows), "a")
    assert found["best_on_validation"] == "a" and found["galaxies"] == 300
    assert found["test"]["correlation"] == pytest.approx(np.corrcoef(table["a"], people)[0, 1])
    assert found["sizes_alone"] == pytest.approx(np.corrcoef(table["PETROR90_R"], people)[0, 1])
    both = found["on_the_control's_galaxies"]
    ours, theirs = (np.corrcoef(shared[name], people[200:])[0, 1] for name in ("a", "control"))
    assert both["galaxies"] == 100
    assert both["saliency"]["correlation"] == pytest.approx(ours)
    assert both["control"]["correlation"] == pytest.approx(theirs)
    assert both["correlation_gain"] == pytest.approx(ours - theirs)
