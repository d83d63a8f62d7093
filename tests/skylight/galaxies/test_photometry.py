"""Fluxes are read back from colour pictures, and galaxies are measured on them."""

import numpy as np
import pytest

from skylight.galaxies.images import NATIVE_SCALE, colour_picture
from skylight.galaxies.photometry import BRIGHTNESS, fluxes, measure

Y, X = np.mgrid[:96, :96] - 47.5


def picture(g: float, r: float, i: float, radius: float) -> np.ndarray:
    """Return the picture of an exponential disc with given total fluxes (nanomaggies) and scale length (pixels)."""
    light = np.exp(-np.hypot(X, Y) / radius)
    light /= light.sum()
    return colour_picture(BRIGHTNESS * np.multiply.outer([g, r, i], light))


def test_fluxes_are_those_that_the_picture_was_made_of():
    bands = np.random.default_rng(0).uniform(0.05, 1.0, (3, 20, 20))
    found = fluxes(colour_picture(BRIGHTNESS * bands))
    assert np.abs(found / np.moveaxis(bands, 0, -1) - 1).max() < 0.15  # 8 bits
    assert np.median(np.abs(found / np.moveaxis(bands, 0, -1) - 1)) < 0.02


@pytest.mark.parametrize("radius", [3.0, 5.0])
def test_colour_size_and_brightness_are_measured(radius):
    table = measure(np.stack([picture(50, 100, 140, radius), picture(90, 100, 105, radius)]))
    assert table["g_r"].to_numpy() == pytest.approx([2.5 * np.log10(2), 2.5 * np.log10(100 / 90)], abs=0.03)
    assert table["r_i"].to_numpy() == pytest.approx([2.5 * np.log10(1.4), 2.5 * np.log10(1.05)], abs=0.03)
    assert table["r50"].to_numpy() == pytest.approx(1.678 * radius * NATIVE_SCALE, rel=0.08)
    assert table["r"].to_numpy() == pytest.approx(17.5, abs=0.15)
    expected = table["r"] + 2.5 * np.log10(2 * np.pi * table["r50"] ** 2)
    assert np.allclose(table["surface"], expected)


def test_an_empty_picture_has_finite_measures():
    assert np.isfinite(measure(np.zeros((1, 96, 96, 3), np.uint8)).to_numpy()).all()
