"""The metallicity network: the published sizes, and weights that hold the statistics of the images."""

import numpy as np
import pytest

from skylight.errors import InputError
from skylight.networks.metallicity_cnn import LAST, load_metallicity_cnn, metallicity_cnn, set_statistics
from skylight.training.fit import deterministic


def test_the_published_network_has_the_published_weights_and_keeps_the_resolution():
    model = metallicity_cnn(96)
    convolutions = 9 * (3 * 32 + 32 * 64 + 64 * 128)
    normalisations = 2 * (32 + 64 + 128)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == convolutions + normalisations + 128 * 2 + 2
    assert model.get_layer(LAST).output.shape == (None, 96, 96, 128)
    assert all(not model.get_layer(f"conv{k}").use_bias for k in (1, 2, 3))
    assert metallicity_cnn(96, 1).get_layer("answers").activation.__name__ == "linear"


def test_images_are_normalised_by_the_statistics_also_in_training(tmp_path):
    deterministic(0)
    model = metallicity_cnn(8, 2, 0.1)
    images = np.random.default_rng(0).random((16, 8, 8, 3)).astype(np.float32)
    mean, deviation = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    set_statistics(model, mean, deviation)
    layer = model.get_layer("normalise")
    assert np.allclose(layer(images), (images - mean) / deviation, atol=1e-5)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(images, np.arange(16) % 2, verbose=0)
    assert np.allclose(layer(images, training=True), (images - mean) / deviation, atol=1e-5)
    model.save_weights(tmp_path / "w.weights.h5")
    again = load_metallicity_cnn(tmp_path / "w.weights.h5", 8, 2, 0.1)
    assert np.array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))
    with pytest.raises(InputError, match="not the weights of a metallicity network of width 1 with 2 outputs"):
        load_metallicity_cnn(tmp_path / "w.weights.h5", 8, 2)
