"""The networks are the published ones: parameter counts, layer names, sizes."""

import keras
import numpy as np
import pytest

from skylight.networks.applications import backbone
from skylight.networks.periodic_cnn import periodic_cnn
from skylight.networks.vgg6 import vgg6


def test_periodic_cnn_has_the_published_layers():
    model = periodic_cnn(7)
    assert [layer.name for layer in model.layers[1:]] == [
        "conv2d1",
        "maxpool2d1",
        "conv2d2",
        "flatten",
        "preds",
    ]
    assert model.output_shape == (None, 7)
    assert model.get_layer("flatten").output.shape[1] == 5 * 6 * 64


def test_vgg6_has_the_published_number_of_parameters():
    assert vgg6(2).count_params() == 312_338


@pytest.mark.parametrize("name", ["VGG16", "ResNet50V2", "Xception", "MobileNetV2"])
def test_width_one_is_the_published_backbone(name):
    application = getattr(keras.applications, name)
    published = application(include_top=False, weights=None, input_shape=(96, 96, 3))
    ours = backbone(application, (96, 96, 3))
    assert [w.shape for w in ours.weights] == [w.shape for w in published.weights]
    ours.set_weights(published.get_weights())
    images = np.random.default_rng(0).random((2, 96, 96, 3), dtype=np.float32)
    assert np.array_equal(ours(images), published(images))


def test_backbone_scales_filters_and_swaps_relu():
    model = backbone(keras.applications.Xception, (96, 96, 3), width=0.25, activation="swish", momentum=0.9)
    assert model.output_shape[-1] == 512
    for layer in model.layers:
        config = layer.get_config()
        assert config.get("activation") != "relu"
        assert config.get("momentum", 0.9) == 0.9
