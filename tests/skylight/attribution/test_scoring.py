"""The score is the input of the last softmax or sigmoid, with the weights of the model, which does not change."""

import gc
import threading
import time
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution.scoring import (
    batches,
    output_model,
    over_batches,
    resolve_inputs,
    resolve_targets,
    score_model,
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


def test_the_only_target_of_a_single_output_is_zero(images):
    model = head(layers.Dense(1, activation="sigmoid"))
    assert resolve_targets(model, images).tolist() == [0] * 7
    with pytest.raises(InputError, match="targets: must be 0 to 0"):
        resolve_targets(model, images, 1)


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
