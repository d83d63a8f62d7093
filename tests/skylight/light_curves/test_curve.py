"""Rows that are no measurements are dropped and counted; what is left is sorted."""

import numpy as np
import pytest

from skylight.light_curves import curve
from skylight.light_curves.curve import BadLightCurve, Ranges, light_curve, with_noise

TIME = 58000 + 0.7 * np.arange(40)
MAG = 15 + 0.3 * np.sin(np.arange(40))
ERR = np.full(40, 0.02)


def with_rows(time, mag, magerr, count=1):
    rows = [np.r_[TIME, [time] * count], np.r_[MAG, [mag] * count], np.r_[ERR, [magerr] * count]]
    return [column[np.random.default_rng(0).permutation(len(column))] for column in rows]


@pytest.mark.parametrize(
    ("row", "ranges", "reason"),
    [
        ((58030.5, 99.999, 0.02), Ranges(mag=(-5, 40)), "mag_range"),
        ((58030.5, -99, 0.02), Ranges(mag=(-5, 40)), "mag_range"),
        ((58030.5, 15, 9.999), Ranges(magerr=(0, 9)), "magerr_range"),
        ((58030.5, 15, -1), Ranges(magerr=(0, 9)), "magerr_range"),
        ((50000, 15, 0.02), Ranges(time=(58000, 59000)), "time_range"),
        ((50000, 99.999, 9.999), Ranges((58000, 59000), (-5, 40), (0, 9)), "time_range"),
    ],
)
def test_rows_outside_of_a_range_are_dropped_and_counted(row, ranges, reason):
    found = light_curve(*with_rows(*row, 10), ranges)
    assert found.dropped == {reason: 10}
    assert np.array_equal(found.time, TIME) and np.array_equal(found.mag, MAG)


def test_the_limits_of_a_range_are_inside():
    found = light_curve([1, 2, 3], [-5, 40, 41], [0, 9, 1], Ranges(mag=(-5, 40), magerr=(0, 9)))
    assert found.mag.tolist() == [-5, 40] and found.dropped == {"mag_range": 1}


def test_exact_copies_are_dropped_and_rows_that_differ_in_one_value_are_not():
    rows = [np.r_[column, column[::-1]] for column in (TIME, MAG, ERR)]
    found = light_curve(*rows)
    assert len(found) == 40 and found.dropped == {"duplicates": 40}
    assert len(light_curve([1, 1, 1, 1], [2, 2, 2, 3], [0.1, 0.2, 0.1, 0.1])) == 3


def test_the_order_of_the_rows_does_not_matter():
    rows = np.array([[1, 1, 1, 2], [5, 5, 4, 3], [0.2, 0.1, 0.3, 0.1]])
    first = light_curve(*rows)
    for _ in range(5):
        other = light_curve(*rows[:, np.random.default_rng().permutation(4)])
        assert all(np.array_equal(getattr(first, name), getattr(other, name)) for name in ("time", "mag", "magerr"))
    assert first.magerr.tolist() == [0.3, 0.1, 0.2, 0.1]


def test_too_few_points_say_what_was_dropped():
    with pytest.raises(BadLightCurve, match=r"^fewer than two points \(1; 2 dropped: mag_range; 3 dropped: limits\)$"):
        light_curve([1, 2, 3], [99, 99, 15], [0, 0, 0], Ranges(mag=(-5, 40)), limits=3)


def test_a_value_that_is_no_number_counts_only_in_the_rows_that_are_kept():
    with pytest.raises(BadLightCurve, match="mag is not finite in row 3"):
        light_curve([1, 2, 3], [15, 15, np.nan], [0, 0, 0], Ranges(time=(0, 10)))
    assert len(light_curve([1, 2, 30], [15, 15, np.nan], [0, 0, 0], Ranges(time=(0, 10)))) == 2
    with pytest.raises(BadLightCurve, match="mag is not finite in row 3"):
        light_curve([1, 2, 3], [15, 15, np.inf], [0, 0, 0], Ranges(mag=(-5, 40)))


def test_too_many_points_are_refused_before_their_pairs_are_counted():
    many = np.arange(curve.MAX_POINTS + 1.0)
    with pytest.raises(BadLightCurve, match=r"more than 20,000 points \(20,001\)"):
        light_curve(many, np.full(len(many), 15), many * 0)
    assert len(light_curve(many, np.full(len(many), 15), many * 0, Ranges(time=(0, 99)))) == 100


def test_times_of_32_bits_are_refused_where_they_merge_epochs():
    with pytest.raises(BadLightCurve, match=r"time has type float32, whose steps at 58027\.3 are 338 s; use 64 bits"):
        light_curve(TIME.astype(np.float32), MAG, ERR)
    assert len(light_curve((TIME - 58000).astype(np.float32), MAG, ERR)) == 40


def test_noise_keeps_times_and_errors():
    plain = light_curve(*with_rows(58030.5, 99, 0, 1), Ranges(mag=(-5, 40)))
    noisy = with_noise(plain, np.random.default_rng(0), 1 / 3)
    assert np.array_equal(noisy.time, TIME) and np.array_equal(noisy.magerr, ERR)
    assert 0 < np.std(noisy.mag - MAG) < 0.02
    assert noisy.dropped == {}, "rows of a copy are not counted again"


def test_rows_are_sorted_by_time_and_then_by_magnitude():
    found = light_curve([2, 1, 1], [10, 12, 11], [0.1, 0.2, 0.3])
    assert found.time.tolist() == [1, 1, 2]
    assert found.mag.tolist() == [11, 12, 10]
    assert found.magerr.tolist() == [0.3, 0.2, 0.1]


def test_noise_is_a_fraction_of_the_error_of_each_magnitude():
    plain = light_curve(np.arange(20_000), np.full(20_000, 15.0), np.repeat([0.3, 3.0], 10_000))
    noisy = with_noise(plain, np.random.default_rng(0), 1 / 3)
    assert np.std(noisy.mag[:10_000]) == pytest.approx(0.1, rel=0.05)
    assert np.std(noisy.mag[10_000:]) == pytest.approx(1.0, rel=0.05)
    assert np.mean(noisy.mag - plain.mag) == pytest.approx(0, abs=0.03)
