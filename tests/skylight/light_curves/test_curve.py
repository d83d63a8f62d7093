"""A light curve is sorted by time, finite, and has at least two points."""

import numpy as np
import pytest

from skylight.light_curves.curve import BadLightCurve, light_curve, with_noise


def test_rows_are_sorted_by_time_and_then_by_magnitude():
    curve = light_curve([2, 1, 1], [10, 12, 11], [0.1, 0.2, 0.3])
    assert curve.time.tolist() == [1, 1, 2]
    assert curve.mag.tolist() == [11, 12, 10]
    assert curve.magerr.tolist() == [0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (([1], [10], [0.1]), r"fewer than two points \(1\)"),
        (([1, np.nan], [10, 11], [0.1, 0.1]), "time is not finite in row 2"),
        (([1, 2], [np.inf, 11], [0.1, 0.1]), "mag is not finite in row 1"),
        (([1, 2], [10, 11], [0.1, np.nan]), "magerr is not finite in row 2"),
    ],
)
def test_a_light_curve_that_cannot_be_used_has_a_reason(columns, reason):
    with pytest.raises(BadLightCurve, match=reason):
        light_curve(*columns)


def test_noise_is_a_fraction_of_the_error_of_each_magnitude():
    curve = light_curve(np.arange(20_000), np.full(20_000, 15.0), np.repeat([0.3, 3.0], 10_000))
    noisy = with_noise(curve, np.random.default_rng(0), 1 / 3)
    assert np.array_equal(noisy.time, curve.time)
    assert np.std(noisy.mag[:10_000]) == pytest.approx(0.1, rel=0.05)
    assert np.std(noisy.mag[10_000:]) == pytest.approx(1.0, rel=0.05)
    assert np.mean(noisy.mag - curve.mag) == pytest.approx(0, abs=0.03)
