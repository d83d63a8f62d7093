"""The cadence and the errors of the simulated surveys."""

import numpy as np
import pytest

from skylight.simulations import crts, ptf, ztf
from skylight.simulations.photometry import PUBLISHED, class_counts, observe, shuffled_classes, simulate

BAND = crts.DESIGN.bands[0]


def observed(index, name, light):
    return light


@pytest.fixture(scope="module")
def light_curves() -> list:
    names = [name for name in PUBLISHED for _ in range(12)]
    return simulate(crts.DESIGN, names, observed, seed=3, workers=1)


def test_crts_light_curves_have_60_to_450_points_over_eight_years(light_curves):
    points = [len(light.time) for light in light_curves]
    assert 60 <= min(points) <= max(points) <= 450
    assert 200 < np.median(points) < 330
    assert 7 < np.median([np.ptp(light.time) for light in light_curves]) / 365 < 8.6


def test_crts_exposes_four_times_about_ten_minutes_apart(light_curves):
    for light in light_curves:
        gaps = np.diff(light.time)
        assert (gaps > 0).all()
        within = gaps < 0.1
        assert 5 < np.median(gaps[within]) * 24 * 60 < 15
        visits = np.split(light.time, np.flatnonzero(~within) + 1)
        sizes = np.bincount([len(visit) for visit in visits])
        assert len(sizes) == 5 and sizes.argmax() == 4, "mostly four, and never more"
        assert gaps[~within].min() > 2, "then days to weeks"


def test_crts_stars_are_not_observed_for_part_of_each_year(light_curves):
    for light in light_curves:
        day_of_year = np.sort(light.time % 365.25)
        longest = max(np.diff(day_of_year).max(), 365.25 - np.ptp(day_of_year))
        assert longest > 100


def test_errors_grow_with_magnitude_and_are_too_large_for_bright_stars():
    mag = np.arange(12, 20.1, 0.5)
    assert (np.diff(BAND.noise.error(mag)) > 0).all()
    assert (np.diff(BAND.noise.scatter(mag)) > 0).all()
    # Three light curves of the second data release.
    np.testing.assert_allclose(BAND.noise.error([13.05, 15.67, 17.4]), [0.0515, 0.0635, 0.091], rtol=0.1)
    assert BAND.noise.error(13.0) > 4 * BAND.noise.scatter(13.0)


def test_measurements_have_the_scatter_of_the_noise_model_and_a_few_outliers():
    rng = np.random.default_rng(0)
    truth, visit = np.full(40_000, 17.0), np.arange(40_000)
    measured, error, detected = BAND.noise.measure(truth, visit, rng)
    off = measured - truth
    expected = np.hypot(BAND.noise.scatter(17.0), BAND.noise.visit)
    assert np.ptp(np.percentile(off, [16, 84])) / 2 == pytest.approx(expected, rel=0.03)
    assert 0.002 < np.mean(np.abs(off) > 6 * expected) < 0.008
    assert np.median(error) == pytest.approx(BAND.noise.error(17.0), rel=0.02)
    assert detected.mean() > 0.999


def test_no_magnitude_is_measured_beyond_the_limits():
    truth = np.linspace(BAND.noise.bright - 2, BAND.noise.faint + 2, 500)
    measured, _, detected = BAND.noise.measure(truth, np.arange(500), np.random.default_rng(0))
    assert BAND.noise.bright < measured[detected].min() < measured[detected].max() < BAND.noise.faint
    assert 0.6 < detected.mean() < 0.8


def test_classes_have_the_published_fractions():
    assert class_counts(45630) == PUBLISHED
    assert class_counts(0.15 * 45630)["EW"] == 4589
    assert min(class_counts(10).values()) == 1, "at least one of each"
    names = shuffled_classes(700, seed=1)
    assert {name: names.count(name) for name in PUBLISHED} == class_counts(700)


@pytest.mark.slow
def test_light_curves_do_not_depend_on_the_number_of_processes():
    names = shuffled_classes(450, seed=2)  # more than two chunks of work
    one = simulate(crts.DESIGN, names, observed, seed=5, workers=1)
    two = simulate(crts.DESIGN, names, observed, seed=5, workers=2)
    for light, same in zip(one, two, strict=True):
        np.testing.assert_array_equal(light.time, same.time)
        np.testing.assert_array_equal(light.mag, same.mag)


def test_another_seed_gives_other_stars():
    first, other = (simulate(crts.DESIGN, ["EW"], observed, seed=seed, workers=1)[0] for seed in (0, 1))
    assert abs(first.time[0] - other.time[0]) > 0


@pytest.mark.parametrize("module", [ztf, ptf])
def test_pulsating_stars_vary_less_in_the_redder_band(module):
    bands = {band.passband: index for index, band in enumerate(module.DESIGN.bands)}
    ratios = []
    for star in range(25):
        light = observe(module.DESIGN, "RRab", np.random.default_rng([9, star]))
        spread = {p: np.ptp(np.percentile(light.mag[light.band == i], [10, 90])) for p, i in bands.items()}
        ratios.append(spread["r"] / spread["g"])
    assert 0.6 < np.median(ratios) < 0.85
