"""The score is the input of the last softmax or sigmoid, with the weights of the model, which does not change."""

import gc
import threading
import time
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import METHODS, gradient_x_input, integrated_gradients, saliency, scoring
from skylight.attribution.scoring import (
    batches,
    clone_layer,
    output_model,
    over_batches,
    resolve,
    resolve_inputs,
    resolve_score,
    resolve_targets,
    score_model,
    scores_of,
    two_at_a_time,
)
from skylight.errors import InputError
from skylight.networks.periodic_cnn import periodic_cnn
from skylight.networks.vgg6 import vgg6

SHAPE = (5, 6, 2)


def head(*last, shape=SHAPE):
    """Return a small network that ends with the given layers."""
    image = layers.Input(shape)
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(image))
    for layer in last:
        x = layer(x)
    return keras.Model(image, x)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(7, *SHAPE)).astype(np.float32)


def logit(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize(
    "last",
    [
        lambda: [layers.Dense(4, activation="softmax", name="preds")],
        lambda: [layers.Dense(4), layers.Softmax()],
        lambda: [layers.Dense(4), layers.Activation("softmax")],
        lambda: [layers.Dense(4), keras.ops.softmax],
    ],
)
def test_score_is_the_input_of_the_softmax(last, images):
    model = head(*last())
    scores = score_model(model).predict(images, verbose=0)
    assert np.allclose(keras.ops.softmax(scores), model.predict(images, verbose=0), atol=1e-6)
    assert not np.allclose(scores.sum(axis=1), 1)


@pytest.mark.parametrize(
    "last",
    [
        lambda: [layers.Dense(1, activation="sigmoid")],
        lambda: [layers.Dense(3), layers.Activation("sigmoid")],
        lambda: [layers.Dense(3), keras.ops.sigmoid],
    ],
)
def test_score_is_the_input_of_the_sigmoid(last, images):
    model = head(*last())
    assert np.allclose(
        score_model(model).predict(images, verbose=0), logit(model.predict(images, verbose=0)), atol=1e-4
    )


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_the_score_is_the_output_if_there_is_no_softmax_or_sigmoid(activation, images):
    model = head(layers.Dense(2, activation=activation))
    assert np.array_equal(score_model(model).predict(images, verbose=0), model.predict(images, verbose=0))


def test_score_of_sequential_and_nested_models(images):
    inner = head(layers.Dense(4, activation="softmax"))
    image = layers.Input(SHAPE)
    nested = keras.Model(image, inner(layers.Rescaling(2.0)(image)))
    sequential = keras.Sequential([layers.Input(SHAPE), layers.Flatten(), layers.Dense(4, activation="softmax")])
    for model in (nested, sequential):
        scores = score_model(model).predict(images, verbose=0)
        assert np.allclose(keras.ops.softmax(scores), model.predict(images, verbose=0), atol=1e-6)
        assert scores.std() > 0


def test_score_model_is_made_once_and_has_the_current_weights(images):
    model = head(layers.Dense(4, activation="softmax", name="preds"))
    scores = score_model(model)
    before = scores.predict(images, verbose=0)
    model.set_weights([weight * 2 for weight in model.get_weights()])
    assert score_model(model) is scores
    assert not np.allclose(scores.predict(images, verbose=0), before)
    assert [layer.name for layer in scores.layers] == [layer.name for layer in model.layers]


def test_the_model_does_not_change(images):
    model = vgg6(2, (32, 32, 3))
    model.get_layer("conv1").trainable = False
    state = [
        [weight.copy() for weight in model.get_weights()],
        [layer.get_config() for layer in model.layers],
        [layer.trainable for layer in model.layers],
        [variable.path for variable in model.trainable_variables],
    ]
    score_model(model)
    output_model(model)
    resolve_targets(model, np.zeros((2, 32, 32, 3)))
    assert all(np.array_equal(a, b) for a, b in zip(state[0], model.get_weights(), strict=True))
    assert state[1] == [layer.get_config() for layer in model.layers]
    assert state[2] == [layer.trainable for layer in model.layers]
    assert state[3] == [variable.path for variable in model.trainable_variables]


@pytest.mark.slow
def test_a_model_without_references_is_freed(images):
    model = head(layers.Dense(3))
    resolve_targets(model, images)
    output_model(model)
    ghosts = [weakref.ref(thing) for thing in (model, score_model(model), model.layers[1])]
    del model
    for _ in range(3):  # the first frees the model; then the cached objects, which have reference cycles, can be freed
        gc.collect()
    assert [ghost() for ghost in ghosts] == [None] * 3


def test_targets_are_the_predicted_class_one_class_or_one_per_input():
    model = periodic_cnn(5)
    images = np.random.default_rng(0).random((9, 22, 24, 1)).astype(np.float32)
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    assert np.array_equal(resolve_targets(model, images, batch_size=4), predicted)
    assert np.array_equal(resolve_targets(model, images, 3), [3] * 9)
    targets = resolve_targets(model, images, list(range(5)) + [0] * 4)
    assert targets.tolist() == [0, 1, 2, 3, 4, 0, 0, 0, 0]
    assert targets.dtype == np.int32
    assert resolve_targets(model, images[:0]).shape == (0,)


def test_the_only_target_of_a_regression_is_zero(images):
    model = head(layers.Dense(1))
    assert resolve_targets(model, images).tolist() == [0] * 7
    with pytest.raises(InputError, match="targets: must be 0 to 0"):
        resolve_targets(model, images, 1)


def test_a_single_sigmoid_has_two_classes(images):
    keras.utils.set_random_seed(0)  # both classes are predicted
    model = head(layers.Dense(1, activation="sigmoid", use_bias=False))
    logits = score_model(model).predict(images, verbose=0)[:, 0]
    predicted = resolve_targets(model, images)
    assert predicted.tolist() == (logits > 0).astype(int).tolist()
    assert len(set(predicted)) == 2
    for name, expected in (("logit", logits), ("log_odds", logits), ("probability", 1 / (1 + np.exp(-logits)))):
        assert np.allclose(scored(model, images, 1, name), expected, atol=1e-6)
        opposite = 1 - expected if name == "probability" else -expected
        assert np.allclose(scored(model, images, 0, name), opposite, atol=1e-6)
    with pytest.raises(InputError, match="targets: must be 0 to 1"):
        resolve_targets(model, images, 2)


def scored(model, images, targets=None, score=None, against=None):
    images, classes, kind = resolve(model, images, targets, score, against)
    return scores_of(model, kind)(images, classes).numpy()


def test_scores_by_definition(images):
    model = head(layers.Dense(4, activation="softmax"))
    logits, outputs = score_model(model).predict(images, verbose=0), model.predict(images, verbose=0)
    p = outputs.astype(float)[:, 2]
    assert np.allclose(scored(model, images, 2, "logit"), logits[:, 2])
    assert np.allclose(scored(model, images, 2, "probability"), p, atol=1e-6)
    assert np.allclose(scored(model, images, 2, "log_odds"), np.log(p) - np.log(1 - p), rtol=1e-4, atol=1e-5)
    assert np.array_equal(scored(model, images, 2), scored(model, images, 2, "log_odds"))  # the default
    against = np.array([0, 1, 3, 0, 1, 3, 0])
    expected = logits[:, 2] - np.take_along_axis(logits, against[:, None], axis=1)[:, 0]
    assert np.allclose(scored(model, images, 2, against=against), expected)
    many = head(layers.Dense(4, activation="sigmoid"))  # several answers at once, each with its own log-odds
    assert np.allclose(scored(many, images, 3, "log_odds"), score_model(many).predict(images, verbose=0)[:, 3])


def test_log_odds_do_not_depend_on_what_is_added_to_all_logits(images):
    """The gradient of a single logit does: it is not about the decision of a softmax."""
    plain = head(layers.Dense(4, name="plain"), layers.Softmax())
    image = plain.inputs[0]
    moved = layers.Dense(1, name="moved")(plain.layers[-3].output)
    shifted = keras.Model(image, layers.Softmax()(layers.Add()([plain.get_layer("plain").output, moved])))
    assert np.allclose(plain(images), shifted(images), atol=1e-6)
    assert np.allclose(saliency(plain, images, 1), saliency(shifted, images, 1), atol=1e-6)
    assert not np.allclose(
        saliency(plain, images, 1, score="logit"), saliency(shifted, images, 1, score="logit"), atol=1e-3
    )


def test_wrong_scores_are_errors(images):
    model, regression = head(layers.Dense(4, activation="softmax")), head(layers.Dense(1))
    with pytest.raises(InputError, match="score: must be among logit, log_odds, probability, got 'odds'"):
        resolve(model, images, score="odds")
    with pytest.raises(InputError, match="has one output and no sigmoid, so it has no log-odds"):
        resolve(regression, images, score="log_odds")
    for wrong in ({"score": "probability", "against": 1}, {"score": "log_odds", "against": 1}):
        with pytest.raises(InputError, match="against: needs the score 'logit'"):
            resolve(model, images, 0, **wrong)
    with pytest.raises(InputError, match="against: must be another class than the target, got 1 for both"):
        resolve(model, images, 1, against=1)
    with pytest.raises(InputError, match="targets: must be 0 to 3"):
        resolve(model, images, 1, against=4)


def softmax_of(z):
    return keras.ops.softmax(z)


@pytest.mark.parametrize(
    "last",
    [
        lambda: [layers.Dense(4, activation=tf.nn.softmax)],
        lambda: [layers.Dense(4, activation=softmax_of)],
        lambda: [layers.Dense(4), layers.Lambda(softmax_of)],
        lambda: [layers.Dense(4), keras.ops.softmax],
        lambda: [
            layers.Dense(4, activation="softmax"),
            layers.Dropout(0.5),
            layers.Activation("linear", dtype="float32"),
        ],
        lambda: [layers.Dense(4, activation="softmax"), layers.Identity(), layers.Softmax()],
    ],
    ids=["tf.nn", "a function", "Lambda", "operation", "identities after it", "a second softmax"],
)
def test_a_softmax_is_found_by_what_it_computes(last, images):
    last = last()
    model = head(*last)
    kernel, bias = next(layer for layer in model.layers if layer.name == last[0].name).get_weights()
    before = keras.Model(model.inputs[0], next(x for x in model.layers if isinstance(x, layers.Flatten)).output)
    logits = before.predict(images, verbose=0) @ kernel + bias
    assert np.allclose(score_model(model).predict(images, verbose=0), logits, atol=1e-5)
    assert resolve_score(model).name == "log_odds"


def test_a_softmax_of_sigmoids_keeps_the_sigmoids(images):
    model = head(layers.Dense(4, activation="sigmoid"), layers.Softmax())
    scores = score_model(model).predict(images, verbose=0)
    assert scores.min() > 0 and scores.max() < 1 and resolve_score(model).head == "softmax"


def test_outputs_that_sum_to_1_without_a_softmax_are_refused(images):
    shares = layers.Lambda(lambda z: z**2 / keras.ops.sum(z**2, axis=-1, keepdims=True))
    model = head(layers.Dense(4), shares)
    with pytest.raises(InputError, match="outputs sum to 1, but no softmax was found"):
        saliency(model, images)
    assert saliency(model, images, score="probability").max() > 0
    with pytest.raises(InputError, match="a softmax over one output is always 1"):
        score_model(head(layers.Dense(1, activation="softmax")))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value, images):
    model, broken = head(layers.Dense(4)), images.copy()
    broken.reshape(7, -1)[3, :2] = value
    with pytest.raises(InputError, match=r"inputs: image 3 has 2 value\(s\) that are NaN or infinite"):
        saliency(model, broken)
    with pytest.raises(InputError, match="baseline: image"):
        integrated_gradients(model, images, baseline=broken)


def test_a_network_of_integers_is_explained_in_floats(images):
    image = layers.Input(images.shape[1:], dtype="uint8")
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))
    pixels = np.random.default_rng(0).integers(256, size=images.shape).astype(np.uint8)
    kernel = model.layers[-1].get_weights()[0]
    expected = np.abs(kernel[:, 2] / 255).reshape(images.shape[1:])
    assert np.allclose(saliency(model, pixels, 2), np.broadcast_to(expected, images.shape), atol=1e-7)
    codes = keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Embedding(256, 2)(image))))
    with pytest.raises(InputError, match="takes the numbers of categories"):
        saliency(codes, pixels)


def test_half_precision_is_explained_in_float32(images):
    whole = head(layers.Dense(8, activation="relu"), layers.Dense(4, activation="softmax"))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = head(layers.Dense(8, activation="relu"), layers.Dense(4, activation="softmax"))
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights([1e-4 * weight for weight in whole.get_weights()])  # gradients below the least float16
    whole.set_weights(half.get_weights())
    assert np.allclose(saliency(half, images, 1), saliency(whole, images, 1), rtol=1e-3)
    assert saliency(half, images, 1).max() > 0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (4, r"targets: must be 0 to 3 for model small, got 4"),
        (-1, r"targets: must be 0 to 3 for model small, got -1"),
        ([0, 1], r"targets: must be one per input, shape \(7,\), got \(2,\)"),
        (np.zeros((7, 4), int), r"targets: must be one per input, shape \(7,\), got \(7, 4\)"),
        (0.5, r"targets: must be integers \(class indices\), got float64"),
        ("star", r"targets: must be integers"),
    ],
)
def test_wrong_targets_are_errors(targets, message, images):
    model = head(layers.Dense(4))
    model.name = "small"
    with pytest.raises(InputError, match=message):
        resolve_targets(model, images, targets)


def test_inputs_of_the_wrong_shape_are_errors(images):
    model = head(layers.Dense(4))
    for wrong in (images[0], images[..., :1], images[:, :3]):
        with pytest.raises(InputError, match=r"takes \(N, 5, 6, 2\), got"):
            resolve_inputs(model, wrong)
    assert resolve_inputs(model, images.astype(np.float64)).dtype == np.float32


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_models_that_cannot_be_explained_are_errors():
    image = layers.Input(SHAPE)
    with pytest.raises(InputError, match="must be a functional Keras model"):
        score_model(Subclassed())
    with pytest.raises(InputError, match="must be a functional Keras model"):
        score_model(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(InputError, match="one input and one output, got 1 and 2"):
        score_model(keras.Model(image, [layers.Flatten()(image), layers.Flatten()(image)]))
    with pytest.raises(InputError, match=r"must have shape \(N, K\), got \(None, 5, 6, 2\)"):
        score_model(keras.Model(image, layers.ReLU()(image)))


def test_two_jobs_run_at_a_time_and_their_results_keep_the_order():
    both = threading.Barrier(2, timeout=20)

    def run(number):
        if 0 < number < 5:
            both.wait()  # raises an error unless another job is running
        time.sleep(0.05 if number % 2 else 0)
        if number == 6:
            raise InputError("of job six")
        return number

    found = two_at_a_time(run, ([number] for number in range(7)))
    assert [next(found) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="of job six"):
        next(found)
    assert list(two_at_a_time(run, iter([]))) == []


def test_batches_equal_one_large_batch_and_are_traced_once(images):
    model = head(layers.Dense(4))
    whole = score_model(model).predict(images, verbose=0)
    traces = []

    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
    def run(batch):
        traces.append(1)
        return score_model(model)(batch)

    for batch_size in (1, 2, 3, 7, 100):
        assert np.allclose(over_batches(run, images, batch_size=batch_size), whole, atol=1e-5)
    assert len(traces) == 1
    assert over_batches(run, images[:0]).shape == (0, 4)
    with pytest.raises(InputError, match="batch_size: must be at least 1, got 0"):
        list(batches(3, 0, ""))


@pytest.mark.parametrize("function", [lambda x, factor: factor * tf.nn.relu(x), tf.multiply])
def test_a_lambda_layer_is_copied(function):
    options = {"factor": 3.0} if function is not tf.multiply else {"y": 3.0}
    layer = layers.Lambda(function, arguments=options, output_shape=(2,), name="tripled")
    copy = clone_layer(layer, dtype="float64")
    assert copy is not layer
    assert (copy.name, copy.compute_dtype) == ("tripled", "float64")
    assert np.array_equal(copy(np.ones((1, 2))), [[3.0, 3.0]])


def _small(activation="relu", **shape):
    keras.utils.set_random_seed(0)
    image = keras.layers.Input(**shape or {"shape": (6, 6, 1)})
    x = keras.layers.Dense(5, activation=activation)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))


def test_a_change_of_the_structure_after_a_call_is_noticed():
    images = np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)
    changed = _small()
    before = gradient_x_input(changed, images, 0)
    changed.layers[2].activation = keras.activations.tanh
    after = gradient_x_input(changed, images, 0)
    assert np.array_equal(after, gradient_x_input(_small("tanh"), images, 0))
    assert not np.allclose(before, after)

    growing = keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    gradient_x_input(growing, images, 0)
    growing.add(keras.layers.Dense(2, use_bias=False))
    assert np.allclose(
        gradient_x_input(growing, images, 1).sum(axis=(1, 2, 3)), growing.predict(images, verbose=0)[:, 1]
    )


@pytest.mark.parametrize("method", ["gradcam", "eigencam", "saliency", "lrp", "deep_shap", "blanking"])
@pytest.mark.parametrize("model", [None, "networks/braai.keras"])
def test_something_that_is_no_model_is_one_line(method, model):
    with pytest.raises(InputError, match=r"^model: must be a .*Keras model[^\n]*$"):
        METHODS[method](model, np.zeros((1, 6, 6, 1)), 0)


def test_text_for_images_and_a_fixed_batch_are_one_line():
    with pytest.raises(InputError, match=r"^inputs: must be an array of numbers, got str 'stamps.npy'$"):
        gradient_x_input(_small(), "stamps.npy", 0)
    with pytest.raises(InputError, match=r"takes batches of 8 only[^\n]*$"):
        gradient_x_input(_small(batch_shape=(8, 6, 6, 1)), np.zeros((8, 6, 6, 1)), 0)


@pytest.mark.slow
def test_many_models_and_values_of_options_print_no_warning_and_are_compiled_once(capfd):
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)
    for _ in range(8):
        METHODS["saliency"](_small(), images, 0)
    model = _small()
    for rule in ("simple", "epsilon", "gamma", "flat", "ww", "alphabeta", "epsilon_plus"):
        METHODS["lrp"](model, images, 0, rule=rule)
    METHODS["integrated_gradients"](model, images, 0, steps=100)
    METHODS["blanking"](model, images, 0)
    kept = len(scoring._made[model][1])
    for value in range(3):
        METHODS["integrated_gradients"](model, images, 0, steps=100 + value)
        METHODS["blanking"](model, images, 0, value=value)
    assert len(scoring._made[model][1]) == kept <= scoring.KEPT
    for gamma in range(scoring.KEPT + 2):
        scoring.cached_per_model(model, _kept_number, gamma)
    assert len(scoring._made[model][1]) == scoring.KEPT
    assert "retracing" not in capfd.readouterr().err


def _kept_number(model, number):
    return number
