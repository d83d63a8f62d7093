"""Every rule on every layer against its literal form (`literal`), in double precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution.relevance import AlphaBeta, Epsilon, Flat, Gamma, Simple, WinnerTakesAll, WSquare, ZBox
from skylight.attribution.relevance.layers import program
from skylight.attribution.relevance.parts import Activations
from skylight.errors import InputError
from skylight.networks.rotation import CyclicAveragePooling, JoinRotations, QuarterTurns
from tests.skylight.attribution.relevance import literal

RULES = {
    "simple": (Simple(), literal.simple, ()),
    "epsilon": (Epsilon(0.3), literal.epsilon, (0.3,)),
    "gamma": (Gamma(0.7), literal.gamma, (0.7,)),
    "alpha2_beta1": (AlphaBeta(2, 1), literal.alphabeta, (2, 1)),
    "z_plus": (AlphaBeta(1, 0), literal.alphabeta, (1, 0)),
    "alpha3.5_beta2.5": (AlphaBeta(3.5, 2.5), literal.alphabeta, (3.5, 2.5)),
    "only_negative": (AlphaBeta(0, -1), literal.alphabeta, (0, -1)),
    "flat": (Flat(), literal.flat, ()),
    "ww": (WSquare(), literal.wsquare, ()),
    "zbox": (ZBox(-2, 3), literal.zbox, (-2, 3)),
}

LINEAR = {
    "dense": ((5,), lambda: layers.Dense(4)),
    "dense_without_bias": ((5,), lambda: layers.Dense(4, use_bias=False)),
    "dense_of_rows": ((3, 4), lambda: layers.Dense(2)),
    "conv1d": ((7, 2), lambda: layers.Conv1D(3, 3, strides=2)),
    "conv1d_same": ((7, 2), lambda: layers.Conv1D(3, 3, padding="same")),
    "conv1d_causal": ((6, 2), lambda: layers.Conv1D(2, 2, padding="causal", dilation_rate=2)),
    "conv2d": ((5, 4, 2), lambda: layers.Conv2D(3, (3, 2))),
    "conv2d_same_strided": ((5, 4, 2), lambda: layers.Conv2D(3, 3, strides=2, padding="same")),
    "conv2d_dilated": ((5, 5, 2), lambda: layers.Conv2D(2, 2, dilation_rate=2)),
    "depthwise": ((4, 4, 3), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
    "average_pool1d": ((6, 2), lambda: layers.AveragePooling1D(3, strides=2)),
    "average_pool2d": ((4, 4, 2), lambda: layers.AveragePooling2D(2)),
    "average_pool2d_same": ((5, 5, 2), lambda: layers.AveragePooling2D(3, strides=2, padding="same")),
    "global_average1d": ((5, 3), lambda: layers.GlobalAveragePooling1D()),
    "global_average2d": ((3, 3, 2), lambda: layers.GlobalAveragePooling2D(keepdims=True)),
    "batch_norm": ((3, 3, 4), lambda: layers.BatchNormalization(gamma_initializer="normal")),
    "batch_norm_bare": ((5,), lambda: layers.BatchNormalization(scale=False, center=False)),
    "batch_norm_of_rows": ((3, 3, 2), lambda: layers.BatchNormalization(axis=1)),
    "rescaling": ((3, 3, 2), lambda: layers.Rescaling(0.5, offset=-0.2)),
    "cyclic_average": ((3,), CyclicAveragePooling),
    "einsum_dense": ((2, 3), lambda: layers.EinsumDense("nij,ijk->nk", output_shape=4, bias_axes="k")),
    "conv3d": ((3, 2, 2, 2), lambda: layers.Conv3D(2, 2, padding="same")),
    "conv1d_transpose": ((3, 2), lambda: layers.Conv1DTranspose(2, 3, strides=2)),
    "conv2d_transpose": ((3, 2, 2), lambda: layers.Conv2DTranspose(3, (3, 2), strides=2, padding="same")),
    "depthwise1d": ((4, 2), lambda: layers.DepthwiseConv1D(3)),
    "normalization": ((2, 2, 3), lambda: layers.Normalization(mean=[0.5, -1, 2], variance=[0.3, 2, 1])),
    "normalization_inverted": ((3,), lambda: layers.Normalization(mean=0.5, variance=2, invert=True)),
}

MAX_POOLINGS = {
    "max_pool1d": ((7, 2), layers.MaxPooling1D, layers.AveragePooling1D, {"pool_size": 3, "strides": 2}),
    "max_pool2d": ((4, 6, 2), layers.MaxPooling2D, layers.AveragePooling2D, {"pool_size": 2}),
    "overlapping": ((7, 6, 2), layers.MaxPooling2D, layers.AveragePooling2D, {"pool_size": 3, "strides": 2}),
    "same": (
        (5, 6, 2),
        layers.MaxPooling2D,
        layers.AveragePooling2D,
        {"pool_size": 3, "strides": 2, "padding": "same"},
    ),
    "gaps": ((5, 5, 2), layers.MaxPooling2D, layers.AveragePooling2D, {"pool_size": 1, "strides": 2}),
    "oblong": ((6, 5, 1), layers.MaxPooling2D, layers.AveragePooling2D, {"pool_size": (2, 3), "strides": (1, 2)}),
    "global_max1d": ((5, 2), layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D, {}),
    "global_max2d": ((3, 4, 2), layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D, {"keepdims": True}),
}

MOVING = {
    "flatten": ((2, 3, 2), lambda: layers.Flatten()),
    "reshape": ((2, 3, 2), lambda: layers.Reshape((4, 3))),
    "permute": ((2, 3, 2), lambda: layers.Permute((3, 1, 2))),
    "zero_padding1d": ((4, 2), lambda: layers.ZeroPadding1D((1, 2))),
    "zero_padding2d": ((2, 3, 2), lambda: layers.ZeroPadding2D(((1, 0), (2, 1)))),
    "cropping1d": ((5, 2), lambda: layers.Cropping1D((1, 1))),
    "cropping2d": ((4, 4, 2), lambda: layers.Cropping2D(((1, 0), (0, 2)))),
    "repeat": ((4,), lambda: layers.RepeatVector(3)),
    "up_sampling1d": ((3, 2), lambda: layers.UpSampling1D(2)),
    "up_sampling2d": ((2, 3, 2), lambda: layers.UpSampling2D((2, 3))),
    "cropping3d": ((3, 2, 2, 1), lambda: layers.Cropping3D(((1, 0), (0, 1), (0, 0)))),
    "dropout": ((4,), lambda: layers.Dropout(0.5)),
    "quarter_turns": ((2, 2, 2), QuarterTurns),
    "join_rotations": ((3,), JoinRotations),
}

BATCH = 4  # rotations are joined in groups of four


@pytest.fixture(autouse=True)
def double_precision():
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def parts(node):
    """Return the parts of a layer."""
    return [part for part, _ in program(node)]


def called(layer, shape, rng):
    """Call a layer on an input of ``shape``, assign random weights and statistics, and return its parts."""
    layer(keras.Input(shape, dtype="float64"))
    for variable in layer.variables:
        value = rng.normal(size=variable.shape)
        variable.assign(np.abs(value) + 0.1 if "variance" in variable.path else value)
    return parts(layer._inbound_nodes[-1])


def propagated(row, rule, x, relevance, signed=True):
    """Propagate relevance back through the parts of a layer; ``relevance`` makes it from the shape of the outputs."""
    activations, backs = Activations(tf.constant(x), signed), []
    for part in row:
        activations, back = part(activations)
        backs.append(back)
    relevance = relevance(activations.values.shape)
    result = tf.constant(relevance)
    for back in reversed(backs):
        (result,) = back(rule, result)
    return result.numpy(), relevance


def assert_close(ours, expected, message=""):
    assert np.abs(ours - expected).max() <= 1e-5 * np.abs(expected).max(), message


@pytest.mark.slow
@pytest.mark.parametrize("layer", LINEAR)
def test_rules_on_linear_layers(layer, rng):
    shape, make = LINEAR[layer]
    layer = make()
    row = called(layer, shape, rng)
    x = rng.normal(size=(BATCH, *shape))
    W, b = literal.matrix(lambda x: layer(tf.constant(x)), x)
    for name, (rule, expected, options) in RULES.items():
        for inputs, signed in ((x, True), (x.clip(min=0), False), (x.clip(min=0), True)):
            ours, relevance = propagated(row, rule, inputs, lambda shape: rng.normal(size=shape), signed)
            theirs = expected(W, b, inputs.ravel(), relevance.ravel(), *options)
            assert_close(ours.ravel(), theirs[:-1], name)


@pytest.mark.slow
def test_rules_on_a_grouped_convolution(rng):
    grouped = layers.Conv2D(4, 2, groups=2)
    row = called(grouped, (2, 3, 4), rng)
    x = rng.normal(size=(1, 2, 3, 4))
    W, b = literal.matrix(tf.function(grouped), x)  # each call outside a tf.function is compiled anew
    for name in ("epsilon", "alpha2_beta1", "ww"):
        rule, expected, options = RULES[name]
        ours, relevance = propagated(row, rule, x, lambda shape: rng.normal(size=shape))
        assert_close(ours.ravel(), expected(W, b, x.ravel(), relevance.ravel(), *options)[:-1])


def test_a_convolution_with_one_channel_per_group_is_a_depthwise_convolution(rng):
    grouped = layers.Conv2D(4, 2, groups=2, padding="same")
    depthwise = layers.DepthwiseConv2D(2, padding="same", depth_multiplier=2)
    rows = [called(grouped, (3, 3, 2), rng), called(depthwise, (3, 3, 2), rng)]
    depthwise.set_weights([np.reshape(grouped.kernel, (2, 2, 2, 2)), grouped.bias])
    x, relevance = rng.normal(size=(1, 3, 3, 2)), rng.normal(size=(1, 3, 3, 4))
    assert np.allclose(rows[0][0](Activations(tf.constant(x)))[0].values, grouped(x))
    for rule in (Epsilon(), AlphaBeta(), Flat()):
        assert_close(*(propagated(row, rule, x, lambda shape: relevance)[0] for row in rows))


def test_separable_convolution_is_two_convolutions(rng):
    separable = layers.SeparableConv2D(3, 3, depth_multiplier=2, padding="same")
    row = called(separable, (4, 4, 2), rng)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False)
    pointwise = layers.Conv2D(3, 1)
    for layer, shape in ((depthwise, (4, 4, 2)), (pointwise, (4, 4, 4))):
        called(layer, shape, rng)
    depthwise.set_weights([separable.depthwise_kernel])
    pointwise.set_weights([separable.pointwise_kernel, separable.bias])
    x = rng.normal(size=(1, 4, 4, 2))
    between = depthwise(tf.constant(x)).numpy()
    first, second = literal.matrix(depthwise, x), literal.matrix(pointwise, between)
    for rule, expected, options in RULES.values():
        ours, relevance = propagated(row, rule, x, lambda shape: rng.normal(size=shape))
        theirs = expected(*second, between.ravel(), relevance.ravel(), *options)[:-1]
        theirs = expected(*first, x.ravel(), theirs, *options)[:-1]
        assert_close(ours.ravel(), theirs)


@pytest.mark.parametrize("layer", MAX_POOLINGS)
def test_rules_on_max_poolings(layer, rng):
    shape, make, average, options = MAX_POOLINGS[layer]
    row = called(make(**options), shape, rng)
    x = rng.integers(-3, 3, size=(2, *shape)).astype(np.float64)  # few values: many windows have several maxima
    W, b = literal.matrix(lambda x: average(**options)(tf.constant(x)), x)
    ours, relevance = propagated(row, WinnerTakesAll(), x, lambda shape: rng.normal(size=shape))
    assert_close(ours.ravel(), literal.winner(W, b, x.ravel(), relevance.ravel())[:-1])
    ours, relevance = propagated(row, Flat(), x, lambda shape: rng.normal(size=shape))
    assert_close(ours.ravel(), literal.flat(W, b, x.ravel(), relevance.ravel())[:-1])
    sums, x = (W != 0).astype(np.float64), np.abs(x) + 0.5
    ours, relevance = propagated(row, Epsilon(0.1), x, lambda shape: rng.normal(size=shape))
    assert_close(ours.ravel(), literal.epsilon(sums, b, x.ravel(), relevance.ravel(), 0.1)[:-1])


@pytest.mark.parametrize("layer", MOVING)
def test_layers_that_rearrange_cells_move_relevance_back(layer, rng):
    shape, make = MOVING[layer]
    layer = make()
    row = called(layer, shape, rng)
    x = rng.normal(size=(BATCH, *shape))
    W, _ = literal.matrix(lambda x: layer(tf.constant(x)), x)
    assert set(np.unique(W)) <= {0, 1}
    ours, relevance = propagated(row, Epsilon(), x, lambda shape: rng.normal(size=shape))
    assert_close(ours.ravel(), W @ relevance.ravel())


@pytest.mark.parametrize("rule", RULES)
def test_rules_on_a_sum_and_on_multiplication_by_a_constant(rule, rng):
    rule, expected, options = RULES[rule]
    images = [keras.Input((3, 2), dtype="float64") for _ in range(3)]
    total = layers.Add()(images)
    (part,) = parts(total._keras_history.operation._inbound_nodes[0])
    xs = rng.normal(size=(3, 2, 3, 2))
    activations, back = part(*(Activations(tf.constant(x)) for x in xs))
    assert np.allclose(activations.values, xs.sum(axis=0))
    relevance = rng.normal(size=(2, 3, 2))
    W, b = literal.matrix(lambda xs: xs.sum(axis=0), xs)
    ours = np.array(back(rule, tf.constant(relevance)))
    assert_close(ours.ravel(), expected(W, b, xs.ravel(), relevance.ravel(), *options)[:-1])

    constant = rng.normal(size=(3, 2))
    for operation in (
        lambda x: layers.Multiply()([x, keras.ops.convert_to_tensor(constant[None])]),
        lambda x: keras.ops.multiply(constant, x),
        lambda x: keras.ops.subtract(constant, x),
        lambda x: x / constant + 1.5,
    ):
        scaled = operation(images[0])
        model = keras.Model(images[0], scaled)
        row = [part for node in reversed_nodes(model) for part in parts(node)]
        W, b = literal.matrix(lambda x: model(tf.constant(x)), xs[0])  # noqa: B023
        if len(row) == 1:
            ours, relevance = propagated(row, rule, xs[0], lambda shape: rng.normal(size=shape))
            assert_close(ours.ravel(), expected(W, b, xs[0].ravel(), relevance.ravel(), *options)[:-1])
        activations = Activations(tf.constant(xs[0]))
        for part in row:
            activations, _ = part(activations)
        assert np.allclose(activations.values, model(xs[0]))


def reversed_nodes(model):
    """Return the nodes of a chain of operations, in order."""
    return [model._nodes_by_depth[depth][0] for depth in sorted(model._nodes_by_depth, reverse=True)][1:]


@pytest.mark.parametrize(
    "activation", ["relu", "swish", "tanh", "sigmoid", "gelu", "selu", "elu", "hard_silu", "leaky_relu", "linear"]
)
def test_activations_do_not_change_relevance(activation, rng):
    dense = layers.Dense(4, activation=activation)
    row = called(dense, (3,), rng)
    linear = layers.Dense(4)
    called(linear, (3,), rng)
    linear.set_weights(dense.get_weights())
    x = rng.normal(size=(2, 3))
    W, b = literal.matrix(lambda x: linear(tf.constant(x)), x)
    ours, relevance = propagated(row, Epsilon(0.1), x, lambda shape: rng.normal(size=shape))
    assert_close(ours.ravel(), literal.epsilon(W, b, x.ravel(), relevance.ravel(), 0.1)[:-1])
    for layer in (layers.Activation(activation), layers.ReLU(), layers.ReLU(6, 0.1), layers.LeakyReLU()):
        ours, relevance = propagated(called(layer, (3,), rng), Epsilon(), x, lambda shape: rng.normal(size=shape))
        assert np.array_equal(ours, relevance)


def test_outputs_marked_as_not_signed_are_not_negative():
    x = Activations(tf.constant([[-1.0, 0.0, 2.0]]))
    for layer in (layers.ReLU(), layers.Activation("sigmoid"), layers.Dense(4, activation="relu")):
        layer(keras.Input((3,)))
        activations = x
        for part in parts(layer._inbound_nodes[-1]):
            activations, _ = part(activations)
        assert not activations.signed and tf.reduce_min(activations.values) >= 0
    for layer in (layers.LeakyReLU(), layers.Activation("swish"), layers.Dense(4)):
        layer(keras.Input((3,)))
        assert parts(layer._inbound_nodes[-1])[-1](Activations(x.values, signed=False))[0].signed


def test_epsilon_uses_plus_one_as_the_sign_of_zero(rng):
    dense = layers.Dense(1, use_bias=False)
    row = called(dense, (2,), rng)
    dense.set_weights([np.array([[1.0], [-1.0]])])
    ours, _ = propagated(row, Epsilon(0.5), np.array([[3.0, 3.0]]), np.ones)
    assert np.allclose(ours, [[3 / 0.5, -3 / 0.5]])


def test_the_missing_relevance_is_the_share_of_the_bias(rng):
    dense = layers.Dense(6)
    row = called(dense, (8,), rng)
    x = rng.normal(size=(1, 8))
    W, b = literal.matrix(lambda x: dense(tf.constant(x)), x)
    for name in ("simple", "gamma", "alpha2_beta1", "z_plus", "flat", "ww", "zbox"):
        rule, expected, options = RULES[name]
        ours, relevance = propagated(row, rule, x, lambda shape: rng.normal(size=shape))
        absorbed = expected(W, b, x.ravel(), relevance.ravel(), *options)[-1]
        assert np.isclose(ours.sum() + absorbed, relevance.sum(), rtol=1e-9)
        assert (absorbed == 0) == (name in ("flat", "ww", "zbox"))


def test_padding_receives_no_relevance(rng):
    padding, conv = layers.ZeroPadding2D(1), layers.Conv2D(2, 3)
    row = called(padding, (4, 4, 2), rng) + called(conv, (6, 6, 2), rng)
    same = layers.Conv2D(2, 3, padding="same")
    other = called(same, (4, 4, 2), rng)
    same.set_weights(conv.get_weights())
    x, relevance = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(1, 4, 4, 2))
    for rule in (Flat(), WSquare(), ZBox(-2, 2), AlphaBeta(), Epsilon()):
        ours, _ = propagated(row, rule, x, lambda shape: relevance)
        theirs, _ = propagated(other, rule, x, lambda shape: relevance)
        assert_close(ours, theirs)


def test_zbox_accepts_bounds_for_each_channel(rng):
    conv = layers.Conv2D(2, 2)
    row = called(conv, (3, 3, 2), rng)
    x = rng.random((1, 3, 3, 2)) * [1, 5]
    W, _ = literal.matrix(lambda x: conv(tf.constant(x)), x)
    ours, relevance = propagated(row, ZBox((0, 0), (1, 5)), x, lambda shape: rng.normal(size=shape))
    high = np.broadcast_to([1, 5], x.shape).ravel()
    theirs = np.zeros(x.size)
    for k, r in enumerate(relevance.ravel()):
        terms = x.ravel() * W[:, k] - high * W[:, k].clip(max=0)
        theirs += terms / terms.sum() * r
    assert_close(ours.ravel(), theirs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Epsilon(0), "epsilon: must be above 0, got 0"),
        (lambda: Gamma(-1), "gamma: must be at least 0, got -1"),
        (lambda: AlphaBeta(2, 2), "alpha, beta: alpha - beta must be 1, got 2 and 2"),
        (lambda: ZBox(1, 2), "zbox: must have low <= 0 <= high, got 1.0 and 2.0"),
    ],
)
def test_options_out_of_range_are_errors(make, message):
    with pytest.raises(InputError, match=message):
        make()
