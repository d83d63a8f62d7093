"""Maps averaged over the orientations of the image turn with it."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution.gradients import saliency, smoothgrad
from skylight.attribution.symmetries import symmetrised, turned, turned_back
from skylight.errors import InputError

SQUARE = (9, 9, 2)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = layers.Input(SQUARE)
    x = layers.Conv2D(4, 3, activation="swish", bias_initializer="normal")(image)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.random.default_rng(4).random((3, *SQUARE), dtype=np.float32)


ORIENTATIONS = [(turns, reflected) for turns in range(4) for reflected in (False, True)]


@pytest.mark.parametrize(("turns", "reflected"), ORIENTATIONS)
def test_turned_back_undoes_turned(turns, reflected, squares):
    assert np.array_equal(turned_back(turned(squares, turns, reflected), turns, reflected), squares)


def test_the_orientations_differ(squares):
    assert len({turned(squares, *orientation).tobytes() for orientation in ORIENTATIONS}) == 8


def test_the_mean_is_that_of_the_maps_turned_back(model, squares):
    one_by_one = [turned_back(saliency(model, turned(squares, *o), 1), *o) for o in ORIENTATIONS]
    assert np.allclose(symmetrised(saliency, model, squares, 1), np.mean(one_by_one, axis=0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("turns", "reflected"), ORIENTATIONS[1:])
def test_the_map_turns_with_the_image_though_the_method_s_does_not(turns, reflected, model, squares):
    mean = symmetrised(saliency, model, squares, 2)
    of_turned = symmetrised(saliency, model, turned(squares, turns, reflected), 2)
    assert np.allclose(of_turned, turned(mean, turns, reflected), rtol=1e-4, atol=1e-6 * mean.max())
    plain, plain_of_turned = saliency(model, squares, 2), saliency(model, turned(squares, turns, reflected), 2)
    assert not np.allclose(plain_of_turned, turned(plain, turns, reflected), rtol=1e-2)


def test_none_is_the_class_predicted_of_the_image_as_it_is(model, squares):
    predicted = model.predict(squares, verbose=0).argmax(axis=1)
    assert np.array_equal(symmetrised(saliency, model, squares), symmetrised(saliency, model, squares, predicted))


def test_settings_reach_the_method(model, squares):
    few, many = (symmetrised(smoothgrad, model, squares, 0, samples=n, noise=0.3, seed=1) for n in (1, 20))
    assert not np.allclose(few, many, rtol=1e-2)


def test_images_that_are_not_square_are_refused():
    image = layers.Input((4, 5, 1))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    with pytest.raises(InputError, match=r"square.*\(1, 4, 5, 1\)"):
        symmetrised(saliency, model, np.zeros((1, 4, 5, 1), np.float32), 0)
