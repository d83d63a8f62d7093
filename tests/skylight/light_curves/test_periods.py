"""The period search on synthetic light curves of known period, and the phases of folding."""

import numpy as np
import pytest

from skylight.light_curves.curve import light_curve
from skylight.light_curves.periods import best_period, phase


def observed(shape, period, points=200, error=0.02, seed=0):
    """Observe a function of the phase at random nights of four years, always within a quarter of the night."""
    rng = np.random.default_rng(seed)
    time = 53_000 + rng.integers(0, 1_400, points) + rng.uniform(0, 0.25, points)
    mag = 15 + shape(time / period % 1) + rng.normal(0, error, points)
    return light_curve(time, mag, np.full(points, error))


def sinusoid(x):
    return 0.4 * np.sin(2 * np.pi * x)


def eclipses(depth, other, width):
    """Return two eclipses of triangular shape, at phases 0 and 0.5."""

    def shape(x):
        first, second = np.minimum(x, 1 - x), np.abs(x - 0.5)
        return depth * np.clip(1 - first / width, 0, None) + other * np.clip(1 - second / width, 0, None)

    return shape


@pytest.mark.parametrize("period", [0.31, 0.567, 3.3, 41.0, 320.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_period_of_a_sinusoid(period, seed):
    curve = observed(sinusoid, period, seed=seed)
    span = np.ptp(curve.time)
    # Two frequencies closer than a fifth of 1 / span cannot be told apart.
    assert 1 / best_period(curve, "RRc") == pytest.approx(1 / period, abs=0.2 / span)


@pytest.mark.parametrize(
    ("class_name", "shape", "period"),
    [("EW", eclipses(0.5, 0.45, 0.2), 0.35), ("EA", eclipses(0.8, 0.7, 0.1), 2.71)],
)
def test_an_eclipsing_binary_has_two_eclipses_per_period(class_name, shape, period):
    curve = observed(shape, period, points=300)
    span = np.ptp(curve.time)
    assert 1 / best_period(curve, class_name) == pytest.approx(1 / period, abs=0.2 / span)
    # As another class the same light curve has half of that period: it is doubled for eclipsing binaries alone.
    assert best_period(curve, "RRc") == pytest.approx(best_period(curve, class_name) / 2, rel=1e-9)


def test_phases_are_fractions_of_the_period_from_the_faintest_points():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 100, 400))
    folded = phase(time, 2.5, 15 + np.cos(2 * np.pi * (time - 0.7) / 2.5))  # minimum light at 0.7, 3.2, ... days
    assert ((folded >= 0) & (folded < 1)).all()
    expected = (time - 0.7) / 2.5 % 1
    distance = np.abs(folded - expected)
    assert np.minimum(distance, 1 - distance).max() < 0.05
    steps = (np.diff(folded) - np.diff(time) / 2.5) % 1
    assert np.allclose(np.minimum(steps, 1 - steps), 0, atol=1e-9)


def test_one_outlier_does_not_move_phase_0():
    time = np.arange(50) / 50
    mag = 15 + np.cos(2 * np.pi * time)
    mag[25] = 20
    assert phase(time, 1, mag)[25] == pytest.approx(0.5, abs=0.05)
