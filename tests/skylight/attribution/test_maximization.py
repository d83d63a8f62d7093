"""Activation maximization increases the unit, stays in the value range, and is reproducible."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution import activation_maximization
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import score_model
from skylight.errors import InputError

OPTIONS = {"value_range": (0.0, 1.0), "steps": 40}


@pytest.mark.parametrize("layer", [None, "second"])
def test_the_image_equals_that_of_tf_keras_vis(layer, classifier):
    options = {"layer": layer, "total_variation": 2.0, "norm": 0.5, "seed": 7, **OPTIONS, "steps": 12}
    ours, theirs = (
        maximise(classifier, 2, **options)
        for maximise in (activation_maximization, by_engine("tf_keras_vis", activation_maximization))
    )
    start = np.random.default_rng(7).uniform(0.45, 0.55, (8, 9, 2))
    assert np.allclose(ours, theirs, atol=2e-4)
    assert np.abs(ours - start).max() > 0.1


def test_the_score_of_the_class_increases(classifier):
    noise = np.random.default_rng(0).uniform(0.45, 0.55, (20, 8, 9, 2)).astype(np.float32)
    usual = score_model(classifier)(noise).numpy()
    for unit in range(3):
        image = activation_maximization(classifier, unit, **OPTIONS)
        assert image.shape == (8, 9, 2)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert score_model(classifier)(image[None]).numpy()[0, unit] > usual[:, unit].max()


def test_the_mean_of_a_channel_increases(classifier):
    activations = keras.Model(classifier.input, classifier.get_layer("second").output)
    gray = np.full((1, 8, 9, 2), 0.5, np.float32)
    channel = int(activations(gray).numpy().mean(axis=(0, 1, 2)).argmax())
    image = activation_maximization(classifier, channel, layer="second", **OPTIONS)
    before, after = (activations(some).numpy()[..., channel].mean() for some in (gray, image[None]))
    assert after > 1.5 * before


def test_a_channel_of_a_nested_model_is_that_of_the_flat_one(classifier):
    image = layers.Input((8, 9, 2))
    inner = keras.Model(classifier.input, classifier.get_layer("second").output, name="inner")
    nested = keras.Model(image, layers.Dense(3)(layers.Flatten()(inner(image))))
    one, two = (
        activation_maximization(model, 2, layer=layer, **OPTIONS)
        for model, layer in ((classifier, "second"), (nested, "inner/second"))
    )
    assert np.allclose(one, two, atol=1e-5)


def test_the_seed_determines_start_and_jitter(classifier):
    one, same, other = (
        activation_maximization(classifier, 1, jitter=2, seed=seed, value_range=(0, 1), steps=5) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_the_weight_of_total_variation_makes_the_image_smoother(classifier):
    def roughness(image):
        return np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()

    rough, smooth = (
        activation_maximization(classifier, 0, total_variation=weight, **OPTIONS) for weight in (0.0, 30.0)
    )
    assert roughness(smooth) < 0.7 * roughness(rough)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": 3}, "unit: must be 0 to 2, got 3"),
        ({"unit": 5, "layer": "second"}, "unit: must be 0 to 4, got 5"),
        ({"unit": 0, "layer": "third"}, "layer: model small0 has no layer 'third'; it has .*first, pool, second"),
        ({"unit": 0, "value_range": (1, 1)}, r"value_range: the first value must be below the second, got \(1, 1\)"),
        ({"unit": 0, "steps": 0}, "steps: must be at least 1, got 0"),
        ({"unit": 0, "jitter": -1}, "jitter: must be at least 0, got -1"),
    ],
)
def test_wrong_options_are_errors(options, message, classifier):
    with pytest.raises(InputError, match=message):
        activation_maximization(classifier, **options)


def test_an_input_without_fixed_size_is_an_error():
    image = layers.Input((None, None, 1))
    model = keras.Model(image, layers.Dense(1)(layers.GlobalAveragePooling2D()(image)), name="any")
    with pytest.raises(InputError, match="model any: must take images of a fixed size"):
        activation_maximization(model, 0)
