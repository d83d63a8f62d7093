"""Maps averaged over the orientations of the image turn with the image."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution import saliency, smoothgrad, symmetrised
from skylight.attribution.orientation import turned, turned_back
from skylight.attribution.symmetries import shift_of, shifted, shifted_back
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


def test_the_eight_orientations_differ(squares):
    assert len({turned(squares, *orientation).tobytes() for orientation in ORIENTATIONS}) == 8


def test_the_map_is_the_mean_of_the_maps_turned_back(model, squares):
    one_by_one = [turned_back(saliency(model, turned(squares, *o), 1), *o) for o in ORIENTATIONS]
    assert np.allclose(symmetrised(saliency, model, squares, 1), np.mean(one_by_one, axis=0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("turns", "reflected"), ORIENTATIONS[1:])
def test_the_mean_map_turns_with_the_image_but_a_single_map_does_not(turns, reflected, model, squares):
    mean = symmetrised(saliency, model, squares, 2)
    of_turned = symmetrised(saliency, model, turned(squares, turns, reflected), 2)
    assert np.allclose(of_turned, turned(mean, turns, reflected), rtol=1e-4, atol=1e-6 * mean.max())
    plain, plain_of_turned = saliency(model, squares, 2), saliency(model, turned(squares, turns, reflected), 2)
    assert not np.allclose(plain_of_turned, turned(plain, turns, reflected), rtol=1e-2)


def test_none_is_the_class_predicted_for_the_unmoved_image(model, squares):
    predicted = model.predict(squares, verbose=0).argmax(axis=1)
    assert np.array_equal(symmetrised(saliency, model, squares), symmetrised(saliency, model, squares, predicted))


def test_settings_are_passed_to_the_method(model, squares):
    few, many = (symmetrised(smoothgrad, model, squares, 0, samples=n, noise=0.3, seed=1) for n in (1, 20))
    assert not np.allclose(few, many, rtol=1e-2)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (-3, 1), (8, -8)])
def test_shifted_back_undoes_shifted_inside_the_moved_image(down, right, squares):
    back = shifted_back(shifted(squares, down, right), down, right)
    seen = shifted_back(np.ones_like(squares), down, right) > 0
    assert np.array_equal(back[seen], squares[seen]) and not back[~seen].any()
    assert seen.sum() == squares[..., 0].shape[0] * 2 * (9 - abs(down)) * (9 - abs(right))


@pytest.mark.parametrize(("copies", "modulus"), [(32, 2), (128, 2), (128, 4), (512, 8)])
def test_the_shifts_of_each_orientation_have_all_remainders_equally_often(copies, modulus):
    for orientation in range(8):
        shifts = np.array([shift_of(copy, copies, 8) for copy in range(orientation, copies, 8)])
        _, counts = np.unique(shifts % modulus, axis=0, return_counts=True)
        assert len(counts) == modulus**2 and len(set(counts)) == 1


def test_shifts_cover_their_range_and_a_range_of_zero_does_not_shift():
    shifts = np.array([shift_of(copy, 256, 8) for copy in range(256)])
    assert len(np.unique(shifts, axis=0)) == 256 and (shifts.min(), shifts.max()) == (-8, 7)
    assert {shift_of(copy, 24, 0) for copy in range(24)} == {(0, 0)}


def test_shifts_remove_the_grid_in_the_maps_of_a_network_with_strides():
    keras.utils.set_random_seed(1)
    image = layers.Input((32, 32, 1))
    x = layers.Conv2D(8, 2, 4, activation="swish")(image)  # sees only 2 x 2 pixels of each 4 x 4
    model = keras.Model(image, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(2).random((2, 32, 32, 1), dtype=np.float32)

    def unevenness(**settings):
        maps = symmetrised(saliency, model, images, 0, **settings)[:, 4:-4, 4:-4]
        return maps.std() / maps.mean()

    assert unevenness(copies=64, shift=2) < unevenness(copies=8) / 2


def test_each_copy_has_its_own_noise(model, squares):
    eight, more = (symmetrised(smoothgrad, model, squares, 0, copies=n, samples=1, noise=0.3, seed=1) for n in (8, 16))
    assert not np.allclose(eight, more, rtol=1e-2)


@pytest.mark.parametrize(("settings", "message"), [({"copies": 12}, "copies.*12"), ({"shift": 9}, "shift.*9 pixels")])
def test_copies_and_shifts_out_of_range_are_errors(settings, message, model, squares):
    with pytest.raises(InputError, match=message):
        symmetrised(saliency, model, squares, 0, **settings)


def test_images_that_are_not_square_are_errors():
    image = layers.Input((4, 5, 1))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    with pytest.raises(InputError, match=r"square.*\(1, 4, 5, 1\)"):
        symmetrised(saliency, model, np.zeros((1, 4, 5, 1), np.float32), 0)


def test_images_of_a_model_with_several_inputs_are_moved_alike_and_metadata_stay():
    keras.utils.set_random_seed(3)
    image, camera, metadata = (
        layers.Input(SQUARE, name="image"),
        layers.Input((5, 5, 1), name="camera"),
        layers.Input((4,), name="metadata"),
    )
    x = [layers.Flatten()(layers.Conv2D(3, 3, activation="swish")(each)) for each in (image, camera)]
    x = layers.Dense(6, activation="swish")(layers.Concatenate()([*x, metadata]))
    model = keras.Model([image, camera, metadata], layers.Dense(3, activation="softmax")(x))
    random = np.random.default_rng(0)
    given = {
        "image": random.random((2, *SQUARE)),
        "camera": random.random((2, 5, 5, 1)),
        "metadata": random.random((2, 4)),
    }
    found = symmetrised(saliency, model, given, 1)
    each = []
    for o in ORIENTATIONS:
        moved = {name: turned(values, *o) if values.ndim == 4 else values for name, values in given.items()}
        maps = saliency(model, moved, 1)
        each.append([turned_back(maps[name], *o) if given[name].ndim == 4 else maps[name] for name in given])
    for name, expected in zip(given, zip(*each, strict=True), strict=True):
        assert np.allclose(found[name], np.mean(expected, axis=0), rtol=1e-5, atol=1e-9)
