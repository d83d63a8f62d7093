"""Layers beyond the plain rules: normalisation, gates, identities at inference, and layers of the user's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from skylight.attribution.relevance import (
    Elementwise,
    Epsilon,
    Flat,
    Gamma,
    Linear,
    Linearised,
    Rearrange,
    SignalTakesAll,
    Uniform,
    WinnerTakesAll,
    lrp,
    lrp_layerwise,
    register,
)
from skylight.attribution.relevance.layers import program
from skylight.attribution.relevance.parts import IDENTITY, Activations
from skylight.errors import InputError
from tests.skylight.attribution.relevance import literal
from tests.skylight.attribution.relevance.test_canonizers import randomised


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def backwards(model, rule, inputs, relevance):
    """Propagate relevance through the single layer of a model, and return that of each of its inputs."""
    node = model.outputs[0]._keras_history.operation._inbound_nodes[0]
    values = [Activations(tf.constant(x)) for x in inputs]
    ways_back = []
    for part, reads in program(node):
        output, back = part(*(values[read] for read in reads))
        values.append(output)
        ways_back.append((back, reads))
    assert np.allclose(values[-1].values, model(list(inputs) if len(inputs) > 1 else inputs[0]), atol=1e-5)
    shares = {len(values) - 1: tf.constant(relevance)}
    for place, (back, reads) in reversed(list(enumerate(ways_back, start=len(inputs)))):
        for read, share in zip(reads, back(rule, shares[place]), strict=True):
            if share is not None:
                shares[read] = shares[read] + share if read in shares else share
    return [shares[place].numpy() if place in shares else np.zeros_like(x) for place, x in enumerate(inputs)]


def of_one_layer(layer, *shapes, **options):
    images = [keras.Input(shape) for shape in shapes]
    model = keras.Model(images, layer(images if len(images) > 1 else images[0], **options))
    return randomised(model)


NORMALISATIONS = {
    "layer": (lambda: layers.LayerNormalization(epsilon=0.1), (2, 4), [-1]),
    "layer_of_two_axes": (lambda: layers.LayerNormalization(axis=[1, 2], center=False), (2, 4), [1, 2]),
    "layer_bare": (lambda: layers.LayerNormalization(scale=False, center=False), (3,), [-1]),
    "group": (lambda: layers.GroupNormalization(groups=2), (2, 4), None),
    "rms": (lambda: layers.RMSNormalization(epsilon=0.1), (2, 4), [-1]),
    "unit": (layers.UnitNormalization, (2, 4), [-1]),
}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisations_are_affine_maps_with_a_constant_deviation(name, rng):
    """The weights are those of x -> scale (x - mean of x) / deviation + offset, the deviation of this very image."""
    make, shape, axes = NORMALISATIONS[name]
    layer = make()
    model = of_one_layer(layer, shape)
    x = rng.normal(size=(1, *shape)).astype(np.float32)
    scale = {"layer": "gamma", "group": "gamma", "rms": "scale"}.get(name.partition("_")[0], "")
    scale = getattr(layer, scale, None)
    scale = 1 if scale is None else np.asarray(scale, np.float64)
    offset = 0 if getattr(layer, "beta", None) is None else np.asarray(layer.beta, np.float64)

    def frozen(y):
        """Normalise y with the deviation of x."""
        grouped = [v.reshape(1, 2, 2, 2) for v in (x, y)] if name == "group" else [x, y]
        over = (1, 3) if name == "group" else tuple(axes)
        old, new = (v.astype(np.float64) for v in grouped)
        if name == "unit":
            normal = new / np.sqrt((old**2).sum(axis=over, keepdims=True))
        elif name == "rms":
            normal = new / np.sqrt((old**2).mean(axis=over, keepdims=True) + layer.epsilon)
        else:
            deviation = np.sqrt(old.var(axis=over, keepdims=True) + layer.epsilon)
            normal = (new - new.mean(axis=over, keepdims=True)) / deviation
        return normal.reshape(y.shape) * scale + offset

    W, b = literal.matrix(frozen, x)
    relevance = rng.normal(size=x.shape).astype(np.float32)
    (ours,) = backwards(model, Epsilon(0.2), [x], relevance)
    theirs = literal.epsilon(W, b, x.ravel(), relevance.ravel(), 0.2)[:-1]
    assert np.abs(ours.ravel() - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_normalisations_take_only_the_epsilon_rule(rng):
    image = keras.Input((4, 4, 2))
    x = layers.LayerNormalization(name="normal")(layers.Conv2D(3, 2)(image))
    model = randomised(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))))
    x = rng.normal(size=(1, 4, 4, 2))
    assert np.isfinite(lrp(model, x, rule="gamma")).all()
    with pytest.raises(InputError, match="rule: gamma is for other layers, not for layer normal"):
        lrp(model, x, rule={"normal": Gamma()})


IDENTITIES = [
    *(layers.RandomFlip(), layers.RandomRotation(0.5), layers.RandomZoom(0.5), layers.RandomContrast(0.5)),
    *(layers.RandomBrightness(0.5), layers.RandomTranslation(0.1, 0.1), layers.RandomCrop(8, 8), layers.RandomHue(0.5)),
    *(layers.RandomInvert(0.5), layers.RandomErasing(0.5), layers.RandomShear(0.5), layers.RandomSharpness(0.5)),
    *(layers.MixUp(), layers.CutMix(), layers.RandAugment(), layers.AugMix()),
    *(layers.GaussianNoise(1.0), layers.GaussianDropout(0.5), layers.AlphaDropout(0.5), layers.SpatialDropout2D(0.5)),
    *(layers.ActivityRegularization(0.1), layers.Identity()),
]


def test_augmentation_and_noise_are_identities(rng):
    x = rng.random((2, 8, 8, 3)).astype(np.float32)
    image = keras.Input((8, 8, 3))
    for layer in IDENTITIES:
        assert np.allclose(keras.Model(image, layer(image))(x, training=False), x), layer.name
        assert [part for part, _ in program(layer._inbound_nodes[-1])] == [IDENTITY], layer.name


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.UpSampling2D(2, interpolation="bilinear"),
        lambda: layers.Resizing(3, 3),
        lambda: layers.Resizing(2, 5, "bicubic"),
        lambda: layers.CenterCrop(3, 2),
    ],
)
def test_layers_that_interpolate_have_the_epsilon_rule(make, rng):
    layer = make()
    model = of_one_layer(layer, (4, 5, 1))
    x = rng.normal(size=(1, 4, 5, 1)).astype(np.float32)
    W, b = literal.matrix(lambda x: layer(tf.constant(x, tf.float32)), x)
    relevance = rng.normal(size=model(x).shape).astype(np.float32)
    (ours,) = backwards(model, Epsilon(0.3), [x], relevance)
    assert np.allclose(ours.ravel(), literal.epsilon(W, b, x.ravel(), relevance.ravel(), 0.3)[:-1], atol=1e-5)


def test_a_gate_takes_no_relevance_or_an_equal_share(rng):
    image, gate = rng.normal(size=(2, 3, 3, 4)).astype(np.float32), rng.random((2, 1, 1, 4)).astype(np.float32)
    model = of_one_layer(layers.Multiply(), (3, 3, 4), (1, 1, 4))
    relevance = rng.normal(size=image.shape).astype(np.float32)
    signal, nothing = backwards(model, SignalTakesAll(), [image, gate], relevance)
    assert np.array_equal(signal, relevance) and not nothing.any()
    half, other = backwards(model, Uniform(), [image, gate], relevance)
    assert np.allclose(half, relevance / 2)
    assert np.allclose(other, relevance.sum(axis=(1, 2), keepdims=True) / 2, atol=1e-5)
    quotient = keras.Model(model.inputs, model.inputs[0] / model.inputs[1])
    whole, nothing = backwards(quotient, Uniform(), [image, gate], relevance)
    assert np.array_equal(whole, relevance) and not nothing.any()


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "relu6", "ops"])
def test_of_two_equally_large_factors_the_bounded_one_is_the_gate(gate, rng):
    image = keras.Input((3, 3, 2))
    signal, mask = layers.Conv2D(4, 1, name="signal")(image), layers.Conv2D(4, 1, name="mask")(image)
    bounded = keras.ops.sigmoid(mask) if gate == "ops" else layers.Activation(gate)(mask)
    product = layers.Multiply(name="product")([0.5 * bounded, signal])
    model = randomised(keras.Model(image, layers.Dense(2)(layers.Flatten()(product))))
    x = rng.normal(size=(2, 3, 3, 2)).astype(np.float32)
    values = lrp_layerwise(model, x, 0)
    assert np.array_equal(values["signal"], values["product"]) and not values["mask"].any()
    shared = lrp_layerwise(model, x, 0, rule={"product": "uniform"})
    assert np.allclose(shared["signal"], shared["product"] / 2) and np.allclose(
        shared["mask"], shared["signal"], atol=1e-4
    )
    with pytest.raises(InputError, match="rule: signal is for products and attention, not for layer mask"):
        lrp(model, x, rule={"mask": "signal"})


def test_merging_layers(rng):
    a, b = rng.normal(size=(2, 2, 3)).astype(np.float32), rng.normal(size=(2, 2, 3)).astype(np.float32)
    relevance = rng.normal(size=a.shape).astype(np.float32)
    inputs = np.stack([a, b]).astype(np.float64)
    for layer, weights in ((layers.Add(), [1, 1]), (layers.Subtract(), [1, -1]), (layers.Average(), [0.5, 0.5])):
        model = of_one_layer(layer, (2, 3), (2, 3))
        ours = backwards(model, Epsilon(0.1), [a, b], relevance)
        z = sum(w * x for w, x in zip(weights, inputs, strict=True))
        z = 2 * z if isinstance(layer, layers.Average) else z  # the rule is that of the sum, which is then halved
        theirs = [
            w / max(np.abs(weights)) * x / (z + np.where(z >= 0, 0.1, -0.1)) * relevance
            for w, x in zip(weights, inputs, strict=True)
        ]
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    b[0] = a[0]  # equal maxima
    for layer, wins in ((layers.Maximum(), a > b), (layers.Minimum(), a < b)):
        model = of_one_layer(layer, (2, 3), (2, 3))
        ours = backwards(model, WinnerTakesAll(), [a, b], relevance)
        assert np.allclose(ours[0], np.where(a == b, 0.5, wins) * relevance)
        assert np.allclose(ours[0] + ours[1], relevance)


def test_a_value_that_is_read_twice_by_one_layer_receives_its_relevance_once(rng):
    image = keras.Input((4,), name="image")
    x = rng.normal(size=(2, 4)).astype(np.float32)
    row = keras.ops.expand_dims(image, 1)
    squares = keras.ops.squeeze(keras.ops.matmul(row, keras.ops.transpose(row, (0, 2, 1))), -1)
    for twice in (layers.Concatenate()([image, image]), image * image, squares, layers.Maximum()([image, image])):
        model = randomised(keras.Model(image, layers.Dense(2, use_bias=False)(twice)))
        assert np.allclose(lrp(model, x, 0).sum(axis=1), np.asarray(model(x))[:, 0], rtol=1e-3, atol=1e-4)


def test_a_sum_collects_the_relevance_of_what_it_repeats(rng):
    big, small = rng.normal(size=(2, 3, 2)).astype(np.float32), rng.normal(size=(2, 1, 2)).astype(np.float32)
    images = [keras.Input((3, 2)), keras.Input((1, 2))]
    model = keras.Model(images, images[0] + images[1])
    relevance = rng.normal(size=big.shape).astype(np.float32)
    ours = backwards(model, Epsilon(1e-6), [big, small], relevance)
    assert np.allclose(ours[0], big / (big + small) * relevance, rtol=1e-3)
    assert np.allclose(ours[1], (small / (big + small) * relevance).sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-4)


def test_the_scaled_residual_of_inception_resnet(rng):
    a, b = rng.normal(size=(2, 1, 5)).astype(np.float32)
    model = of_one_layer(CustomScaleLayer(0.2), (5,), (5,))
    ours = backwards(model, Epsilon(1e-6), [a, b], np.ones((1, 5), np.float32))
    assert np.allclose(ours, [a / (a + 0.2 * b), 0.2 * b / (a + 0.2 * b)], rtol=1e-3)


@pytest.mark.parametrize("written", ["layer", "activation", "ops", "dense"])
def test_a_softmax_inside_the_network_has_the_rule_of_attnlrp(written, rng):
    image = keras.Input((4,))
    output = {
        "layer": lambda: layers.Softmax()(image),
        "activation": lambda: layers.Activation("softmax")(image),
        "ops": lambda: keras.ops.softmax(image),
        "dense": lambda: layers.Dense(4, activation="softmax", kernel_initializer="identity")(image),
    }[written]()
    x, relevance = rng.normal(size=(2, 1, 4)).astype(np.float32)
    (ours,) = backwards(keras.Model(image, output), Epsilon(1e-9), [x], relevance)
    s = np.exp(x) / np.exp(x).sum()
    jacobian = s.T * (np.eye(4) - s)  # ds_k / dx_j, in row k
    theirs = [sum(x[0, j] * jacobian[k, j] / s[0, k] * relevance[0, k] for k in range(4)) for j in range(4)]
    assert np.allclose(ours[0], theirs, rtol=1e-4)


# Layers of a user's own


class Scaled(layers.Layer):
    """Multiply each channel by a trained number."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="kernel", initializer="random_normal")

    def call(self, x):
        return x * self.scale


class Blur(layers.Layer):
    """Average the neighbours along the first axis."""

    def call(self, x):
        return (x + keras.ops.roll(x, 1, axis=1)) / 2


class Twisted(layers.Layer):
    def call(self, x):
        return keras.ops.flip(x, axis=1)


class Bend(layers.Layer):
    def call(self, x):
        return x * keras.ops.abs(x)


class Total(layers.Layer):
    def call(self, a, b):
        return a + b


class Unpacked(layers.Layer):
    """Take a packed input apart."""

    def call(self, x):
        return keras.ops.reshape(x[:, :8], (-1, 2, 4)), x[:, 8:]


class GlobalResponseNormalization(layers.Layer):
    """GRN of ConvNeXt v2 (Woo et al. 2023, arXiv:2301.00808, eq. 1 to 3)."""

    def build(self, shape):
        self.gamma, self.beta = (self.add_weight(shape=(shape[-1],), name=name) for name in ("gamma", "beta"))

    def call(self, x):
        size = keras.ops.norm(x, axis=(1, 2), keepdims=True)
        return self.gamma * (x * (size / keras.ops.mean(size, axis=-1, keepdims=True))) + self.beta + x


def network(layer, shape=(6, 4)):
    image = keras.Input(shape, name="image")
    x = layers.Conv1D(4, 1, activation="relu", name="conv")(image)
    return randomised(keras.Model(image, layers.Dense(2, name="scores")(layers.Flatten()(layer(x)))))


def test_a_layer_class_of_ones_own_gets_a_rule_in_three_lines(rng):
    """The example of docs/attribution.md."""
    x = rng.normal(size=(2, 6, 4)).astype(np.float32)
    with pytest.raises(InputError, match=r"layer \w+: Scaled of 1 input\(s\) is not supported .*register\(Scaled, "):
        lrp(network(Scaled()), x)

    def parts(layer):
        return Linear(lambda x, kernel: x * kernel, lambda dtype: (tf.cast(layer.scale, dtype), tf.zeros((), dtype)))

    register(Scaled, parts)
    model = network(Scaled(name="scaled"))
    for rule in ("epsilon", "gamma", "flat"):
        values = lrp_layerwise(model, x, 0, rule=rule)
        assert np.allclose(values["scaled"], values["conv"], rtol=1e-3, atol=1e-4), rule


@pytest.mark.parametrize(("kind", "layer"), [("linear", Blur), ("average", Blur), ("rearrangement", Twisted)])
def test_kinds_of_registered_layers_conserve_relevance(kind, layer, rng):
    register(layer, kind)
    values = lrp_layerwise(network(layer(name="own")), rng.normal(size=(2, 6, 4)), 0)
    assert np.allclose(values["own"].sum(axis=(1, 2)), values["conv"].sum(axis=(1, 2)), rtol=1e-3, atol=1e-4)
    if layer is Twisted:
        assert np.array_equal(values["own"], values["conv"][:, ::-1])


@pytest.mark.slow
def test_registered_elementwise_identity_and_sum(rng):
    x = rng.normal(size=(2, 6, 4)).astype(np.float32)
    register(Bend, "elementwise")
    values = lrp_layerwise(network(Bend(name="own")), x, 0)
    assert np.array_equal(values["own"], values["conv"])
    register(Total, "sum")
    total = network(lambda x: Total(name="own")(x, x))
    assert np.allclose(lrp(total, x, 0), lrp(network_like(total, layers.Add()), x, 0), atol=1e-5)
    with pytest.raises(InputError, match=r"rule: must be a function of the layer, or one of linear, .* got 'magic'"):
        register(Bend, "magic")


def network_like(model, add):
    other = network(lambda x: add([x, x]))
    other.set_weights(model.get_weights())
    return other


def test_a_registered_layer_may_have_several_outputs_and_several_parts(rng):
    register(Unpacked, "rearrangement")
    image = keras.Input((11,), name="packed")
    picture, metadata = Unpacked(name="unpacked")(image)
    x = layers.Concatenate()([layers.Flatten()(picture), metadata])
    model = randomised(keras.Model(image, layers.Dense(2)(x)))
    plain = keras.Input((11,))
    same = keras.Model(plain, layers.Dense(2)(plain))
    same.set_weights(model.get_weights())
    x = rng.normal(size=(2, 11)).astype(np.float32)
    assert np.allclose(lrp(model, x, 1), lrp(same, x, 1), atol=1e-5)
    assert {"unpacked", "unpacked[1]"} <= set(lrp_layerwise(model, x, 1))

    class Both(Twisted):
        def call(self, x):
            return keras.ops.tanh(super().call(x))

    register(Both, lambda layer: [Rearrange(lambda x: x[:, ::-1]), Elementwise(tf.tanh)])
    values = lrp_layerwise(network(Both(name="own")), rng.normal(size=(2, 6, 4)), 0)
    assert np.array_equal(values["own"], values["conv"][:, ::-1])


def test_one_lambda_layer_gets_a_rule(rng):
    turn = layers.Lambda(lambda x: x[:, ::-1], name="turn")
    model = network(turn)
    with pytest.raises(InputError, match="layer turn: LRP cannot know what a Lambda layer computes"):
        lrp(model, rng.normal(size=(2, 6, 4)))
    register(turn, "rearrangement")
    values = lrp_layerwise(model, rng.normal(size=(2, 6, 4)), 0)
    assert np.array_equal(values["turn"], values["conv"][:, ::-1])


def test_global_response_normalisation_as_a_class_and_as_operations(rng):
    def frozen(layer):
        """The factor of GRN counts as a constant, as the deviation of the other normalisations."""

        def function(x):
            size = tf.norm(x, axis=(1, 2), keepdims=True)
            factor = tf.stop_gradient(size / tf.reduce_mean(size, axis=-1, keepdims=True))
            return layer.gamma * (x * factor) + layer.beta + x

        return Linearised(function)

    register(GlobalResponseNormalization, frozen)
    image = keras.Input((4, 4, 3), name="image")
    grn = GlobalResponseNormalization(name="grn")
    x = grn(layers.Conv2D(3, 1)(image))
    model = randomised(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))))

    y = layers.Conv2D(3, 1)(image)
    size = keras.ops.norm(y, axis=(1, 2), keepdims=True)
    z = y * (size / keras.ops.mean(size, axis=-1, keepdims=True))
    z = z * np.asarray(grn.gamma) + np.asarray(grn.beta) + y
    same = keras.Model(image, layers.Dense(2)(layers.Flatten()(z)))
    same.set_weights([*model.layers[1].get_weights(), *model.layers[-1].get_weights()])
    x = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    assert np.allclose(model(x), same(x), atol=1e-5)
    ours = lrp(model, x, 0)
    assert np.allclose(lrp(same, x, 0), ours, rtol=1e-2, atol=1e-3 * np.abs(ours).max())


@pytest.mark.slow
def test_images_of_free_size_have_the_maps_of_the_network_of_that_size(rng):
    def made(size):
        image = keras.Input((*size, 2))
        x = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(x))
        x = layers.BatchNormalization()(x)  # folds into the convolution after it, whose padding needs the size
        x = layers.Conv2D(3, 3, padding="same")(x)
        x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
        return randomised(keras.Model(image, layers.Dense(2)(x)))

    free = made((None, None))
    for size in ((8, 9), (7, 7)):
        fixed = made(size)
        x = rng.normal(size=(2, *size, 2)).astype(np.float32)
        for rule in ("epsilon", Flat()):
            assert np.allclose(lrp(free, x, 0, rule=rule), lrp(fixed, x, 0, rule=rule), rtol=1e-4, atol=1e-5)


def test_a_nested_model_with_two_outputs(rng):
    inner_image = keras.Input((6, 4))
    features = layers.Conv1D(3, 2, name="conv")(inner_image)
    other = layers.Dense(5, name="other")(layers.Flatten()(inner_image))
    inner = keras.Model(inner_image, [features, other], name="backbone")
    for both in (True, False):
        image = keras.Input((6, 4))
        first, second = inner(image)
        x = layers.Flatten()(first)
        x = layers.Concatenate()([x, second]) if both else x
        model = randomised(keras.Model(image, layers.Dense(2, use_bias=False)(x)))
        randomised(inner)
        for layer in inner.layers[1:]:
            if getattr(layer, "bias", None) is not None:
                layer.bias.assign(np.zeros(layer.bias.shape))
        x = rng.normal(size=(2, 6, 4)).astype(np.float32)
        values = lrp_layerwise(model, x, 1)
        assert np.allclose(next(iter(values.values())).sum(axis=(1, 2)), np.asarray(model(x))[:, 1], rtol=1e-3)
        assert ("backbone[1]" in values) == both and ("backbone/other" in values) == both


def layers_node_of(layer, image):
    layer(image)
    return layer._inbound_nodes[-1]
