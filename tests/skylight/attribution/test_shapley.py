"""Shapley values against shap, and against the sums that they must have."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.func_graph import FuncGraph

from skylight.attribution import background, deep_shap, gradient_shap, integrated_gradients, shapley
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import resolve, scores_of
from skylight.errors import InputError
from skylight.networks.deep_hits import deep_hits
from tests import memory
from tests.skylight.attribution.applications import NETWORKS
from tests.skylight.attribution.small_networks import SHAPE, network, weights_of

TARGETS = [0, 1, 2, 1, 0]


@pytest.fixture(scope="module")
def typical():
    return np.random.default_rng(1).normal(size=(7, *SHAPE)).astype(np.float32)


def residual():
    """Return a network with batch normalisation, a sum, a separable convolution and several activations."""
    keras.utils.set_random_seed(4)
    image = layers.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization(
        beta_initializer="normal", moving_mean_initializer="normal", gamma_initializer="glorot_uniform"
    )(x)
    x = layers.Activation("swish")(x)
    y = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.ReLU(max_value=6)(layers.Add()([x, y]))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x)))


def gated():
    """Return a network with a product and activations that shap knows; shap's product broadcasts one axis only."""
    keras.utils.set_random_seed(5)
    image = layers.Input(SHAPE)
    x = layers.BatchNormalization(moving_mean_initializer="normal")(layers.Conv2D(4, 3, activation="tanh")(image))
    gate = layers.Conv2D(4, 1, activation="sigmoid")(x)
    x = layers.AveragePooling2D(2)(layers.Multiply()([x, gate]))
    x = layers.Dense(6, activation="softplus", bias_initializer="normal")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


def differences(model, images, typical, targets, **options):
    """Return the score minus the mean score of the background, for each image."""
    images, classes, score = resolve(model, images, targets, **options)
    scores = scores_of(model, score)
    return np.array(
        [
            scores(images[i : i + 1], classes[i : i + 1]).numpy()[0]
            - scores(typical, np.repeat(classes[i : i + 1], len(typical), axis=0)).numpy().mean()
            for i in range(len(images))
        ]
    )


def sums(maps):
    return maps.sum(axis=tuple(range(1, maps.ndim)), dtype=np.float64)


@pytest.mark.parametrize(("kind", "score"), [("classifier", "logit"), ("classifier", "log_odds"), ("gated", "logit")])
@pytest.mark.slow
def test_deep_shap_equals_that_of_shap(kind, score, classifier, images, typical):
    model = classifier if kind == "classifier" else gated()
    theirs = by_engine("shap", deep_shap)(model, images, TARGETS, background=typical, score=score)
    ours = deep_shap(model, images, TARGETS, background=typical, score=score)
    assert np.allclose(ours, theirs, atol=1e-5)
    assert theirs.std() > 0.01


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
@pytest.mark.slow
def test_deep_shap_is_complete(batch_size, classifier, images, typical):
    for model in (classifier, residual()):
        maps = deep_shap(model, images, TARGETS, background=typical, batch_size=batch_size)
        assert np.allclose(sums(maps), differences(model, images, typical, TARGETS), atol=1e-4)


@pytest.mark.parametrize("score", ["logit", "log_odds", "probability", "against"])
@pytest.mark.slow
def test_every_score_is_complete(score, binary, images, typical):
    options = {"against": 2 - np.array(TARGETS) // 2 * 2} if score == "against" else {"score": score}
    model = residual()
    maps = deep_shap(model, images, TARGETS, background=typical, **options)
    assert np.allclose(sums(maps), differences(model, images, typical, TARGETS, **options), atol=1e-4)
    if score != "against":
        maps = deep_shap(binary, images, 0, background=typical, **options)
        assert np.allclose(sums(maps), differences(binary, images, typical, 0, **options), atol=1e-4)


def between(layer):
    """Return a network of one layer and the weights of its cells."""
    keras.utils.set_random_seed(6)
    image = layers.Input(SHAPE)
    x = layers.Flatten()(layer(image))
    return keras.Model(image, layers.Dense(1, bias_initializer="normal")(x), name="between")


CELLWISE = {
    "elu": layers.ELU(),
    "prelu": layers.PReLU(alpha_initializer="normal"),
    "leaky": layers.LeakyReLU(),
    "clipped": layers.ReLU(max_value=1, negative_slope=0.1, threshold=0.2),
    **{
        name: layers.Activation(name)
        for name in ("selu", "gelu", "swish", "hard_swish", "hard_sigmoid", "mish", "softsign", "exponential")
    },
    "tf.nn.relu6": layers.Activation(tf.nn.relu6),
    "a function": layers.Activation(lambda x: x**3),
    "keras.ops.tanh": keras.ops.tanh,
    "lambda": layers.Lambda(lambda x: x * tf.sigmoid(2 * x)),
    "square": lambda x: x * x,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLWISE)
def test_the_map_of_an_activation_is_its_change_times_the_weight(name, images, typical):
    layer = CELLWISE[name]
    model = between(layer)
    change = np.asarray(layer(tf.constant(images[:1]))) - np.asarray(layer(tf.constant(typical[:1])))
    maps = deep_shap(model, images[:1], background=typical[:1])
    assert np.allclose(maps, change * model.weights[-2].numpy().reshape(SHAPE), rtol=1e-4, atol=1e-5)


def test_the_map_of_an_activation_in_a_dense_layer_is_its_change_times_the_weight(images, typical):
    kernel = keras.initializers.Identity()
    model = between(layers.Dense(2, activation=keras.ops.gelu, kernel_initializer=kernel))
    change = np.asarray(keras.ops.gelu(images[:1])) - np.asarray(keras.ops.gelu(typical[:1]))
    maps = deep_shap(model, images[:1], background=typical[:1])
    assert np.allclose(maps, change * model.weights[-2].numpy().reshape(SHAPE), rtol=1e-4, atol=1e-5)


LINEAR = {
    "normalization": lambda: layers.Normalization(mean=[0.1, 0.2], variance=[2.0, 3.0]),
    "average": lambda: lambda x: layers.Average()([x, layers.Conv2D(2, 3, padding="same")(x)]),
    "augmentation": lambda: keras.Sequential(
        [layers.RandomFlip(), layers.RandomRotation(0.2), layers.GaussianNoise(1)]
    ),
    "upsampling": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "transposed": lambda: layers.Conv2DTranspose(3, 3, strides=2),
    "lambda": lambda: layers.Lambda(lambda x: 3 * x[:, ::-1] - 1),
    "operations": lambda: lambda x: keras.ops.transpose(x, (0, 2, 1, 3)) / 3 + 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAR)
def test_the_map_of_a_linear_layer_is_its_gradient_times_the_change(name, images, typical):
    model = between(LINEAR[name]())
    with tf.GradientTape() as tape:
        image = tf.constant(images[:1])
        tape.watch(image)
        score = model(image, training=False)
    expected = tape.gradient(score, image) * (images[:1] - typical[:1])
    assert np.allclose(deep_shap(model, images[:1], background=typical[:1]), expected, rtol=1e-4, atol=1e-5)


def test_factors_of_a_product_are_multiplied_by_the_mean_of_the_other(images, typical):
    model = between(lambda x: x[..., :1] * x[..., 1:])
    weights = model.weights[-2].numpy().reshape(*SHAPE[:2], 1)
    step, mean = images[:1] - typical[:1], (images[:1] + typical[:1]) / 2
    expected = weights * step * mean[..., ::-1]
    assert np.allclose(deep_shap(model, images[:1], background=typical[:1]), expected, atol=1e-5)


def split(x):
    return layers.Conv2D(3, 3, name="a")(x), layers.Conv2D(3, 3, name="b")(x)


COUPLED = {
    "softmax": lambda: layers.Softmax(axis=-1),
    "softmax activation": lambda: layers.Conv2D(3, 3, activation="softmax"),
    "layer normalization": lambda: lambda x: layers.LayerNormalization()(layers.Conv2D(6, 3)(x)),
    "group normalization": lambda: lambda x: layers.GroupNormalization(2)(layers.Conv2D(6, 3)(x)),
    "maximum": lambda: lambda x: layers.Maximum()(split(x)),
    "attention": lambda: lambda x: layers.MultiHeadAttention(2, 3)(*[layers.Reshape((-1, 2))(x)] * 2),
    "lambda": lambda: layers.Lambda(lambda x: x / (1 + tf.reduce_sum(x**2, axis=-1, keepdims=True))),
    "recurrent": lambda: lambda x: layers.GRU(3)(layers.Reshape((8, 18))(x)),
}


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.slow
def test_the_map_of_any_other_layer_is_its_mean_gradient_on_the_line(name, images, typical):
    """Between linear layers these are integrated gradients."""
    model = between(COUPLED[name]())
    maps = deep_shap(model, images[:2], background=typical[:1])
    path = integrated_gradients(model, images[:2], baseline=typical[0], steps=1000)
    assert np.linalg.norm(maps - path) <= 0.03 * np.linalg.norm(path)
    assert np.allclose(sums(maps), differences(model, images[:2], typical[:1], None), atol=1e-4)


def test_a_number_as_background_is_one_constant_image(classifier, images):
    assert np.allclose(
        deep_shap(classifier, images, background=0.5),
        deep_shap(classifier, images, background=np.full((1, *SHAPE), 0.5)),
    )


def test_shapley_values_of_a_linear_model(linear, images, typical):
    exact = weights_of(linear, 1) * (images - typical.mean(axis=0))
    assert np.allclose(deep_shap(linear, images, 1, background=typical), exact, atol=1e-5)
    sampled = gradient_shap(linear, images, 1, background=typical, samples=4000)
    error = np.abs(weights_of(linear, 1)) * typical.std(axis=0) / np.sqrt(4000)
    assert np.sqrt(np.mean(((sampled - exact) / error) ** 2)) < 2
    constant = gradient_shap(linear, images, 1, background=0.5, samples=2)
    assert np.allclose(constant, weights_of(linear, 1) * (images - 0.5), atol=1e-5)


def test_gradient_shap_agrees_with_shap_within_the_noise(classifier, images, typical):
    samples = 2000
    options = {"background": typical, "samples": samples, "score": "logit", "batch_size": 500}
    theirs = by_engine("shap", gradient_shap)(classifier, images, TARGETS, **options)
    ours = gradient_shap(classifier, images, TARGETS, **options)
    again = gradient_shap(classifier, images, TARGETS, **options, seed=1)
    noise = np.sqrt(np.mean((ours - again) ** 2))
    assert 0.8 < np.sqrt(np.mean((ours - theirs) ** 2)) / noise < 1.2
    assert noise < 0.1 * theirs.std()


def test_gradient_shap_is_complete_within_the_noise(classifier, images, typical):
    maps = gradient_shap(classifier, images, TARGETS, background=typical, samples=2000, batch_size=500)
    owed = differences(classifier, images, typical, TARGETS)
    assert np.allclose(sums(maps), owed, atol=0.05 * np.abs(owed).max())


def test_the_seed_determines_the_samples(classifier, images, typical):
    one, same, other = (
        gradient_shap(classifier, images, background=typical, samples=3, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_the_seed_determines_the_background():
    inputs = np.arange(50.0).reshape(50, 1, 1, 1)
    drawn = background(inputs, 10, seed=3)
    assert drawn.shape == (10, 1, 1, 1)
    assert len(np.unique(drawn)) == 10
    assert np.array_equal(drawn, background(inputs, 10, seed=3))
    assert not np.array_equal(drawn, background(inputs, 10, seed=4))
    assert np.array_equal(background(inputs, 50, seed=0), inputs)
    with pytest.raises(InputError, match="size: must be 1 to 50"):
        background(inputs, 51, seed=0)


def backbone(image):
    x = layers.Conv2D(4, 3, activation="relu", name="one")(image)
    return layers.MaxPooling2D(2, name="pool")(x), layers.GlobalAveragePooling2D(name="mean")(x)


@pytest.mark.slow
def test_nested_models_of_several_outputs_have_the_maps_of_the_same_network_without_nesting(images, typical):
    image = layers.Input(SHAPE)

    def headed(pooled, mean):
        head = keras.Sequential([layers.Flatten(), layers.Dense(5, activation="swish")], name="head")
        return layers.Dense(3, activation="softmax")(layers.Concatenate()([head(pooled), mean]))

    keras.utils.set_random_seed(7)
    nested = keras.Model(image, headed(*keras.Model(image, backbone(image), name="backbone")(image)))
    flat = keras.Model(image, headed(*backbone(image)))
    flat.set_weights(nested.get_weights())
    assert np.allclose(
        deep_shap(nested, images, TARGETS, background=typical),
        deep_shap(flat, images, TARGETS, background=typical),
        atol=1e-6,
    )


def test_a_layer_that_is_called_twice_has_the_maps_of_two_layers(images, typical):
    image = layers.Input(SHAPE)

    def twice(first, second):
        return keras.Model(image, layers.Dense(2, kernel_initializer="ones")(layers.Flatten()(second(first(image)))))

    one, other = (layers.Conv2D(2, 3, padding="same", activation="tanh", bias_initializer="normal") for _ in range(2))
    shared, separate = twice(one, one), twice(one, other)
    other.set_weights(one.get_weights())
    maps = [deep_shap(model, images, 1, background=typical) for model in (shared, separate)]
    assert np.allclose(*maps, atol=1e-6)


def test_rules_stay_when_an_identity_is_trained(images, typical):
    """A layer that begins as an identity is not taken for a linear one."""

    class Gate(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="zeros")

        def call(self, x):
            return x + self.scale * tf.nn.softmax(x)

    model = between(Gate())
    deep_shap(model, images, background=typical)
    model.layers[1].scale.assign(5.0)
    maps = deep_shap(model, images, background=typical)
    assert np.allclose(sums(maps), differences(model, images, typical, None), atol=1e-4)


@pytest.mark.slow
def test_images_in_quarter_turns_and_of_any_size_are_explained():
    images = np.random.default_rng(2).random((3, 21, 21, 4), dtype=np.float32)
    model = deep_hits("concatenation", width=0.1)
    assert np.allclose(
        sums(deep_shap(model, images[:2], background=images)), differences(model, images[:2], images, None)
    )
    image = layers.Input((None, None, 4))
    x = layers.LayerNormalization()(layers.Conv2D(3, 3, activation="gelu")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    owed = differences(model, images[:2], images, None)
    assert np.allclose(sums(deep_shap(model, images[:2], background=images)), owed, atol=1e-5)


def test_values_that_deep_shap_cannot_explain_are_errors(images):
    model = between(lambda x: keras.ops.where(keras.ops.greater(x, 0), x, 0.1 * x))
    with pytest.raises(InputError, match=r"layer where\S*: deep_shap cannot explain through values of type bool"):
        deep_shap(model, images)
    model = between(lambda x: keras.ops.exp(keras.ops.exp(10 * x)))
    with pytest.raises(InputError, match="model between: deep_shap misses the score by"):
        deep_shap(model, images, background=0.3)


@pytest.mark.slow
def test_nothing_of_a_dropped_model_is_left(images):
    def graphs():
        for _ in range(3):
            gc.collect()
        return [each for each in gc.get_objects() if isinstance(each, FuncGraph)]

    before = {id(graph) for graph in graphs()}
    for _ in range(2):
        deep_shap(network({"units": 3, "activation": "softmax"}), images, background=images)
    assert [graph for graph in graphs() if id(graph) not in before] == []


@pytest.mark.slow
def test_memory_does_not_grow_with_images_and_background():
    keras.utils.set_random_seed(0)
    image = layers.Input((48, 48, 1))
    x = layers.LayerNormalization()(layers.Conv2D(16, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalMaxPooling2D()(x)))
    images = np.random.default_rng(0).random((32, 48, 48, 1), dtype=np.float32)

    def needed(count):
        base = memory.forget_peak()
        deep_shap(model, images[:count], 0, background=images[:count], batch_size=16)
        return memory.peak() - base

    needed(8)  # the memory that TensorFlow keeps
    few, many = needed(8), needed(32)
    assert many <= few + 30 * 1024  # KiB; one value of all 1,024 pairs takes 130 MiB


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.slow
def test_networks_that_people_use_are_explained_completely(name):
    model = NETWORKS[name]()
    random = np.random.default_rng(0)
    images = random.random((3, *model.input_shape[1:]), dtype=np.float32)
    maps = deep_shap(model, images[:1], background=images[1:])
    owed = differences(model, images[:1], images[1:], None)
    assert np.abs(maps).sum() > 0
    assert np.abs(sums(maps) - owed) <= 1e-5 * np.abs(maps).sum() + 1e-5
    if name == "vision_transformer":
        paths = [integrated_gradients(model, images[:1], baseline=other, steps=200) for other in images[1:]]
        assert np.corrcoef(maps.ravel(), np.mean(paths, axis=0).ravel())[0, 1] > 0.99


@pytest.mark.parametrize("method", [deep_shap, gradient_shap])
def test_wrong_backgrounds_are_errors(method, classifier, images):
    with pytest.raises(InputError, match=r"background: must be a number or images like the inputs, got \(3, 8, 8, 2\)"):
        method(classifier, images, background=np.zeros((3, 8, 8, 2)))
    with pytest.raises(InputError, match=r"background: must be .* got \(0, 8, 9, 2\)"):
        method(classifier, images, background=images[:0])


def test_gradient_shap_without_samples_is_an_error(classifier, images):
    with pytest.raises(InputError, match="samples: must be at least 1, got 0"):
        gradient_shap(classifier, images, samples=0)


def test_completeness_is_relative_to_the_score():
    """An error of all of a small score is an error."""
    model = keras.Sequential([layers.Input((2,)), layers.Dense(2)])
    maps, owed, sizes = np.zeros((1, 2)), np.array([1e-4]), np.array([1e-4])
    with pytest.raises(InputError, match="misses the score"):
        shapley._check_completeness(model, maps, owed, sizes)
    shapley._check_completeness(model, np.array([[0.5e-4, 0.5e-4]]), owed, sizes)


def test_nan_in_the_background_is_named():
    model = keras.Sequential([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(2)])
    background = np.zeros((3, 2, 2, 1), np.float32)
    background[1, 0, 0] = np.nan
    for method in (deep_shap, gradient_shap):
        with pytest.raises(InputError, match=r"^background: image 1 has 1 value"):
            method(model, np.zeros((1, 2, 2, 1)), 0, background=background)
