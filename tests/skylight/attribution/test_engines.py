"""The engines: the libraries are called as their authors say, explain the same scores, and fail in one line.

The tests of each method compare it with its engines.
"""

import inspect
import warnings

import keras
import numpy as np
import pytest
import shap
import tensorflow as tf
from keras import layers
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from skylight import attribution
from skylight.attribution import deep_shap, engines, gradcam, saliency, scorecam, smoothgrad
from skylight.attribution.engines import LIBRARIES, by_engine
from skylight.attribution.scoring import Score, score_model, scores_of
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, network, weights_of

pytestmark = pytest.mark.slow

TARGETS = [0, 1, 2, 1, 0]
PAIRS = [(engine, name) for engine, names in LIBRARIES.items() for name in names]


@pytest.fixture(scope="module")
def typical():
    return np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)


def test_skylight_is_an_engine():
    assert by_engine("skylight", gradcam) is gradcam


@pytest.mark.parametrize(("engine", "name"), [pair for pair in PAIRS if hasattr(attribution, pair[1])])
def test_a_library_takes_the_arguments_of_the_method(engine, name):
    ours, theirs = (
        inspect.signature(function).parameters for function in (getattr(attribution, name), LIBRARIES[engine][name])
    )
    assert ours.keys() <= theirs.keys()
    assert {key: each.default for key, each in ours.items()}.items() <= {
        key: each.default for key, each in theirs.items()
    }.items()


def test_tf_keras_vis_as_its_documentation_calls_it(classifier, images):
    score = CategoricalScore(TARGETS)
    expected = Saliency(classifier, ReplaceToLinear())(score, images, keepdims=True, normalize_map=False)
    maps = by_engine("tf_keras_vis", saliency)(classifier, images, TARGETS, score="logit", batch_size=2)
    assert np.allclose(maps, expected, atol=1e-6)
    expected = Gradcam(classifier, ReplaceToLinear())(score, images, penultimate_layer="second", normalize_cam=False)
    maps = by_engine("tf_keras_vis", gradcam)(classifier, images, TARGETS, score="logit", batch_size=2)
    assert np.allclose(maps[..., 0], expected, atol=1e-6)
    assert expected.std() > 0


@pytest.mark.slow
def test_shap_as_its_documentation_calls_it(classifier, images, typical):
    """Of a network that ends in a softmax, it explains the probabilities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = shap.DeepExplainer(classifier, typical).shap_values(images)[..., 1]
    maps = by_engine("shap", deep_shap)(classifier, images, 1, background=typical, score="probability")
    assert np.allclose(maps, expected, atol=1e-6)
    assert expected.std() > 0


HEADS = {
    "softmax": {"units": 5, "activation": "softmax"},
    "sigmoids": {"units": 5, "activation": "sigmoid"},
    "sigmoid": {"units": 1, "activation": "sigmoid"},
    "linear": {"units": 5},
    "regression": {"units": 1},
}


@pytest.mark.parametrize(
    ("head", "score"),
    [
        (head, score)
        for head in HEADS
        for score in ("logit", "log_odds", "probability")
        if (head, score) != ("regression", "log_odds")
    ],
)
def test_shap_gets_the_score(head, score, images):
    model = network(HEADS[head])
    classes = 2 if head == "sigmoid" else model.output_shape[1]
    kind = Score(score, head.removesuffix("s") if head.startswith("sigmoid") else head.replace("regression", "linear"))
    for target in range(classes):
        for against in (
            {-1, (target + 1) % classes} - {target} if score == "logit" and model.output_shape[1] > 1 else {-1}
        ):
            theirs = engines._of_class(model, kind, target, against)(3 * images).numpy()
            ours = scores_of(model, kind)(3 * images, np.tile(np.int32([target, against]), (5, 1))).numpy()
            assert theirs.shape == (5, 1)
            assert np.allclose(theirs[:, 0], ours, rtol=1e-5, atol=1e-6)


def test_kernel_shap_of_a_linear_model(linear, images, typical):
    exact = weights_of(linear, 1) * (images[:2] - typical.mean(axis=0))
    maps = LIBRARIES["shap"]["kernel_shap"](linear, images[:2], 1, background=typical, groups="pixels", samples=200)
    assert np.allclose(maps, exact.sum(axis=-1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(("engine", "name"), [pair for pair in PAIRS if pair[1] != "activation_maximization"])
def test_without_inputs_there_are_no_maps(engine, name, classifier, images):
    assert LIBRARIES[engine][name](classifier, images[:0]).shape[:3] == (0, *SHAPE[:2])


@pytest.mark.parametrize(
    ("engine", "method", "message"),
    [
        ("lime", saliency, "engine: must be among skylight, tf_keras_vis, shap, got 'lime'"),
        ("shap", saliency, "engine: shap has no saliency; it has deep_shap, gradient_shap, kernel_shap"),
        ("tf_keras_vis", attribution.blanking, "engine: tf_keras_vis has no blanking; it has saliency, .*"),
    ],
)
def test_an_engine_without_the_method_is_an_error(engine, method, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        by_engine(engine, method)


def test_an_engine_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^engine: tf_keras_vis is not installed; pip install tf-keras-vis$"):
        by_engine("tf_keras_vis", saliency)


def test_what_a_library_cannot_explain_is_an_error_of_one_line(classifier, binary, images):
    image = layers.Input(SHAPE)
    gated = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Lambda(keras.ops.erf)(image))), name="gated")
    with pytest.raises(InputError, match=r"^model gated: shap cannot explain this network \(.*Erf.*\)$") as error:
        by_engine("shap", deep_shap)(gated, images, 1)
    assert "\n" not in str(error.value)
    layer = layers.Conv2D(2, 3, padding="same", name="twice")
    twice = keras.Model(image, layers.Dense(2)(layers.Flatten()(layer(layer(image)))), name="shared")
    with pytest.raises(
        InputError, match=r"^layer: twice is called several times, and tf_keras_vis would explain the fir"
    ):
        by_engine("tf_keras_vis", gradcam)(twice, images, 1, layer="twice")
    for model, score in ((binary, "probability"), (classifier, "logit")):
        with pytest.raises(
            InputError, match=r"^score: scorecam of tf_keras_vis explains the probability of a softmax, not"
        ):
            by_engine("tf_keras_vis", scorecam)(model, images, 1, score=score)
    with pytest.raises(InputError, match="samples: must be at least 1, got 0"):
        by_engine("tf_keras_vis", smoothgrad)(classifier, images, samples=0)


def test_a_library_leaves_no_traces(classifier, images, capfd):
    image = layers.Input(SHAPE)
    gated = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Lambda(keras.ops.erf)(image))), name="gated")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    smooth = by_engine("tf_keras_vis", smoothgrad)
    one, same, other = (smooth(classifier, images, samples=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)
    by_engine("tf_keras_vis", scorecam)(classifier, images)
    with pytest.raises(InputError):
        by_engine("shap", deep_shap)(gated, images, 1)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert capfd.readouterr().out == ""
    with tf.GradientTape() as tape:  # shap replaces the gradients of TensorFlow while it works
        tape.watch(batch := tf.constant(images))
        values = tf.reduce_sum(score_model(classifier)(batch)[:, 0])
    assert np.allclose(saliency(classifier, images, 0, score="logit"), np.abs(tape.gradient(values, batch)), atol=1e-6)
