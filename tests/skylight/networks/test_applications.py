"""Backbones of keras.applications at width 1 are the published ones; others have other widths and activations."""

import keras
import numpy as np
import pytest

from skylight.networks.applications import backbone


@pytest.mark.parametrize("name", ["VGG16", "ResNet50V2", "Xception", "MobileNetV2"])
@pytest.mark.slow
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
