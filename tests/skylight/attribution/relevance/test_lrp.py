"""LRP of whole networks: literal chains of layers, conservation, options, and no change of the model."""

import gc
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import lrp, lrp_layerwise, relevance
from skylight.attribution.relevance import (
    FIRST,
    WEIGHTED,
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Simple,
    WSquare,
    ZBox,
)
from skylight.attribution.relevance.canonizers import fold
from skylight.attribution.relevance.composites import assign, composite
from skylight.attribution.relevance.graph import walk
from skylight.attribution.relevance.parts import Activations, Elementwise
from skylight.attribution.relevance.rules import SignalTakesAll, WinnerTakesAll
from skylight.attribution.scoring import Score, score_model
from skylight.errors import InputError
from skylight.networks.applications import backbone
from skylight.networks.periodic_cnn import periodic_cnn
from skylight.networks.vgg6 import vgg6
from tests.skylight.attribution.relevance import literal
from tests.skylight.attribution.relevance.test_canonizers import randomised

SHAPE = (8, 9, 2)


def small(*head, activation="relu", bias=True, shape=SHAPE):
    """Return a chain of convolutions, max and average pooling, and dense layers."""
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(4, 3, padding="same", activation=activation, use_bias=bias, name="conv")(image)
    x = layers.MaxPooling2D(2, name="max")(x)
    x = layers.SeparableConv2D(6, 2, activation=activation, use_bias=bias, name="separable")(x)
    x = layers.AveragePooling2D((1, 2), name="mean")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(5, activation=activation, use_bias=bias, name="dense")(x)
    for layer in head or [layers.Dense(3, activation="softmax", use_bias=bias, name="scores")]:
        x = layer(x)
    return randomised(keras.Model(image, x))


def residual(bias=True):
    """Return a model with branches, a nested model, a layer that is called twice, and constants."""
    inner_image = keras.Input((8, 9, 4))
    x = layers.ReLU(name="relu")(inner_image)
    x = layers.Conv2D(4, 3, padding="same", use_bias=bias, name="conv")(x)
    x = layers.BatchNormalization(center=bias, name="bn")(x)
    inner = keras.Model(inner_image, layers.Add(name="add")([x, inner_image]), name="block")

    image = keras.Input(SHAPE, name="image")
    twice = layers.Conv2D(4, 3, padding="same", activation="relu", use_bias=bias, name="twice")
    x = layers.Rescaling(2.0, name="rescaling")(image)
    x = layers.Concatenate(name="concatenate")([x, -0.5 * x])
    x = inner(twice(twice(x)))
    x = inner(x)
    x = layers.Concatenate(name="pools")([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    model = randomised(keras.Model(image, layers.Dense(3, use_bias=bias, name="scores")(x)))
    randomised(inner, seed=1)
    if not bias:
        inner.get_layer("bn").moving_mean.assign(np.zeros(4))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return small()


def literal_chain(model, image, target, rules):
    """Propagate relevance through `small` layer by layer, with full Jacobians, in double precision.

    ``rules`` has a literal function and its options for the convolution, the separable convolution, the average pooling
    and the dense layers.
    """
    keras.config.set_dtype_policy("float64")
    layer = {name: type(model.get_layer(name)) for name in ("conv", "max", "mean")}
    kernels = {name: model.get_layer(name).get_weights() for name in ("conv", "separable", "dense", "scores")}
    depthwise, pointwise, bias = kernels["separable"]
    conv = layer["conv"](4, 3, padding="same")
    parts = [
        ("conv", conv, kernels["conv"], True),
        ("max", layers.AveragePooling2D(2), [], False),
        ("separable", layers.DepthwiseConv2D(2, use_bias=False), [depthwise], False),
        ("separable", layers.Conv2D(6, 1), [pointwise, bias], True),
        ("mean", layers.AveragePooling2D((1, 2)), [], False),
        ("flatten", layers.Flatten(), [], False),
        ("dense", layers.Dense(5), kernels["dense"], True),
        ("dense", layers.Dense(3), kernels["scores"], False),
    ]
    x, forward = image[None].astype(np.float64), []
    for name, linear, weights, rectified in parts:
        linear(x)
        linear.set_weights(weights)
        W, b = literal.matrix(lambda x, linear=linear: linear(tf.constant(x)), x)
        forward.append((name, W, b, x))
        x = layers.MaxPooling2D(2)(x).numpy() if name == "max" else linear(x).numpy()
        x = x.clip(min=0) if rectified else x
    keras.config.set_dtype_policy("float32")
    relevance = np.where(np.arange(3) == target, x[0], 0)
    for name, W, b, x in reversed(forward):
        if name == "max":
            relevance = literal.winner(W, b, x.ravel(), relevance)[:-1]
        elif name == "flatten":
            relevance = W @ relevance
        else:
            rule, *options = rules[name]
            relevance = rule(W, b, x.ravel(), relevance, *options)[:-1]
    return relevance.reshape(image.shape)


@pytest.mark.parametrize(
    ("rule", "conv", "mean", "dense"),
    [
        ("simple", (literal.simple,), (literal.simple,), (literal.simple,)),
        (Epsilon(0.1),) + ((literal.epsilon, 0.1),) * 3,
        (Gamma(0.5),) + ((literal.gamma, 0.5),) * 3,
        ("alphabeta", (literal.alphabeta, 2, 1), (literal.epsilon, 1e-6), (literal.alphabeta, 2, 1)),
        ("epsilon_plus", (literal.alphabeta, 1, 0), (literal.epsilon, 1e-6), (literal.epsilon, 1e-6)),
        ("epsilon_alpha2_beta1", (literal.alphabeta, 2, 1), (literal.epsilon, 1e-6), (literal.epsilon, 1e-6)),
    ],
)
@pytest.mark.slow
def test_a_whole_network_equals_the_literal_chain_of_its_layers(model, images, rule, conv, mean, dense):
    ours = lrp(model, images, 2, rule=rule, merge_separable=False)
    rules = {"conv": conv, "separable": conv, "mean": mean, "dense": dense}
    theirs = np.stack([literal_chain(model, image, 2, rules) for image in images[:2]])
    assert np.abs(ours[:2] - theirs).max() < 2e-5 * np.abs(theirs).max()


@pytest.mark.slow
def test_without_biases_every_layer_conserves_relevance(images):
    model = small(bias=False)
    scores = np.asarray(score_model(model)(images))[:, 1]
    for rule in (Simple(), Epsilon(1e-9), Gamma(), "flat", "ww", "zbox", AlphaBeta(1, 0)):
        rule = {FIRST: ZBox(-5, 5), "*": "epsilon"} if rule == "zbox" else rule
        for name, values in lrp_layerwise(model, images, 1, rule=rule).items():
            total = values.reshape(len(images), -1).sum(axis=1)
            assert np.allclose(total, scores, rtol=1e-3, atol=1e-4), (rule, name)


def test_with_biases_the_gap_is_the_share_of_the_biases(model, images):
    """Compare the gap of each layer with the share of the biases, sum_k b_k / (z_k + epsilon sign(z_k)) R_k."""
    epsilon = 0.05
    layerwise = lrp_layerwise(model, images, 0, rule=Epsilon(epsilon))
    total = {name: values.reshape(len(images), -1).sum(axis=1) for name, values in layerwise.items()}
    for before, name in (("image", "conv"), ("flatten", "dense"), ("dense", "scores")):
        layer = model.get_layer(name)
        x = keras.Model(model.inputs, model.get_layer(before).output)(images)
        z = x @ layer.kernel if name != "conv" else tf.nn.conv2d(x, layer.kernel, 1, "SAME")
        z = np.asarray(z + layer.bias)
        sign = np.where(z >= 0, epsilon, -epsilon)
        absorbed = (np.asarray(layer.bias) + sign) / (z + sign) * layerwise[name]
        gap = total[name] - total[before]
        assert np.abs(gap).min() > 1e-3
        assert np.allclose(gap, absorbed.reshape(len(images), -1).sum(axis=1), rtol=1e-3, atol=1e-4)


@dataclass(frozen=True)
class Accounting:
    """LRP-epsilon that also records the relevance absorbed by biases and epsilon.

    The bias is z - W x. Where the map has none of its own (`Linearised`), W x is the derivative in the direction of x.
    """

    notes: list

    def __call__(self, affine, x, relevance):
        z = affine(x)
        bias = affine.bias
        if not bias.shape.rank:
            with tf.autodiff.ForwardAccumulator(x, x) as forward:
                product = affine(x)
            bias = z - forward.jvp(product)
        sign = tf.where(z >= 0, 1e-6, -1e-6)
        self.notes.append(float(tf.reduce_sum((bias + sign) / (z + sign) * relevance)))
        return Epsilon(1e-6)(affine, x, relevance)


def eagerly(model, images, targets, rule):
    """Run LRP without compiling it, which is faster for a single run."""
    graph = fold(walk(score_model(model)))
    classes = np.stack([targets, np.full(len(images), -1)], axis=1).astype(np.int32)
    propagate = relevance.propagation(graph, assign(rule, graph), Score("logit", "linear"), tf.float32)
    return next(iter(propagate(tf.constant(images), tf.constant(classes)).values())).numpy()


APPLICATIONS = {  # name -> smallest size of the images that it accepts, and the width that keeps the test short
    "VGG16": (64, 0.125),
    "ResNet50V2": (64, 0.125),
    "Xception": (72, 0.125),
    "MobileNetV2": (64, 0.125),
    "EfficientNetB0": (64, 1),
    "DenseNet121": (64, 1),
    "InceptionV3": (75, 1),
    "MobileNetV3Small": (64, 1),
    "InceptionResNetV2": (75, 1),
    "ConvNeXtTiny": (64, 1),
}


def application(name):
    """Return a network of ``keras.applications`` with random statistics and scales, so that no layer is trivial."""
    size, width = APPLICATIONS[name]
    made = getattr(keras.applications, name)
    if width == 1:
        base = made(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
    else:
        base = backbone(made, (size, size, 3), width=width, pooling="avg")
    return keras.Model(base.input, layers.Dense(3, activation="softmax")(base.output))


def with_random_statistics(model, seed=0):
    """Assign random statistics, scales and offsets to the normalisations of a model and its layers' biases."""
    rng = np.random.default_rng(seed)
    ranges = {"gamma": (0.5, 1.5), "beta": (-0.2, 0.3), "moving_mean": (-0.1, 0.1), "moving_variance": (0.1, 0.4)}
    for layer in model._flatten_layers():
        normalises = "Normalization" in type(layer).__name__
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            if normalises and variable.name in ranges:
                variable.assign(rng.uniform(*ranges[variable.name], variable.shape))
            elif type(layer).__name__ == "LayerScale":
                variable.assign(rng.uniform(0.3, 0.7, variable.shape))
    return model


@pytest.mark.parametrize("name", ["periodic", "vgg6", "residual", *APPLICATIONS])
@pytest.mark.slow
def test_relevance_is_conserved_in_every_network(name):
    own = {"periodic": lambda: periodic_cnn(7), "vgg6": vgg6, "residual": residual}
    model = with_random_statistics(own[name]() if name in own else application(name))
    rng = np.random.default_rng(0)
    images = rng.random((1 if APPLICATIONS.get(name, (0, 0))[1] == 1 else 2, *model.input_shape[1:]), dtype=np.float32)
    targets = [1, 0][: len(images)]
    scores = np.asarray(score_model(model)(images))[range(len(images)), targets]

    notes = []
    maps = eagerly(model, images, targets, (("*", WinnerTakesAll()), ("*", Accounting(notes))))
    assert abs(maps.sum() + sum(notes) - scores.sum()) < 1e-3 * (np.abs(scores).sum() + np.abs(notes).sum())
    assert maps.std() > 0
    if APPLICATIONS.get(name, (0, 0))[1] == 1:
        return
    flat = eagerly(model, images, targets, composite("flat"))
    assert np.allclose(flat.sum(axis=(1, 2, 3)), scores, rtol=1e-3)
    preset = eagerly(model, images, targets, composite("epsilon_alpha2_beta1_flat"))
    assert np.isfinite(preset).all() and preset.std() > 0


class Patches(layers.Layer):
    """Add a trained class token before the tokens, and a trained embedding of the place to all."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token", initializer="random_normal")
        self.place = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="place", initializer="random_normal")

    def call(self, x):
        token = keras.ops.repeat(self.token, keras.ops.shape(x)[0], axis=0)
        return keras.ops.concatenate([token, x], axis=1) + self.place


def vision_transformer(bias):
    """Return a small ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) of 4 x 4 patches."""
    relevance.register(Patches, "linear")
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(12, 4, strides=4, use_bias=bias, name="patches")(image)
    x = layers.Reshape((16, 12))(x)
    x = Patches(name="places")(x)
    for block in range(2):
        y = layers.LayerNormalization(center=bias, name=f"normal{block}")(x)
        y = layers.MultiHeadAttention(3, 4, use_bias=bias, dropout=0.1, name=f"attention{block}")(y, y)
        x = layers.Add(name=f"attended{block}")([x, layers.Dropout(0.1)(y)])
        y = layers.LayerNormalization(center=bias)(x)
        y = layers.Dense(24, activation="gelu", use_bias=bias)(y)
        x = layers.Add(name=f"block{block}")([x, layers.Dense(12, use_bias=bias)(y)])
    x = layers.LayerNormalization(center=bias)(x)[:, 0]
    model = randomised(keras.Model(image, layers.Dense(3, activation="softmax", use_bias=bias, name="scores")(x)))
    if not bias:
        for variable in (model.get_layer("places").token, model.get_layer("places").place):
            variable.assign(np.zeros(variable.shape))
    return model


@pytest.mark.slow
def test_relevance_is_conserved_in_a_vision_transformer():
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    plain = vision_transformer(bias=False)
    scores = np.asarray(score_model(plain)(images))[:, 1]
    maps = lrp(plain, images, 1, rule={"MultiHeadAttention": "signal"})  # no bias, no softmax: all reaches the image
    assert np.allclose(maps.sum(axis=(1, 2, 3)), scores, rtol=1e-3, atol=1e-3)

    model = vision_transformer(bias=True)
    scores = np.asarray(score_model(model)(images))[:, 1]
    notes = []
    maps = eagerly(model, images, [1, 1], ((layers.MultiHeadAttention, SignalTakesAll()), ("*", Accounting(notes))))
    assert np.abs(notes).sum() > 1
    assert abs(maps.sum() + sum(notes) - scores.sum()) < 1e-3 * (np.abs(scores).sum() + np.abs(notes).sum())
    # By AttnLRP's rules the softmax absorbs a part, which is small beside what biases absorb; test_attention.py has
    # the literal equations.
    attn = lrp(model, images, 1)
    assert np.isfinite(attn).all() and not np.allclose(attn, maps, atol=1e-3)


def test_a_nested_residual_network_conserves_relevance(images):
    model = residual(bias=False)
    scores = np.asarray(model(images))[:, 2]
    maps = lrp(model, images, 2, rule="simple")
    assert np.allclose(maps.sum(axis=(1, 2, 3)), scores, rtol=1e-3, atol=1e-3 * np.abs(maps).sum(axis=(1, 2, 3)))
    layerwise = lrp_layerwise(model, images, 2, rule="simple")
    assert np.array_equal(layerwise["image"], maps)
    assert {"twice", "twice:1", "block", "block/conv", "block/bn", "block:1", "block/conv:1", "scores"} <= set(
        layerwise
    )
    assert np.allclose(layerwise["block:1"].sum(axis=(1, 2, 3)), scores, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_explained_score_does_not_depend_on_how_the_softmax_is_written(images):
    """The score before the last softmax or sigmoid is explained, whichever layer or operation computes it."""
    rows = [
        [layers.Dense(3, activation="softmax")],
        [layers.Dense(3), layers.Softmax()],
        [layers.Dense(3), layers.Activation("softmax")],
        [layers.Dense(3)],
        [layers.Dense(1, activation="sigmoid")],
        [layers.Dense(1)],
    ]
    targets = [0, 0, 0, 0, 1, 0]  # the output of a single sigmoid is the probability of class 1
    maps = [lrp(small(*row), images, target) for row, target in zip(rows, targets, strict=True)]
    for same in maps:
        assert same.shape == images.shape and same.dtype == np.float32
    for same in maps[1:4]:
        assert np.allclose(same, maps[0], rtol=1e-4, atol=1e-6)
    assert np.allclose(maps[4], maps[5], rtol=1e-4, atol=1e-6)
    regression = small(*rows[5])
    scores = np.asarray(regression(images))
    assert np.allclose(lrp_layerwise(regression, images)[regression.layers[-1].name], scores, rtol=1e-5)


def linear_softmax():
    """Return a network of two pixels, 1 and 2, whose logits are log(2) + 1, 1 and 1; its image; and its weights."""
    kernel = np.array([[np.log(2) - 1, 3, -3], [1, -1, 2]], np.float32)
    model = keras.Sequential(
        [layers.Input((1, 2, 1)), layers.Flatten(), layers.Dense(3, activation="softmax", use_bias=False)]
    )
    model.layers[-1].kernel.assign(kernel)
    return model, np.array([1, 2], np.float32).reshape(1, 1, 2, 1)


@pytest.mark.parametrize("rule", ["simple", Epsilon(1e-9)])
@pytest.mark.parametrize(
    ("score", "target", "expected"),
    [
        # The probabilities are 1/2, 1/4 and 1/4. A pixel has x_i sum_j w_ij dS / dz_j.
        ("logit", 0, [np.log(2) - 1, 2]),
        ("log_odds", 0, [np.log(2) - 1, 1]),  # dS / dz = 1, -1/2, -1/2
        ("log_odds", 1, [3 - (2 * (np.log(2) - 1) - 3) / 3, 2 * (-1 - (2 * 1 + 2) / 3)]),  # -2/3, 1, -1/3
        ("probability", 0, [(np.log(2) - 1) / 4, 1 / 4]),  # 1/4, -1/8, -1/8
        ("probability", 1, [(-2 * (np.log(2) - 1) + 3 * 3 + 3) / 16, 2 * (-2 - 3 - 2) / 16]),  # -2/16, 3/16, -1/16
    ],
)
def test_relevance_of_every_score_of_a_linear_softmax_network(score, target, expected, rule):
    model, image = linear_softmax()
    assert np.allclose(model(image), [[1 / 2, 1 / 4, 1 / 4]], atol=1e-6)
    assert np.allclose(lrp(model, image, target, rule=rule, score=score).ravel(), expected, atol=1e-6)


def test_relevance_of_two_classes_of_a_linear_softmax_network():
    model, image = linear_softmax()
    found = lrp(model, image, 0, against=2, rule="simple", score="logit")
    assert np.allclose(found.ravel(), [np.log(2) + 2, -2], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["logit", "log_odds", "probability"])
def test_every_layer_conserves_what_the_score_starts_with(score, images):
    """Without biases each layer sums to sum_j z_j dS / dz_j, here with the derivative of numpy differences."""
    model, target = small(bias=False), 1
    logits = np.asarray(score_model(model)(images)).astype(float)

    def value(z):
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p = (p / p.sum(axis=1, keepdims=True))[:, target]
        return {"logit": z[:, target], "log_odds": np.log(p / (1 - p)), "probability": p}[score]

    slopes = np.stack([(value(logits + step) - value(logits - step)) / 2e-5 for step in 1e-5 * np.eye(3)], axis=1)
    starts = (logits * slopes).sum(axis=1)
    assert np.abs(starts).min() > 1e-3
    if score != "logit":
        assert np.abs(starts - value(logits)).max() > 1e-2  # the start is not the score
    for rule in (Epsilon(1e-9), Gamma(), "flat"):  # alpha-beta drops that of a logit without positive contributions
        layerwise = lrp_layerwise(model, images, target, rule=rule, score=score)
        totals = {name: values.reshape(len(images), -1).sum(axis=1) for name, values in layerwise.items()}
        assert len(totals) > 5
        for name, total in totals.items():
            assert np.allclose(total, starts, rtol=1e-3, atol=1e-4), (rule, name)


def test_targets_and_batches(model, images):
    scores = np.asarray(score_model(model)(images))
    best = lrp(model, images)
    assert np.array_equal(best, lrp(model, images, scores.argmax(axis=1)))
    for size in (1, 2, 5, 100):
        assert np.allclose(best, lrp(model, images, batch_size=size), rtol=1e-4, atol=1e-6)
    assert np.allclose(best[3:4], lrp(model, images[3:4]), rtol=1e-4, atol=1e-6)
    assert lrp(model, images[:0]).shape == (0, *SHAPE)
    layerwise = lrp_layerwise(model, images, batch_size=2)
    assert layerwise["conv"].shape == (5, 8, 9, 4) and layerwise["scores"].dtype == np.float32
    assert np.allclose(layerwise["scores"].sum(axis=1), scores.max(axis=1), rtol=1e-5)


def test_the_model_does_not_change_and_new_weights_are_used(images):
    model = small()
    weights, config = model.get_weights(), model.get_config()
    before = lrp(model, images, 1, rule="epsilon_plus")
    assert model.get_config() == config
    assert all(np.array_equal(old, new) for old, new in zip(weights, model.get_weights(), strict=True))
    assert all(layer.trainable for layer in model.layers)
    model.set_weights([-2 * weight for weight in weights])
    after = lrp(model, images, 1, rule="epsilon_plus")
    clone = small()
    clone.set_weights(model.get_weights())
    assert not np.allclose(before, after)
    assert np.array_equal(after, lrp(clone, images, 1, rule="epsilon_plus"))


def rules_by_layer(model, rule):
    graph = walk(model)
    rules = zip(graph.steps, assign(composite(rule), graph), strict=True)
    return {step.name: rule for step, rule in rules if not isinstance(step.part, Elementwise)}


def test_each_layer_has_the_rule_that_the_documentation_assigns(model):
    preset = rules_by_layer(model, "epsilon_alpha2_beta1_flat")
    assert preset["conv"] == Flat() and preset["separable"] == AlphaBeta(2, 1)
    assert preset["max"] == WinnerTakesAll() and preset["mean"] == preset["dense"] == Epsilon()
    for single in ("flat", "ww"):
        assert rules_by_layer(model, single)["max"] != WinnerTakesAll()
    alphabeta = rules_by_layer(model, AlphaBeta(1, 0))
    assert alphabeta["dense"] == AlphaBeta(1, 0) and alphabeta["mean"] == Epsilon()
    branched = residual()  # gamma acts on sums and pooling, too; that of zennit on weighted layers only
    everywhere, weighted = (rules_by_layer(branched, rule) for rule in ("gamma", {WEIGHTED: "gamma"}))
    assert everywhere["twice"] == everywhere["block/add"] == weighted["twice"] == Gamma()
    assert weighted["block/add"] == Epsilon()
    zbox = rules_by_layer(model, ZBox(0, 255))
    assert zbox["conv"] == ZBox(0, 255) and zbox["dense"] == Epsilon()
    mapped = rules_by_layer(
        model,
        {
            "conv": "ww",
            "sep*": Gamma(1),
            "MaxPooling2D": Epsilon(0.5),
            layers.AveragePooling2D: "flat",
            WEIGHTED: Simple(),
        },
    )
    assert mapped["conv"] == WSquare() and mapped["separable"] == Gamma(1) and mapped["max"] == Epsilon(0.5)
    assert mapped["mean"] == Flat() and mapped["dense"] == Simple()
    assert rules_by_layer(model, {"*": Epsilon(0.5)})["max"] == WinnerTakesAll()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("lrp", "rule: must be a rule, a map from layers to rules, or one of simple, epsilon, .*, got 'lrp'"),
        ({"conv": "eps"}, "rule: must be a rule, .*, got 'eps'"),
        ({"conv9": "flat"}, "rule: 'conv9' matches no layer; the layers are image, conv, max, "),
        ({"dense": "winner"}, "rule: winner is for max pooling, not for layer dense"),
        ({"dense": "zbox"}, "rule: zbox is for the layer that sees the image, not for layer dense"),
        (ZBox(0, 1), "inputs: must lie between 0.0 and 1.0, the bounds of zbox, got "),
        (ZBox((-9, -9), (9, 0)), r"inputs: must lie between \(-9.0, -9.0\) and \(9.0, 0.0\), the bounds of zbox"),
    ],
)
def test_wrong_rules_are_errors(model, images, rule, message):
    with pytest.raises(InputError, match=message):
        lrp(model, images, rule=rule)


def test_the_error_for_an_unsupported_layer_names_it_and_says_how_to_register_a_rule():
    image = keras.Input((6, 6, 2))
    x = layers.ConvLSTM1D(2, 2, name="memory")(image)
    unsupported = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    message = r"layer memory: ConvLSTM1D of 1 input\(s\) .*register\(ConvLSTM1D, ...\)"
    with pytest.raises(InputError, match=message):
        lrp(unsupported, np.zeros((1, 6, 6, 2)))
    turned = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Lambda(lambda x: x[:, ::-1], name="f")(image))))
    with pytest.raises(InputError, match=r"layer f: .* Lambda .*register\(model.get_layer\('f'\), ...\)$"):
        lrp(turned, np.zeros((1, 6, 6, 2)))


def test_double_precision_models_are_explained_in_double_precision(images):
    keras.config.set_dtype_policy("float64")
    double = small()
    keras.config.set_dtype_policy("float32")
    single = small()
    assert np.allclose(lrp(double, images, 0), lrp(single, images, 0), rtol=1e-3, atol=1e-5)
    assert Activations(tf.constant(images)).signed


@pytest.mark.slow
def test_calls_do_not_leak_memory(images):
    def explain(model, times):
        for _ in range(times):
            for rule in ("epsilon", "epsilon_alpha2_beta1_flat", {"conv": "flat", "*": Gamma()}):
                lrp(model, images, rule=rule, batch_size=2)
                lrp_layerwise(model, images, rule=rule)

    model = small()
    explain(model, 20)
    before = resident()
    explain(model, 60)
    assert resident() - before < 8e6
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def resident():
    """Return the resident memory of this process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
