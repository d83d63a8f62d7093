"""Imputed pixels solve the linear equations, written out pixel by pixel."""

from itertools import product

import numpy as np
import pytest

from skylight.errors import InputError
from skylight.evaluation.imputation import linear_imputation


def by_definition(image, removed):
    """Solve the dense equations: a removed pixel is the weighted mean of the neighbours that exist."""
    pixels = [tuple(pixel) for pixel in np.argwhere(removed)]
    matrix, known = np.eye(len(pixels)), np.zeros((len(pixels), image.shape[-1]))
    for row, pixel in enumerate(pixels):
        around = {}
        for step in product((-1, 0, 1), repeat=removed.ndim):
            other = tuple(np.add(pixel, step))
            if any(step) and all(0 <= i < length for i, length in zip(other, removed.shape, strict=True)):
                around[other] = 2.0 if sum(map(abs, step)) == 1 else 1.0
        total = sum(around.values())
        for other, weight in around.items():
            if removed[other]:
                matrix[row, pixels.index(other)] -= weight / total
            else:
                known[row] += weight / total * image[other]
    filled = image.astype(float).copy()
    filled[removed] = np.linalg.solve(matrix, known)
    return filled


@pytest.mark.parametrize("shape", [(7, 9, 2), (1, 8, 1), (6, 2, 3), (11, 2)])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_removed_pixels_against_the_definition(shape, share):
    random = np.random.default_rng(0)
    image = random.normal(size=shape).astype(np.float32)
    removed = random.random(shape[:-1]) < share
    removed.flat[3] = False
    filled = linear_imputation(image[None], removed[None])[0]
    assert np.allclose(filled, by_definition(image, removed), atol=1e-9)
    assert np.array_equal(filled[~removed], image[~removed])


def test_a_sequence_is_interpolated_linearly_and_continued_as_a_constant():
    sequence = np.array([9.0, 1, 9, 9, 4, 9])[:, None]
    removed = np.array([True, False, True, True, False, True])
    assert np.allclose(linear_imputation(sequence[None], removed[None])[0, :, 0], [1, 1, 2, 3, 4, 4])


def test_one_pixel_that_is_left_fills_the_image_and_nothing_removed_changes_nothing():
    image = np.random.default_rng(0).normal(size=(5, 4, 2))
    removed = np.ones((5, 4), bool)
    removed[2, 1] = False
    assert np.allclose(linear_imputation(image[None], removed[None])[0], image[2, 1])
    assert np.array_equal(linear_imputation(image[None], np.zeros((1, 5, 4), bool))[0], image)


def test_images_together_are_as_each_alone():
    random = np.random.default_rng(0)
    images, removed = random.normal(size=(6, 7, 9, 2)), random.random((6, 7, 9)) < np.linspace(0, 0.9, 6)[:, None, None]
    alone = [by_definition(image, some) for image, some in zip(images, removed, strict=True)]
    assert np.allclose(linear_imputation(images, removed), alone, atol=1e-9)


def test_an_image_without_pixels_is_refused():
    removed = np.zeros((2, 5, 4), bool)
    removed[1] = True
    with pytest.raises(InputError, match=r"^removed: must leave at least one pixel of each image$"):
        linear_imputation(np.zeros((2, 5, 4, 1)), removed)
