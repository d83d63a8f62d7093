"""Running a network on windows returns the outputs of the whole network."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution import blanking, locality, patch_occlusion
from skylight.attribution.locality import local_layers
from skylight.attribution.scoring import output_model
from skylight.networks.vgg6 import vgg6


def network(*between, shape=(29, 26, 2)):
    image = layers.Input(shape)
    x = image
    for layer in between:
        x = layer(x)
    x = layers.Dense(5, activation="tanh")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


NETWORKS = {
    "strides": lambda: network(layers.Conv2D(4, (3, 4), activation="relu"), layers.Conv2D(4, 3, strides=2)),
    "poolings": lambda: network(
        layers.Conv2D(4, 3), layers.MaxPooling2D(3), layers.ReLU(), layers.Conv2D(4, 2), layers.AveragePooling2D((3, 2))
    ),
    "overlapping pooling": lambda: network(layers.Conv2D(4, 3), layers.MaxPooling2D(3, 2), layers.Conv2D(4, 1)),
    "normalised": lambda: network(
        layers.Conv2D(4, 5), layers.BatchNormalization(), layers.Activation("swish"), layers.Dropout(0.5)
    ),
}


def both(model, images, run, monkeypatch):
    """Return the maps computed with windows and with full forward passes."""
    by_windows = run(model, images)
    monkeypatch.setattr(locality, "MAX_COST", 0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert local_layers(output_model(clone), (1, 1)) is None
    return by_windows, run(clone, images)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("patch", [(1, 1), (4, 3)])
@pytest.mark.slow
def test_occlusion_with_windows_equals_occlusion_with_full_passes(name, patch, monkeypatch):
    keras.utils.set_random_seed(3)
    model = NETWORKS[name]()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            rng = np.random.default_rng(0)
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    images = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    assert local_layers(output_model(model), patch) is not None

    def occlusion(model, images):
        return patch_occlusion(model, images, patch=patch, stride=(min(patch[0], 3), 1), batch_size=100)

    ours, whole = both(model, images, occlusion, monkeypatch)
    assert np.abs(whole).max() > 1e-3
    assert np.abs(ours - whole).max() < 1e-5 * max(1, np.abs(whole).max())


@pytest.mark.slow
def test_blanking_of_vgg6_with_windows_equals_blanking_with_full_passes(monkeypatch):
    keras.utils.set_random_seed(0)
    model = vgg6()
    images = np.random.default_rng(0).normal(size=(1, 63, 63, 3)).astype(np.float32)
    ours, whole = both(model, images, lambda model, images: blanking(model, images, 1), monkeypatch)
    assert np.abs(whole).max() > 1e-4
    assert np.abs(ours - whole).max() < 1e-6


@pytest.mark.parametrize(
    "between",
    [
        [layers.Conv2D(4, 3, padding="same")],
        [layers.Conv2D(4, 3, dilation_rate=2)],
        [layers.Conv2D(4, 2, strides=3)],
        [layers.Conv2D(4, 3, activation="softmax"), layers.Softmax()],
        [layers.SeparableConv2D(4, 3)],
        [layers.Conv2D(4, 25)],  # the window is nearly the image: it saves no time
    ],
)
def test_other_networks_do_not_run_on_windows(between):
    assert local_layers(output_model(network(*between)), (1, 1)) is None


def test_branching_networks_do_not_run_on_windows():
    image = layers.Input((9, 9, 1))
    x = layers.Conv2D(2, 3)(image)
    x = layers.Flatten()(layers.Add()([layers.Conv2D(2, 1)(x), x]))
    model = keras.Model(image, layers.Dense(2)(x))
    assert local_layers(output_model(model), (1, 1)) is None
