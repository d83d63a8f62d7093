"""Images whose galaxies are made equally bright, and maps that do not depend on how bright they were."""

import keras
import numpy as np
import pytest

from skylight.attribution.gradients import saliency
from skylight.galaxies.arrays import grey
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.explain import bar_heatmaps, equally_bright
from skylight.galaxies.heatmaps import min_max
from skylight.galaxies.questions import ANSWERS, BAR
from skylight.params.bars import Heatmaps

CROP, SIZE = 136, 68


@pytest.fixture(scope="module")
def galaxies():
    """Round galaxies of different sizes on a faint sky, (3, SIZE, SIZE, 3)."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    light = np.stack([np.exp(-np.hypot(x, y) / scale) for scale in (6, 10, 14)])
    sky = np.random.default_rng(0).uniform(0, 0.05, (3, SIZE, SIZE, 3))
    return np.rint(255 * (0.8 * light[..., None] * [1, 0.9, 0.7] + sky)).astype(np.uint8)


def test_the_brightest_tenth_of_a_galaxy_is_scaled_to_the_level(galaxies):
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * CROP / SIZE
    galaxy = np.hypot(x, y) <= 1 / PIXEL_SCALE  # 50 pixels of the survey's pictures are PETROR90_R
    for image in equally_bright(galaxies, CROP, 0.4):
        assert np.quantile(grey(image)[galaxy], 0.9) == pytest.approx(0.4, abs=0.005)


def test_a_fainter_picture_of_a_galaxy_becomes_equally_bright(galaxies):
    faint = np.rint(0.6 * galaxies).astype(np.uint8)
    difference = equally_bright(galaxies, CROP, 0.4).astype(int) - equally_bright(faint, CROP, 0.4)
    assert np.abs(difference).max() <= 2


def test_too_bright_pixels_are_clipped_and_black_images_do_not_change(galaxies):
    bright = equally_bright(galaxies, CROP, 0.95)
    assert bright.max() == 255
    assert bright.dtype == np.uint8
    black = np.zeros_like(galaxies)
    assert np.array_equal(equally_bright(black, CROP, 0.5), black)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 5, strides=2, activation="swish")(inputs)
    x = keras.layers.Conv2D(8, 5, strides=2, activation="swish")(x)
    answers = keras.layers.Dense(len(ANSWERS), activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, answers)


def settings(**changes):
    plain = {
        "score": "log_odds",
        "smooth_samples": 8,
        "smooth_noise": 0.0,
        "brightness": None,
        "colours": "mean",
        "symmetries": True,
    }
    return Heatmaps(**plain | {"shift": 0, "seed": 0} | changes)


def test_maps_of_equally_bright_galaxies_do_not_depend_on_their_brightness(model, galaxies):
    faint = np.rint(0.6 * galaxies).astype(np.uint8)
    for brightness, alike in ((0.4, True), (None, False)):
        chosen = settings(brightness=brightness)
        first, second = (bar_heatmaps(model, images, CROP, chosen) for images in (galaxies, faint))
        assert first.shape == (3, SIZE, SIZE)
        assert (first.min(), first.max()) == (0, 1)
        assert (np.abs(first - second).mean() < 0.005) == alike


@pytest.mark.parametrize("colours", ["mean", "max"])
def test_a_map_keeps_the_mean_or_the_largest_of_the_colours(model, galaxies, colours):
    inputs, target = galaxies.astype(np.float32) / 255, ANSWERS.index(BAR)
    expected = getattr(np, colours)(saliency(model, inputs, target), axis=-1)  # SmoothGrad without noise
    found = bar_heatmaps(model, galaxies, CROP, settings(colours=colours, symmetries=False))
    assert np.allclose(found, min_max(expected), atol=1e-4)
