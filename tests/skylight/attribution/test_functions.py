"""Functions of images are explained as the Keras models that they call; what they may not return is one line."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import blanking, kernel_shap, patch_occlusion, rise
from skylight.attribution.functions import SMALLEST, resolve_function
from skylight.errors import InputError

METHODS = {
    "blanking": (blanking, {"value": 0.5}),
    "patch_occlusion": (patch_occlusion, {"patch": (3, 2), "stride": (2, 2)}),
    "rise": (rise, {"masks": 20, "cells": 3, "seed": 1}),
    "kernel_shap": (kernel_shap, {"groups": (4, 3), "samples": 50, "background": 0.3}),
}
TABLE = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def sequence_model():
    keras.utils.set_random_seed(4)
    image = layers.Input((11, 2))
    x = layers.Conv1D(4, 3, activation="relu", bias_initializer="normal")(image)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def predict(model):
    return lambda images: model(images.astype(np.float32), training=False).numpy()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.slow
def test_a_function_has_the_maps_of_the_model_that_it_calls(name, classifier, images):
    method, options = METHODS[name]
    before = images.copy()
    for targets in (None, 1, [0, 1, 2, 1, 0]):
        ours = method(classifier, images, targets, score="probability", **options)
        maps = method(predict(classifier), images, targets, **options)
        assert maps.dtype == np.float32 and maps.shape == ours.shape
        assert np.allclose(maps, ours, atol=1e-6) and np.ptp(maps) > 1e-3
    odds = method(classifier, images, 2, score="log_odds", **options)
    assert np.allclose(method(predict(classifier), images, 2, score="log_odds", **options), odds, atol=1e-4)
    in_small_batches = method(predict(classifier), images, 1, batch_size=7, **options)
    assert np.allclose(in_small_batches, method(predict(classifier), images, 1, **options), atol=1e-6)
    assert np.array_equal(images, before)
    assert method(predict(classifier), images[:0], **options).shape == (0, *ours.shape[1:])


@pytest.mark.parametrize("name", METHODS)
def test_sequences_are_explained_along_one_axis(name, sequence_model):
    method, options = METHODS[name]
    options = {key: value[:1] if isinstance(value, tuple) else value for key, value in options.items()}
    sequences = np.random.default_rng(1).normal(size=(3, 11, 2)).astype(np.float32)
    maps = method(sequence_model, sequences, [0, 1, 2], score="probability", **options)
    assert maps.shape == (3, 11, 1) and maps.dtype == np.float32
    assert np.allclose(maps, method(predict(sequence_model), sequences, [0, 1, 2], **options), atol=1e-6)


def test_occlusion_of_sequences_by_definition(sequence_model):
    sequence = np.random.default_rng(1).normal(size=(1, 11, 2)).astype(np.float32)
    ask = predict(sequence_model)
    cells, total, covering = blanking(sequence_model, sequence, 1)[0, :, 0], np.zeros(11), np.zeros(11)
    for start in range(0, 11, 2):
        changed = sequence.copy()
        changed[:, start : start + 3] = 0
        total[start : start + 3] += ask(sequence)[0, 1] - ask(changed)[0, 1]
        covering[start : start + 3] += 1
        if start + 3 >= 11:
            break
    windows = patch_occlusion(sequence_model, sequence, 1, patch=3, stride=2, score="probability")
    assert np.allclose(windows[0, :, 0], total / covering, atol=1e-6)
    for place in range(11):
        changed = sequence.copy()
        changed[:, place] = 0
        assert np.isclose(cells[place], ask(sequence)[0, 1] - ask(changed)[0, 1], atol=1e-6)


def test_rise_of_sequences_by_definition(sequence_model):
    sequences = np.random.default_rng(1).normal(size=(2, 11, 2)).astype(np.float32)
    ask, expected = predict(sequence_model), np.zeros((2, 11))
    for number in range(15):
        draws = tf.random.stateless_uniform([4 + 2], [2, number]).numpy()  # the second is that of an image's columns
        kept, shift = (draws[2:] < 0.4).astype(float), int(draws[0] * 3)  # cells of 3, because 4 x 3 >= 11
        places = np.clip((np.arange(15) + 0.5) * 4 / 15 - 0.5, 0, 3)
        mask = np.interp(places, np.arange(4), kept)[shift : shift + 11]
        expected += ask(sequences * mask[:, None])[:, [0]] * mask / (15 * 0.4)
    maps = rise(sequence_model, sequences, 0, masks=15, cells=4, kept=0.4, seed=2)
    assert np.allclose(maps[..., 0], expected, atol=1e-5)


def test_what_a_function_is_asked():
    seen = []

    def function(rows):
        seen.append(rows)
        assert rows.dtype == np.float64  # as given
        rows_sum = rows.sum(axis=1)
        rows[:] = np.nan  # it may overwrite what it gets
        return np.stack([rows_sum, -rows_sum, 0 * rows_sum], axis=1)

    table = TABLE.astype(np.float64)
    maps = kernel_shap(function, table, batch_size=5)
    assert np.allclose(maps, np.abs(table) * 0 + table * np.sign(table.sum(axis=1, keepdims=True)), atol=1e-6)
    assert max(map(len, seen)) == 5
    against = kernel_shap(function, table, 0, against=1)
    assert np.allclose(against, 2 * table, atol=1e-6)
    assert np.array_equal(against, kernel_shap(function, table, 0, against=1, score="logit"))


def test_log_odds_of_certain_answers_are_finite():
    def certain(rows):
        return np.stack([rows[:, 0] > 0, rows[:, 0] <= 0], axis=1)

    _, classes, ask = resolve_function(certain, TABLE, 0, "log_odds")
    limit = np.log(1 - SMALLEST) - np.log(SMALLEST)
    assert np.allclose(ask(TABLE, classes), np.where(TABLE[:, 0] > 0, limit, -limit))


def test_the_example_of_the_documents_runs():
    page = (Path(__file__).parents[3] / "docs/attribution.md").read_text()
    (example,) = [block for block in re.findall(r"^```python\n(.*?)^```", page, re.S | re.M) if "sklearn" in block]
    names = {}
    exec(example, names)
    probabilities, rows = names["forest"].predict_proba, names["flowers"][::30]
    best = probabilities(rows).argmax(axis=1)
    owed = probabilities(rows).max(axis=1) - probabilities(names["flowers"]).mean(axis=0)[best]
    assert names["shares"].shape == (5, 4) and np.allclose(names["shares"].sum(axis=1), owed, atol=1e-6)


def constant(value):
    return lambda rows: np.full((len(rows), 2), value)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (3, {}, "model: must be a Keras model or a function of images, got int"),
        (lambda rows: rows[:, 0], {}, r"model: the function must return \(6, K\) for 6 images, got \(6,\)"),
        (lambda rows: rows[:3], {}, r"model: the function must return \(6, K\) for 6 images, got \(3, 4\)"),
        (lambda rows: rows[:, :0], {}, r"model: the function must return \(6, K\) for 6 images, got \(6, 0\)"),
        (lambda rows: np.full((len(rows), 2), "a"), {}, "model: the function must return numbers, got <U1"),
        (constant(np.nan), {}, "model: the function returned NaN or infinite outputs for 6 of 6 images"),
        (constant(np.inf), {}, "model: the function returned NaN or infinite outputs for 6 of 6 images"),
        (constant(0.5), {"score": "gini"}, "score: must be among logit, log_odds, probability, got 'gini'"),
        (constant(2.0), {"score": "log_odds"}, "score: log_odds needs a function that returns probabilities"),
        (constant(0.5), {"score": "logit"}, "score: the rows of the function sum to 1"),
        (constant(0.5), {"targets": 2}, "targets: must be 0 to 1 for the outputs of the function, got 2"),
        (constant(0.5), {"targets": [0.0] * 6}, "targets: must be integers"),
        (constant(0.5), {"targets": 1, "against": 1}, "against: must be another class than the target, got 1"),
        (constant(0.5), {"against": 1, "score": "log_odds"}, "against: needs a function of several outputs"),
        (lambda rows: rows[:, :1], {"against": 0}, "against: needs a function of several outputs"),
    ],
)
def test_bad_functions_and_questions_are_one_line(function, options, message):
    with pytest.raises(InputError, match=message) as error:
        kernel_shap(function, TABLE, **options)
    assert "\n" not in str(error.value)


def test_a_function_that_fails_later_is_one_line_too(images):
    def narrow(batch):  # another number of columns for changed images
        return np.ones((len(batch), 3 if np.array_equal(batch, images[: len(batch)]) else 2)) / 3

    with pytest.raises(InputError, match=r"model: the function must return \(\d+, 3\) for \d+ images, got"):
        kernel_shap(narrow, images, 0)
    with pytest.raises(InputError, match="inputs: image 2 has 1 value"):
        kernel_shap(constant(0.5), np.where(np.arange(24).reshape(6, 4) == 9, np.nan, TABLE))
    for method in (blanking, patch_occlusion, rise):
        with pytest.raises(InputError, match=r"inputs: must be images \(N, H, W, C\) or sequences \(N, L, C\), got"):
            method(constant(0.5), TABLE)
