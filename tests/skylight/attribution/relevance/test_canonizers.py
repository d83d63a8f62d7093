"""A network whose batch normalisation is folded by LRP has the maps of a network with explicitly folded weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution.relevance import lrp
from skylight.attribution.relevance.canonizers import fold
from skylight.attribution.relevance.graph import walk
from skylight.attribution.relevance.parts import IDENTITY

RULES = ["epsilon", "gamma", "alphabeta", "flat", "ww", "epsilon_plus"]


def randomised(model, seed=0):
    """Assign random values to all weights and moving statistics of a model."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.variables:
            if "variance" in variable.path or "gamma" in variable.path:
                variable.assign(rng.uniform(0.3, 2, variable.shape))
            else:
                variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


def network(*row, shape=(6, 7, 3)):
    """Return a chain of layers between an image and three scores."""
    image = x = keras.Input(shape)
    for layer in row:
        x = layer(x)
    x = layers.Flatten()(x)
    return randomised(keras.Model(image, layers.Dense(3, name="scores")(x)))


def scale_and_offset(normalization):
    scale = normalization.gamma / np.sqrt(normalization.moving_variance + normalization.epsilon)
    return np.asarray(scale), np.asarray(normalization.beta - normalization.moving_mean * scale)


def folded(model):
    """Return for each batch normalisation of a model whether LRP folds it."""
    return [
        step.part is IDENTITY for step in fold(walk(model)).steps if isinstance(step.layer, layers.BatchNormalization)
    ]


def assert_same(model, explicit, rules=RULES, shape=(6, 7, 3)):
    images = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    assert np.allclose(model(images), explicit(images), atol=1e-4)
    for rule in rules:
        ours, theirs = (lrp(m, images, 1, rule=rule) for m in (model, explicit))
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max(), rule


def after(make, kernel_of=lambda kernel, scale: kernel * scale):
    """Return a network with a layer and a normalisation, and one with a single layer that equals both."""
    layer, normalization = make(), layers.BatchNormalization()
    model = network(layer, normalization, layers.ReLU())
    one = make(use_bias=True)
    explicit = network(one, layers.ReLU())
    scale, offset = scale_and_offset(normalization)
    *kernels, kernel = [np.asarray(v) for v in layer.trainable_variables if "bias" not in v.path]
    bias = 0 if layer.bias is None else layer.bias
    one.set_weights([*kernels, kernel_of(kernel, scale), bias * scale + offset])
    explicit.get_layer("scores").set_weights(model.get_layer("scores").get_weights())
    return model, explicit


@pytest.mark.parametrize(
    "make",
    [
        lambda use_bias=False: layers.Conv2D(4, 3, strides=2, use_bias=use_bias, padding="same"),
        lambda use_bias=True: layers.Conv2D(4, 3, use_bias=use_bias),
        lambda use_bias=True: layers.Dense(4, use_bias=use_bias),
        lambda use_bias=False: layers.SeparableConv2D(4, 3, use_bias=use_bias),
    ],
)
@pytest.mark.slow
def test_normalisation_folds_into_the_layer_before_it(make):
    model, explicit = after(make)
    assert folded(model) == [True]
    assert_same(model, explicit)


@pytest.mark.slow
def test_normalisation_folds_into_a_depthwise_convolution_before_it():
    def scaled(kernel, scale):
        return kernel * scale.reshape(kernel.shape[2:])

    model, explicit = after(
        lambda use_bias=False: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=use_bias), scaled
    )
    assert folded(model) == [True]
    assert_same(model, explicit)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_normalisation_folds_into_the_layer_after_it(padding):
    """With padding, cells at the edge receive less of the offset, so no single Keras layer equals the folded map."""
    normalization, conv = layers.BatchNormalization(), layers.Conv2D(4, 3, padding=padding)
    model = network(normalization, conv, layers.ReLU())
    assert folded(model) == [True]
    one = layers.Conv2D(4, 3)
    explicit = network(*([layers.ZeroPadding2D(1)] if padding == "same" else []), one, layers.ReLU())
    scale, offset = scale_and_offset(normalization)
    kernel, bias = conv.get_weights()
    one.set_weights([kernel * scale[:, None], bias + np.einsum("hwio,i->o", kernel, offset)])
    explicit.get_layer("scores").set_weights(model.get_layer("scores").get_weights())
    images = np.random.default_rng(1).normal(size=(3, 6, 7, 3)).astype(np.float32)
    if padding == "valid":
        assert_same(model, explicit)
    z = np.asarray(conv(normalization(images)))
    step = fold(walk(model)).steps[1]
    kernel, bias = step.part.weights("float32")
    assert np.allclose(step.part.transform(images, kernel) + bias, z, atol=1e-4)


def test_normalisation_without_a_linear_neighbour_of_its_own_is_not_folded():
    image = keras.Input((6, 7, 3))
    x = layers.ReLU()(image)
    x = layers.BatchNormalization(name="between_activations")(x)
    x = layers.Activation("tanh")(x)
    conv = layers.Conv2D(3, 1)(x)
    normalized = layers.BatchNormalization(name="of_a_value_read_twice")(conv)
    x = layers.Add()([conv, normalized])
    x = layers.BatchNormalization(axis=1, name="of_rows")(x)
    x = layers.Conv2D(2, 3, activation="relu")(x)
    x = layers.BatchNormalization(name="after_an_activation")(x)
    x = layers.MaxPooling2D(2)(x)  # the largest value is another one where the normalisation is negative
    x = layers.Dense(3)(layers.Flatten()(x))
    model = keras.Model(image, layers.BatchNormalization(name="of_the_scores")(x))
    assert folded(randomised(model)) == [False, False, False, False, True]
    images = np.random.default_rng(1).normal(size=(2, 6, 7, 3)).astype(np.float32)
    assert np.isfinite(lrp(model, images)).all()


def test_relevance_does_not_depend_on_how_a_linear_layer_is_written():
    """Implementation invariance of LRP-0: a dense layer, and the same layer split in two."""
    whole = network(layers.Flatten(), layers.Dense(5, name="dense"), layers.ReLU())
    split = network(layers.Flatten(), layers.Dense(126, use_bias=False), layers.Dense(5, name="dense"), layers.ReLU())
    first = np.eye(126) + np.random.default_rng(0).normal(0, 0.1, (126, 126))
    kernel, bias = whole.get_layer("dense").get_weights()
    split.layers[2].set_weights([first])
    split.get_layer("dense").set_weights([np.linalg.solve(first, kernel), bias])
    split.get_layer("scores").set_weights(whole.get_layer("scores").get_weights())
    assert_same(whole, split, rules=["simple"])


@pytest.mark.parametrize("dense", [True, False])
def test_rescaling_and_normalisation_at_mid_grey_are_folded_into_the_next_layer(dense):
    """x / 127.5 - 1 is near 0 there: before, 57 % of the relevance was on 5 % of the pixels."""
    keras.utils.set_random_seed(0)
    image = layers.Input((6, 6, 3))
    x = layers.RandomFlip()(layers.Rescaling(1 / 127.5, -1)(image))
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0])(layers.GaussianNoise(0.1)(x))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Dense(2)(layers.Flatten()(x)) if dense else layers.Dense(2)(layers.Flatten()(layers.Conv2D(4, 3)(x)))
    model = keras.Model(image, x)
    images = np.random.default_rng(0).uniform(120, 135, (3, 6, 6, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        pixels = tf.constant(images)
        tape.watch(pixels)
        logit = model(pixels, training=False)[:, 0]
    expected = images * tape.gradient(logit, pixels).numpy()  # LRP-0 of an affine network: the weights times the pixels
    found = lrp(model, images, 0, rule="simple")
    assert np.allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_the_merged_kernel_of_separable_convolutions_conserves_relevance():
    keras.utils.set_random_seed(1)
    image = x = layers.Input((12, 12, 3))
    for _ in range(3):
        x = layers.SeparableConv2D(8, 3, depth_multiplier=2, activation="relu", use_bias=False)(x)
    model = keras.Model(image, layers.Dense(3, use_bias=False)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype(np.float32)
    logits = model.predict(images, verbose=0)[:, 0]

    def kept(**options):
        return lrp(model, images, 0, **options).sum(axis=(1, 2, 3)) / logits

    for rule in ("epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "gamma"):
        assert np.allclose(kept(rule=rule), 1, atol=2e-3), rule
    assert not np.allclose(kept(rule="epsilon_plus", merge_separable=False), 1, atol=0.05)
