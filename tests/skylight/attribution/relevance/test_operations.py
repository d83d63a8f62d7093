"""Operations of keras.ops: what they compute, and that they keep all relevance."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from skylight.attribution.relevance import lrp, lrp_layerwise
from skylight.attribution.relevance.composites import composite
from skylight.errors import InputError
from tests.skylight.attribution.relevance.test_canonizers import randomised
from tests.skylight.attribution.relevance.test_lrp import eagerly

CONSERVING = {
    "get_item": lambda x: x[:, 1:, ::2],
    "reshape": lambda x: ops.reshape(x, (-1, 12)),
    "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "concatenate": lambda x: ops.concatenate([x, 2 * x], axis=-1),
    "stack": lambda x: ops.stack([x, x], axis=1),
    "split": lambda x: ops.add(*ops.split(x, 2, axis=-1)),
    "unstack": lambda x: ops.unstack(x, axis=1)[2],
    "flip": lambda x: ops.flip(x, axis=1),
    "roll": lambda x: ops.roll(x, 1, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "repeat": lambda x: ops.repeat(x, 3, axis=1),
    "take": lambda x: ops.take(x, [2, 0, 0], axis=1),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (2, 1))),
    "mean": lambda x: ops.mean(x, axis=1),
    "sum": lambda x: ops.sum(x, axis=(1, 2), keepdims=True),
    "average": lambda x: ops.average(x, axis=1, weights=np.array([1.0, 2.0, -0.5], np.float32)),
    "matmul": lambda x: ops.matmul(x, np.arange(8, dtype=np.float32).reshape(4, 2) - 3),
    "einsum": lambda x: ops.einsum("ntd,ds->nts", x, np.ones((4, 2), np.float32)),
    "subtract": lambda x: x - ops.flip(x, axis=1),
    "negative": lambda x: -x,
    "relu": ops.relu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "hard_sigmoid": ops.hard_sigmoid,
    "tanh": ops.tanh,
    "power": lambda x: x**3,
    "clip": lambda x: ops.clip(x, -0.5, 1.5),
    "maximum": lambda x: ops.maximum(x, 0.1),
    "maximum_of_two": lambda x: ops.maximum(x, ops.flip(x, axis=1)),
    "minimum_of_two": lambda x: ops.minimum(x, ops.flip(x, axis=1)),
    "max": lambda x: ops.max(x, axis=1),
    "norm": lambda x: ops.norm(x, axis=-1),
    "std": lambda x: ops.std(x, axis=1),
    "multiply": lambda x: x * ops.sigmoid(ops.mean(x, axis=1, keepdims=True)),
    "divide": lambda x: x / ops.norm(x, axis=-1, keepdims=True),
    "standardise": lambda x: (x - ops.mean(x, axis=-1, keepdims=True)) / ops.sqrt(ops.var(x, axis=-1, keepdims=True)),
    "layer_of_relu": lambda x: layers.Activation(ops.relu)(x),
    "prelu": lambda x: layers.PReLU()(x),
    "elu": lambda x: layers.ELU()(x),
    "selu": lambda x: layers.Activation("selu")(x),
}


@pytest.mark.slow
def test_operations_conserve_relevance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    for name, operation in CONSERVING.items():
        image = keras.Input((3, 4), name="image")
        y = layers.Flatten()(operation(image))
        model = randomised(keras.Model(image, layers.Dense(2, use_bias=False, name="scores")(y)))
        total = eagerly(model, x, [0, 0], composite("epsilon")).sum(axis=(1, 2))
        assert np.allclose(total, np.asarray(model(x))[:, 0], rtol=2e-3, atol=1e-3), name


def test_patches_of_images_are_rearrangements():
    image = keras.Input((6, 6, 2), name="image")
    patches = ops.image.extract_patches(image, 3)
    model = randomised(keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(patches))))
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    values = lrp_layerwise(model, x, 0)
    rows = values["extract_patches"].reshape(2, 2, 2, 3, 3, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 6, 2)
    assert np.allclose(values["image"], rows, rtol=1e-4, atol=1e-5)


def test_operations_without_a_rule_are_refused():
    image = keras.Input((3, 4))
    for operation, message in (
        (lambda x: ops.sort(x), r"Sort of 1 input\(s\) is not supported"),
        (lambda x: 2.0**x, "LRP supports only powers with a constant exponent"),
        (lambda x: layers.Activation("log_softmax")(x), "the activation log_softmax is not supported"),
        (lambda x: layers.Dot(2, normalize=True)([x, x]), "LRP supports Dot without normalize"),
    ):
        model = keras.Model(image, layers.Dense(1)(layers.Flatten()(operation(image))))
        with pytest.raises(InputError, match=message):
            lrp(model, np.ones((1, 3, 4)))
