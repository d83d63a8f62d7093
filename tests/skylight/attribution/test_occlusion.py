"""Occlusion methods against one ``predict`` per changed image, and against the weights of a linear model."""

import numpy as np
import pytest
import tensorflow as tf

from skylight.attribution import blanking, lighting, patch_occlusion, rise
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, weights_of

TARGETS = [0, 1, 2, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_blanking_equals_one_predict_per_cell(value, classifier, images):
    maps = blanking(classifier, images[:2], TARGETS[:2], value=value)
    for image, target, mapped in zip(images, TARGETS[:2], maps, strict=False):
        intact = classifier.predict(image[None], verbose=0)[0, target]
        for row, column in [(0, 0), (0, 8), (3, 4), (7, 0), (7, 8), (5, 2)]:
            blanked = image.copy()
            blanked[row, column] = value
            assert np.isclose(
                mapped[row, column, 0], intact - classifier.predict(blanked[None], verbose=0)[0, target], atol=1e-6
            )


def test_occlusion_of_a_linear_model_equals_weights_times_inputs(linear, images):
    expected = (weights_of(linear, 1) * images).sum(axis=3, keepdims=True)
    assert np.allclose(patch_occlusion(linear, images, 1, patch=1), expected, atol=1e-5)
    assert np.allclose(blanking(linear, images, 1), expected, atol=1e-5)
    other = (weights_of(linear, 1) * (images - 3)).sum(axis=3, keepdims=True)
    assert np.allclose(patch_occlusion(linear, images, 1, patch=1, value=3), other, atol=1e-5)


@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (3, 2), ((2, 5), (2, 3)), ((8, 9), 1), (4, 4), ((1, 9), (1, 9))])
def test_patch_occlusion_by_definition(patch, stride, classifier, images):
    (ph, pw), (sh, sw) = (np.broadcast_to(some, 2) for some in (patch, stride))
    network = score_model(classifier)
    maps = patch_occlusion(classifier, images[:2], TARGETS[:2], patch=patch, stride=stride, score="logit")
    for image, target, mapped in zip(images, TARGETS[:2], maps, strict=False):
        total, count = np.zeros((2, 8, 9))
        top, bottom = 0, 0
        while bottom < 8:
            bottom = top + ph
            left, right = 0, 0
            while right < 9:
                right = left + pw
                occluded = image.copy()
                occluded[top:bottom, left:right] = 0
                scores = network(np.stack([image, occluded])).numpy()[:, target]
                total[top:bottom, left:right] += scores[0] - scores[1]
                count[top:bottom, left:right] += 1
                left += sw
            top += sh
        assert np.allclose(mapped[..., 0], total / count, atol=1e-5)


def masks(number, cells, kept, seed):
    """Yield the random masks of RISE, one by one."""
    height, width = -(-SHAPE[0] // cells), -(-SHAPE[1] // cells)
    for k in range(number):
        draws = tf.random.stateless_uniform([cells**2 + 2], [seed, k]).numpy()
        grid = (draws[2:] < kept).astype(np.float32).reshape(cells, cells, 1)
        large = tf.image.resize(grid, ((cells + 1) * height, (cells + 1) * width)).numpy()
        top, left = int(draws[0] * height), int(draws[1] * width)
        yield large[top : top + SHAPE[0], left : left + SHAPE[1]]


@pytest.mark.slow
def test_rise_by_definition(classifier, images):
    expected = np.zeros((5, 8, 9, 1))
    for mask in masks(30, 3, 0.4, seed=2):
        assert mask.shape == (8, 9, 1)
        answers = classifier.predict(images * mask, verbose=0)[np.arange(5), TARGETS]
        expected += answers[:, None, None, None] * mask / (30 * 0.4)
    maps = rise(classifier, images, TARGETS, masks=30, cells=3, kept=0.4, seed=2)
    assert np.allclose(maps, expected, atol=1e-5)


def test_the_seed_determines_the_masks(classifier, images):
    one, same, other = (rise(classifier, images, masks=5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_lighting_equals_one_predict_per_cell(classifier):
    maps = lighting(classifier, value=4.0)
    assert maps.shape == (8, 9, 3)
    assert maps.dtype == np.float32
    for row, column in [(0, 0), (2, 7), (7, 8)]:
        lit = np.zeros((1, *SHAPE), np.float32)
        lit[0, row, column] = 4.0
        assert np.allclose(maps[row, column], classifier.predict(lit, verbose=0)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (patch_occlusion, {"patch": 0}, r"patch: must be 1 to 8 rows and 1 to 9 columns, got \(0, 0\)"),
        (patch_occlusion, {"patch": (3, 10)}, r"patch: must be 1 to 8 rows and 1 to 9 columns, got \(3, 10\)"),
        (patch_occlusion, {"patch": 3, "stride": 4}, r"stride: must be 1 to 3 rows and 1 to 3 columns"),
        (rise, {"masks": 0}, "masks: must be at least 1, got 0"),
        (rise, {"cells": 0}, "cells: must be at least 1, got 0"),
        (rise, {"kept": 1.0}, "kept: must be between 0 and 1, got 1.0"),
    ],
)
def test_wrong_options_are_errors(method, options, message, classifier, images):
    with pytest.raises(InputError, match=message):
        method(classifier, images, **options)
