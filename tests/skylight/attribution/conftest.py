"""Networks and images shared by the tests of attribution."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.skylight.attribution.small_networks import SHAPE, network


@pytest.fixture(scope="session")
def classifier() -> keras.Model:
    return network({"units": 3, "activation": "softmax", "name": "classes"})


@pytest.fixture(scope="session")
def binary() -> keras.Model:
    return network({"units": 1, "activation": "sigmoid", "name": "real"}, seed=1)


@pytest.fixture(scope="session")
def regression() -> keras.Model:
    return network({"units": 1, "name": "length"}, seed=2)


@pytest.fixture(scope="session")
def linear() -> keras.Model:
    """A linear model with two scores."""
    keras.utils.set_random_seed(3)
    image = layers.Input(SHAPE)
    scores = layers.Dense(2, bias_initializer="normal", name="scores")(layers.Flatten()(image))
    return keras.Model(image, scores, name="linear")


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)
