"""Sensitivities of explanations that are simple functions of the input."""

import numpy as np
import pytest

from skylight.errors import InputError
from skylight.evaluation.robustness import relative_changes


def average_sensitivity(*args, **options):
    return relative_changes(*args, **options).mean(axis=1)


def max_sensitivity(*args, **options):
    return relative_changes(*args, **options).max(axis=1)


@pytest.fixture
def inputs():
    return np.random.default_rng(0).normal(size=(6, 20, 20, 3)).astype(np.float32)


def total(images):
    return images.sum(axis=3, dtype=float)


def test_a_map_that_ignores_the_input_has_sensitivity_zero(inputs):
    fixed = np.random.default_rng(1).random((6, 20, 20))
    assert np.array_equal(average_sensitivity(lambda images: fixed, inputs, fixed), np.zeros(6))


def test_a_linear_map_changes_in_proportion_to_the_noise(inputs):
    spread = np.ptp(inputs, axis=(1, 2, 3))
    for noise in (0.02, 0.1):
        found = average_sensitivity(total, inputs, total(inputs), noise=noise, samples=30)
        # the sum of three uniform variates on (-r, r) has variance r^2; there are 400 pixels
        expected = noise * spread * 20 / np.linalg.norm(total(inputs), axis=(1, 2))
        assert np.allclose(found, expected, rtol=0.03)


def test_the_seed_matters_and_the_scale_of_a_map_does_not(inputs):
    found = average_sensitivity(total, inputs, total(inputs), seed=1)
    assert np.array_equal(found, average_sensitivity(total, inputs, total(inputs), seed=1))
    assert not np.array_equal(found, average_sensitivity(total, inputs, total(inputs), seed=2))
    assert np.allclose(
        found, average_sensitivity(lambda images: 1e6 * total(images), inputs, 1e6 * total(inputs), seed=1)
    )


def test_mean_and_maximum_are_those_of_changes_computed_one_by_one(inputs):
    random = np.random.default_rng(3)
    maps = total(inputs)
    changes = []
    for _ in range(4):
        draws = random.uniform(-1, 1, inputs.shape)
        moved = [image + 0.1 * (image.max() - image.min()) * draw for image, draw in zip(inputs, draws, strict=True)]
        pairs = zip(total(np.array(moved)), maps, strict=True)
        changes.append([((one - own) ** 2).sum() ** 0.5 / (own**2).sum() ** 0.5 for one, own in pairs])
    options = {"noise": 0.1, "samples": 4, "seed": 3}
    assert np.allclose(relative_changes(total, inputs, maps, **options), np.transpose(changes), rtol=1e-5)
    assert np.allclose(average_sensitivity(total, inputs, maps, **options), np.mean(changes, axis=0), rtol=1e-5)
    assert np.allclose(max_sensitivity(total, inputs, maps, **options), np.max(changes, axis=0), rtol=1e-5)


def test_sequences_have_sensitivities(inputs):
    sequences = inputs[:, 0]
    found = average_sensitivity(lambda some: some.sum(axis=2), sequences, sequences.sum(axis=2), seed=1)
    assert found.shape == (6,)
    assert (found > 0).all()


def test_a_map_of_zeros_has_no_relative_change(inputs):
    dead = np.zeros((6, 20, 20))
    assert np.isnan(average_sensitivity(total, inputs, dead)).all()
    assert np.isnan(max_sensitivity(total, inputs, dead)).all()


def test_options_out_of_range_are_errors(inputs):
    with pytest.raises(InputError, match="noise: must be above 0, got 0"):
        average_sensitivity(total, inputs, total(inputs), noise=0)
    with pytest.raises(InputError, match="samples: must be at least 1, got 0"):
        average_sensitivity(total, inputs, total(inputs), samples=0)
