"""The fused batch normalisation gives the results of that of Keras, in training and in inference."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.networks.normalization import FusedBatchNormalization

IMAGES = np.random.default_rng(0).normal(1, 2, (6, 5, 4, 3)).astype(np.float32)
ABOVE = np.random.default_rng(1).normal(size=IMAGES.shape).astype(np.float32)


def step(layer):
    """Outputs, gradients and moving statistics of one training step, then the outputs of inference."""
    layer.build(IMAGES.shape)
    for i, weight in enumerate(layer.trainable_weights):
        weight.assign(np.linspace(0.5, 2, 3) + i)
    with tf.GradientTape() as tape:
        images = tf.constant(IMAGES)
        tape.watch(images)
        outputs = layer(images, training=True)
    gradients = tape.gradient(outputs, [images, *(w.value for w in layer.trainable_weights)], ABOVE)
    return [outputs, *gradients, layer.moving_mean, layer.moving_variance, layer(IMAGES, training=False)]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_a_training_step_gives_the_results_of_keras(scale, center):
    options = {"momentum": 0.7, "epsilon": 2e-3, "scale": scale, "center": center}
    ours, kerass = FusedBatchNormalization(**options), layers.BatchNormalization(**options)
    ours, kerass = step(ours), step(kerass)
    count = IMAGES[..., 0].size
    biased = (np.asarray(ours[-2]) - 0.7) * (count - 1) / count + 0.7
    assert np.allclose(biased, kerass[-2], rtol=1e-5)
    for mine, other in zip(ours[:-2], kerass[:-2], strict=True):
        assert np.allclose(mine, other, rtol=1e-4, atol=1e-5)
    assert np.allclose(ours[-1], kerass[-1], rtol=0.02, atol=0.02)  # the moving variances differ by that factor


def test_a_frozen_layer_keeps_its_statistics():
    layer = FusedBatchNormalization()
    layer.trainable = False
    assert np.allclose(layer(IMAGES, training=True), IMAGES, atol=1e-2)
    assert np.array_equal(layer.moving_mean, np.zeros(3))


def test_other_axes_and_ranks_are_refused():
    for layer, images in ((FusedBatchNormalization(axis=1), IMAGES), (FusedBatchNormalization(), IMAGES[0])):
        with pytest.raises(ValueError, match=r"takes \(N, H, W, C\)"):
            layer(images)


def test_it_is_saved_and_loaded(tmp_path):
    image = keras.Input((5, 4, 3))
    model = keras.Model(image, FusedBatchNormalization()(image))
    model.layers[-1].moving_mean.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "model.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "model.keras")(IMAGES), model(IMAGES))
