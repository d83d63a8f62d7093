"""Augmented batches: what they change, and that they depend on the seed and the epoch alone."""

import numpy as np
import pytest
import tensorflow as tf

from skylight.params.bars import Augmentation
from skylight.training.augmentation import augment, dihedral_batches, flipped_batches, image_batches, plain_batches


def changes(**settings):
    """An augmentation that changes nothing but the given settings."""
    nothing = {"rotation_range": 0, "horizontal_flip": False, "vertical_flip": False, "width_shift_range": 0}
    nothing |= {"height_shift_range": 0, "brightness_range": [1, 1], "noise_range": 0}
    return Augmentation(**nothing | settings)


EVERYTHING = changes(
    rotation_range=360,
    horizontal_flip=True,
    vertical_flip=True,
    width_shift_range=0.1,
    height_shift_range=0.1,
    brightness_range=[0.7, 1.3],
    noise_range=0.1,
)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3)).astype(np.uint8)


def changed(images, augmentation, seed=0):
    seeds = tf.constant([seed, 0], tf.int64)
    return augment(tf.constant(images, tf.float32) / 255, seeds, augmentation).numpy()


def test_no_augmentation_changes_nothing(images):
    assert np.allclose(changed(images, changes()), images / 255, atol=1e-5)


def test_flips_are_flips(images):
    flipped = changed(images, changes(horizontal_flip=True, vertical_flip=True))
    original = images / 255
    kinds = set()
    for before, after in zip(original, flipped, strict=True):
        choices = {"none": before, "x": before[:, ::-1], "y": before[::-1], "both": before[::-1, ::-1]}
        kinds |= {name for name, choice in choices.items() if np.allclose(choice, after, atol=1e-4)}
    assert len(kinds) >= 3


def test_a_rotation_turns_about_the_centre():
    y, x = np.mgrid[:33, :33] - 16
    disc = np.hypot(x, y) < 10
    disc = np.repeat((disc * 255).astype(np.uint8)[None, ..., None], 5, axis=0)
    turned = changed(disc, changes(rotation_range=360))
    assert np.abs(turned - disc / 255).mean() < 0.03
    bar = np.repeat(((np.abs(y) < 3) * 255).astype(np.uint8)[None, ..., None], 5, axis=0)
    assert np.abs(changed(bar, changes(rotation_range=360)) - bar / 255).mean() > 0.05


def test_brightness_is_a_factor(images):
    dim = changed(images // 4, changes(brightness_range=[0.7, 1.3]))
    factors = dim.sum(axis=(1, 2, 3)) / (images // 4 / 255).sum(axis=(1, 2, 3))
    assert 0.7 <= factors.min() < factors.max() <= 1.3


def test_noise_is_up_to_a_share_of_the_range():
    images = np.full((200, 12, 12, 3), 100, dtype=np.uint8)
    images[:, :6] = 151  # a range of 0.2
    noisy = changed(images, changes(noise_range=0.5))
    levels = (noisy - images / 255).std(axis=(1, 2, 3)) / 0.2
    assert levels.min() < 0.05 and 0.4 < levels.max() < 0.56
    assert levels.mean() == pytest.approx(0.25, abs=0.03)


def test_an_epoch_does_not_depend_on_whether_the_earlier_ones_were_drawn(images):
    rows, labels = np.arange(10), np.arange(10, dtype=np.float32)
    batches = image_batches(images, rows, labels, 4, 7, EVERYTHING)
    from_start = list(batches(0).take(9))[6:]  # three batches per epoch
    continued = list(batches(2).take(3))
    for (a, p), (b, q) in zip(from_start, continued, strict=True):
        assert np.array_equal(a, b) and np.array_equal(p, q)
    assert sorted(np.concatenate([labels for _, labels in continued])) == list(range(10))
    assert not np.array_equal(continued[0][1], next(iter(batches(3)))[1])


def test_some_rows_are_the_batches_of_an_array_of_these_rows(images):
    """Also where the array is mapped from a file: only the chosen rows are read, with their own labels."""
    rows, labels = np.array([8, 1, 5, 0, 9]), np.random.default_rng(1).random((10, 3)).astype(np.float32)
    chosen = image_batches(images, rows, labels, 2, 7, EVERYTHING)(0).take(6)
    alone = image_batches(images[rows], np.arange(5), labels[rows], 2, 7, EVERYTHING)(0).take(6)
    for (a, p), (b, q) in zip(chosen, alone, strict=True):
        assert np.array_equal(a, b) and np.array_equal(p, q)


def test_plain_batches_are_the_images_in_the_order_of_the_rows(images):
    rows, labels = np.array([3, 9, 0, 4, 7]), np.arange(10)
    drawn = list(plain_batches(images, rows, labels, 2))
    assert np.allclose(np.concatenate([a for a, _ in drawn]), images[rows] / 255)
    assert np.concatenate([b for _, b in drawn]).tolist() == rows.tolist()
    unlabelled = plain_batches(images, rows, None, 2)
    assert np.allclose(np.concatenate(list(unlabelled)), images[rows] / 255)
    assert unlabelled.options().autotune.enabled is False  # or a prediction waits for the tuner's thread to wake


def test_flips_keep_every_pixel_and_come_in_all_four_ways():
    images = np.random.default_rng(0).normal(size=(20, 5, 5, 3)).astype(np.float32)
    labels, weights = np.arange(20), np.linspace(0, 1, 20, dtype=np.float32)
    rows = np.arange(2, 20)
    met = set()
    for drawn, label, weight in flipped_batches(images, rows, labels, weights, 6, 7)(0).take(30):
        for image, index, w in zip(drawn.numpy(), label.numpy(), weight.numpy(), strict=True):
            original = images[index]
            ways = [original, original[::-1], original[:, ::-1], original[::-1, ::-1]]
            (way,) = [k for k, each in enumerate(ways) if np.array_equal(image, each)]
            met.add((index, way))
            assert w == weights[index]
    assert {index for index, _ in met} == set(rows) and {way for _, way in met} == {0, 1, 2, 3}
    from_start = list(flipped_batches(images, rows, labels, weights, 6, 7)(0).take(9))[6:]
    continued = list(flipped_batches(images, rows, labels, weights, 6, 7)(2).take(3))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(from_start, continued, strict=True))


def test_dihedral_batches_are_the_eight_symmetries(images):
    batch = next(iter(dihedral_batches(images, np.arange(10), np.arange(10), 10, 0, 0.0)(0)))
    turned, order = (part.numpy() for part in batch)
    kinds = set()
    for image, label in zip(turned, order, strict=True):
        original = images[label] / 255
        choices = {
            (k, t): np.rot90(original.transpose(1, 0, 2) if t else original, k) for k in range(4) for t in (0, 1)
        }
        found = [kind for kind, choice in choices.items() if np.allclose(choice, image, atol=1e-4)]
        assert len(found) == 1
        kinds.update(found)
    assert len(kinds) >= 4 and {t for _, t in kinds} == {0, 1}
