"""The rule of the subcategories, on triplets made so that each answer is known."""

import numpy as np
import pytest

from skylight import params
from skylight.alerts.subcategories import NONE, central_peak, sky, subcategory
from skylight.alerts.triplets import FILLING, normalised

RULE = params.load().realbogus.subcategories
Y, X = np.mgrid[:63, :63] - 31


def source(x=0.0, y=0.0, height=0.0, width=1.0, long=1.0):
    return height * np.exp(-((X - x) ** 2) / (2 * (width * long) ** 2) - (Y - y) ** 2 / (2 * width**2))


def made(peak=0.0, neighbours=0, long=1.0, seed=0):
    """A triplet of noise 1 on a sky of 100, with a source in the middle and bright ones around it."""
    rng = np.random.default_rng(seed)
    static = sum((source(*rng.choice([-22, -15, 15, 22], 2), 300, 1.5) for _ in range(neighbours)), np.zeros((63, 63)))
    candidate = source(height=peak, long=long)
    images = [100 + static + candidate, 100 + static, candidate]
    return np.stack([normalised(image + rng.standard_normal((63, 63))) for image in images], axis=-1)


@pytest.mark.parametrize(
    ("peak", "neighbours", "long", "name"),
    [
        (50, 0, 1.0, "real_mixture"),
        (50, 6, 1.0, "real_central"),
        (2, 0, 1.0, "real_modulo_noise"),
        (50, 0, 3.0, "real_modulo_noise"),  # a peak, but not round
        (2, 6, 1.0, NONE),
        (50, 6, 3.0, NONE),
    ],
)
def test_reals_are_told_apart_by_peak_and_surroundings(peak, neighbours, long, name):
    assert [subcategory(made(peak, neighbours, long, seed), True, RULE) for seed in range(5)] == [name] * 5


def test_a_peak_off_the_middle_is_not_central():
    triplet = made()
    triplet[..., 2] += normalised(source(8, 8, 1.0))
    assert central_peak(triplet[..., 2])[0] < RULE.peak_snr


@pytest.mark.parametrize("channel", range(3))
def test_boguses_are_told_apart_by_what_is_masked_or_missing(channel):
    for value in (0, FILLING):
        triplet = made(30, 2)
        assert subcategory(triplet, False, RULE) == "bogus_non_blanked"
        triplet[:4, :4, channel] = value  # 16 of 3,969 pixels
        assert subcategory(triplet, False, RULE) == "bogus_non_blanked"
        triplet[:6, :6, channel] = value
        assert subcategory(triplet, False, RULE) == "bogus_blanked"


def test_flat_and_empty_images_have_no_peak():
    for pixels in (np.zeros((63, 63)), np.full((63, 63), 1.0), np.full((63, 63), FILLING)):
        assert central_peak(pixels)[1] == 0.0
    assert sky(np.zeros((63, 63))) == (0.0, 0.0)
    assert subcategory(np.zeros((63, 63, 3), np.float32), True, RULE) == "real_modulo_noise"


def test_the_sky_is_measured_without_the_sources():
    pixels = np.random.default_rng(0).normal(5, 2, (63, 63)) + source(0, 0, 500, 3)
    level, noise = sky(pixels)
    assert abs(level - 5) < 0.2 and abs(noise - 2) < 0.15
