"""Networks with several inputs against networks with one input, and against literal versions."""

import gc
import inspect
import re
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import (
    METHODS,
    activation_maximization,
    blanking,
    by_engine,
    completeness_gap,
    deep_shap,
    gradcam,
    gradcam_plus_plus,
    gradient_shap,
    guided_backpropagation,
    integrated_gradients,
    kernel_shap,
    layercam,
    lighting,
    lrp,
    lrp_layerwise,
    patch_occlusion,
    rise,
    saliency,
    scorecam,
    smoothgrad,
    vargrad,
)
from skylight.attribution.relevance import ZBox, register
from skylight.attribution.relevance.parts import Activations
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from skylight.evaluation.explanations import evaluate
from skylight.evaluation.faithfulness import deletion, faithfulness_correlation, infidelity, insertion, road

pytestmark = pytest.mark.slow

IMAGE, FEATURES = (6, 7, 2), 5
OF_LAYERS = [name for name in METHODS if "cam" in name]
TAKES_ONE = r"^model stamps: must have one input .* got 2 and 1; docs/attribution\.md lists what takes several inputs$"
FEW = {"samples": 20, "steps": 4, "masks": 6, "groups": 1, "patch": 2}


class Constant(layers.Layer):
    """The same metadata for every image."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def call(self, images):
        return tf.repeat(tf.constant(self.row)[None], tf.shape(images)[0], axis=0)

    def compute_output_shape(self, shape):
        return (shape[0], *self.row.shape)


class Unexplained:
    """The part of `Constant` for LRP: it passes no relevance to the image."""

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, x):
        return Activations(tf.cast(self.layer.call(x.values), x.values.dtype)), lambda rule, relevance: [None]


register(Constant, Unexplained)


@pytest.fixture(scope="module")
def forward():
    keras.utils.set_random_seed(3)  # Grad-CAM of all objects is alive
    options = {"activation": "relu", "bias_initializer": "normal"}
    first, pool = layers.Conv2D(4, 3, padding="same", name="first", **options), layers.MaxPooling2D(2)
    second, flat = layers.Conv2D(3, 2, name="second", **options), layers.Flatten()
    table, joined = layers.Dense(4, name="table", **options), layers.Concatenate()
    hidden, last = layers.Dense(6, name="hidden", **options), layers.Dense(3, activation="softmax", name="classes")
    return lambda image, metadata: last(hidden(joined([flat(second(pool(first(image)))), table(metadata)])))


@pytest.fixture(scope="module")
def both(forward):
    image, metadata = layers.Input(IMAGE, name="image"), layers.Input((FEATURES,), name="metadata")
    model = keras.Model([image, metadata], forward(image, metadata), name="stamps")
    model.compile(loss=lambda truth, answer: answer)  # a loss that no file can describe
    return model


@pytest.fixture(scope="module")
def alone(forward):
    """A function of one row of metadata: the network that takes only images."""

    def make(row):
        image = layers.Input(IMAGE)
        return keras.Model(image, forward(image, Constant(row)(image)))

    return make


@pytest.fixture(scope="module")
def objects():
    random = np.random.default_rng(1)
    return [
        random.normal(size=(3, *IMAGE)).astype(np.float32),
        (3 * random.normal(size=(3, FEATURES))).astype(np.float32),
    ]


def few(method):
    known = inspect.signature(method).parameters
    return {name: value for name, value in FEW.items() if name in known}


def scores_of(model, inputs, targets):
    """Return the log-odds of classes, from probabilities."""
    p = model.predict(inputs, verbose=0)[np.arange(len(targets)), targets].astype(np.float64)
    return np.log(p) - np.log1p(-p)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.slow
def test_every_method_returns_a_map_for_each_input(name, both, objects):
    method = METHODS[name]
    before = [weight.tobytes() for weight in both.get_weights()], both.get_config()
    image, metadata = method(both, objects, **few(method))
    assert image.shape in {(3, *IMAGE), (3, *IMAGE[:2], 1)} and image.dtype == np.float32 and image.std() > 0
    if name in OF_LAYERS:
        assert metadata is None
    else:
        assert metadata.shape == (3, FEATURES) and metadata.dtype == np.float32 and metadata.std() > 0
    assert ([weight.tobytes() for weight in both.get_weights()], both.get_config()) == before
    nothing = method(both, [each[:0] for each in objects], **few(method))
    assert nothing[0].shape == (0, *image.shape[1:])


SAME_AS_ALONE = [
    *("saliency", "gradient_x_input", "guided_backpropagation", "deconvnet", "lrp"),
    *OF_LAYERS,
    *("blanking", "patch_occlusion", "rise"),
]


@pytest.mark.parametrize("name", SAME_AS_ALONE)
@pytest.mark.slow
def test_the_map_of_the_image_is_that_of_a_network_with_constant_metadata(name, both, alone, objects):
    method, targets = METHODS[name], [2, 0, 1]
    image = method(both, objects, targets, **few(method))[0]
    assert image.any(axis=(1, 2, 3)).all()
    for row, (own, metadata) in enumerate(zip(*objects, strict=True)):
        expected = method(alone(metadata), own[None], targets[row], **few(method))
        assert np.allclose(image[row], expected[0], rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_maps_of_all_inputs_sum_to_the_difference_of_the_scores(both, objects):
    targets, random = np.array([0, 1, 1]), np.random.default_rng(3)
    background = [random.normal(size=(4, *IMAGE)), random.normal(size=(4, FEATURES))]
    scores, of_background = (
        scores_of(both, objects, targets),
        np.array([scores_of(both, background, [target] * 4).mean() for target in targets]),
    )

    def total(maps):
        return sum(each.reshape(3, -1).sum(axis=1) for each in maps)

    maps = deep_shap(both, objects, targets, background=background)
    assert np.allclose(total(maps), scores - of_background, atol=1e-3)
    sampled = gradient_shap(both, objects, targets, background=background, samples=400)
    assert np.allclose(total(sampled), scores - of_background, atol=1)
    assert np.corrcoef(maps[1].ravel(), sampled[1].ravel())[0, 1] > 0.95
    baseline = {"metadata": background[1][0], "image": 0.5}
    start = [np.full((3, *IMAGE), 0.5), np.tile(background[1][0], (3, 1))]
    maps = integrated_gradients(both, objects, targets, baseline=baseline, steps=300)
    gap = scores - scores_of(both, start, targets) - total(maps)
    assert np.abs(gap).max() < 0.02
    assert np.allclose(completeness_gap(both, objects, targets, maps, baseline=baseline), gap, atol=1e-4)


def test_integrated_gradients_from_the_same_metadata_explain_the_image_only(both, alone, objects):
    image, metadata = integrated_gradients(both, objects, 1, baseline=[0.0, objects[1]])
    assert not metadata.any()
    assert np.allclose(image[2], integrated_gradients(alone(objects[1][2]), objects[0][2:], 1)[0], atol=1e-5)


def test_the_noise_is_in_units_of_the_range_of_each_input(both, objects):
    samples, noise, seed = 3, 0.1, 7
    logits = keras.Model(both.inputs, both.get_layer("classes").input)
    kernel, bias = both.get_layer("classes").get_weights()
    gradients = [[], []]
    for row, (image, metadata) in enumerate(zip(*objects, strict=True)):
        for copy in range(samples):
            draws = tf.random.stateless_normal([image.size + FEATURES], [seed, row * samples + copy]).numpy()
            noisy = [
                tf.constant(own[None] + noise * (own.max() - own.min()) * of_input.reshape(own.shape))
                for own, of_input in zip((image, metadata), np.split(draws, [image.size]), strict=True)
            ]
            with tf.GradientTape() as tape:
                tape.watch(noisy)
                z = (logits(noisy) @ kernel + bias)[0, 2]
            for found, gradient in zip(gradients, tape.gradient(z, noisy), strict=True):
                found.append(gradient[0].numpy())
    options = {"samples": samples, "noise": noise, "seed": seed, "score": "logit"}
    means, variances = (method(both, objects, 2, **options) for method in (smoothgrad, vargrad))
    for mean, variance, found in zip(means, variances, gradients, strict=True):
        found = np.reshape(found, (3, samples, *mean.shape[1:]))
        assert np.allclose(mean, np.abs(found).mean(axis=1), atol=1e-5)
        assert np.allclose(variance, found.var(axis=1), atol=1e-5)


@pytest.mark.slow
def test_features_are_changed_one_by_one_with_the_image_held(both, objects):
    image, metadata = objects
    targets = [0, 2, 1]
    for method, options in ((blanking, {"score": "log_odds"}), (patch_occlusion, {"patch": [(2, 3), 4]})):
        of_image, maps = method(both, objects, targets, value=[0.0, -1.0], **options)
        for feature in range(FEATURES):
            changed = metadata.copy()
            changed[:, feature] = -1
            drop = scores_of(both, objects, targets) - scores_of(both, [image, changed], targets)
            assert np.allclose(maps[:, feature], drop, atol=1e-4)
        assert of_image.shape == (3, *IMAGE[:2], 1)

    def probabilities(sequences):
        return both.predict([np.repeat(image[1:2], len(sequences), axis=0), sequences[..., 0]], verbose=0)

    expected = rise(probabilities, metadata[1:2, :, None], 2, masks=12, cells=FEATURES)
    assert np.allclose(rise(both, objects, targets, masks=12)[1][1], expected[0, :, 0], atol=1e-6)


def test_kernel_shap_plays_one_game_with_the_groups_of_all_inputs(both, objects):
    image, metadata = (each[:1] for each in objects)
    random = np.random.default_rng(5)
    background = [random.normal(size=IMAGE).astype(np.float32), np.float32(0.3)]
    groups = {"image": {"one": [0], "other": [1]}, "metadata": np.array([4, 4, 0, 1, 2])}

    def score(switches):  # of two channels and four groups of features
        channels, features = switches[:, None, None, :2] > 0, switches[:, [5, 5, 2, 3, 4]] > 0
        images = np.where(channels, image, background[0])
        return scores_of(both, [images, np.where(features, metadata, background[1])], [1] * len(switches))[:, None]

    expected = kernel_shap(score, np.ones((1, 6), np.float32), background=0.0)[0]
    of_image, of_metadata = kernel_shap(both, [image, metadata], 1, groups=groups, background=background)
    assert of_image.shape == (1, *IMAGE)
    assert np.allclose(of_image.sum(axis=(0, 1, 2)), expected[:2], atol=1e-4)
    assert np.allclose(of_metadata[0], expected[[5, 5, 2, 3, 4]] / [2, 2, 1, 1, 1], atol=1e-4)
    cells = kernel_shap(both, [image, metadata], 1, groups=[2, None])
    assert cells[0].shape == (1, *IMAGE[:2], 1) and len(np.unique(cells[0].round(6))) == 4
    none = scores_of(both, [0 * image, 0 * metadata], [1])
    assert np.allclose(cells[0].sum() + cells[1].sum(), scores_of(both, [image, metadata], [1]) - none, atol=1e-4)


def test_relevance_of_layers_has_the_names_of_the_inputs(both, objects):
    layerwise = lrp_layerwise(both, objects)
    maps = lrp(both, {"metadata": objects[1], "image": objects[0]})
    assert list(maps) == ["metadata", "image"]
    assert set(layerwise) == {layer.name for layer in score_model_of(both).layers}
    for name, own in maps.items():
        assert np.array_equal(layerwise[name], own)


def score_model_of(both):
    return keras.Model(both.inputs, both.get_layer("classes").output)


def test_bounds_hold_for_the_input_that_the_layer_sees(both, objects):
    limit = float(np.abs(objects[0]).max())
    assert np.abs(objects[1]).max() > limit
    lrp(both, objects, rule={"first": ZBox(-limit, limit)})
    with pytest.raises(InputError, match="bounds of zbox"):
        lrp(both, objects, rule={"table": ZBox(-limit, limit)})


def test_a_result_has_the_form_of_the_inputs(both, objects):
    image, metadata = saliency(both, objects, 1)
    as_tuple = saliency(both, tuple(objects), 1)
    assert isinstance(as_tuple, tuple) and np.array_equal(as_tuple[1], metadata)
    as_dict = saliency(both, {"metadata": objects[1], "image": objects[0]}, 1)
    assert list(as_dict) == ["metadata", "image"] and np.array_equal(as_dict["image"], image)
    assert list(inspect.signature(saliency).parameters)[:3] == ["model", "inputs", "targets"]


@pytest.mark.slow
def test_several_images_have_maps_of_the_layers_that_they_reach():
    keras.utils.set_random_seed(2)
    wide, narrow, kind = (
        layers.Input((8, 8, 1), name="w"),
        layers.Input((6, 6, 2), name="n"),
        layers.Input((), name="k"),
    )
    a = layers.Conv2D(3, 3, activation="relu", name="a")(wide)
    b = layers.Conv2D(3, 1, activation="relu", name="b")(narrow)
    total = layers.Add(name="sum")([a, b])
    c = layers.Conv2D(2, 3, activation="relu", name="c")(narrow)
    joined = layers.Concatenate()([layers.Flatten()(total), layers.Flatten()(c), layers.Reshape((1,))(kind)])
    model = keras.Model({"n": narrow, "w": wide, "k": kind}, layers.Dense(2)(joined))
    random = np.random.default_rng(0)
    inputs = {"n": random.random((2, 6, 6, 2)), "w": random.random((2, 8, 8, 1)), "k": random.random(2)}
    maps = gradcam(model, inputs, 0)
    assert maps["k"] is None and maps["w"].shape == (2, 8, 8, 1) and maps["n"].shape == (2, 6, 6, 1)
    of_sum = gradcam(model, inputs, 0, layer="sum")
    assert all(np.array_equal(of_sum[name], maps[name]) for name in "wn") and of_sum["k"] is None
    of_narrow = gradcam(model, inputs, 0, layer="c")
    assert of_narrow["w"] is None and of_narrow["n"].any()
    assert gradcam(model, inputs, 0, layer="a")["n"] is None
    with pytest.raises(InputError, match="no layer 'd' with a spatial output; it has "):
        gradcam(model, inputs, 0, layer="d")
    gradients = saliency(model, inputs, 0)
    assert gradients["k"].shape == (2,) and blanking(model, inputs, 0)["k"].shape == (2,)


@pytest.mark.slow
def test_layers_that_cannot_be_copied_are_explained_too():
    keras.utils.set_random_seed(6)
    curve, metadata = layers.Input((9, 2), name="curve"), layers.Input((3,), name="metadata")
    x = layers.Concatenate()([layers.GRU(4, name="memory")(curve), layers.Dense(4, activation="tanh")(metadata)])
    model = keras.Model([curve, metadata], layers.Dense(2)(x))
    random, config = np.random.default_rng(0), model.get_config()
    inputs = [tf.constant(random.normal(size=(2, *shape)), tf.float32) for shape in ((9, 2), (3,))]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        z = model(inputs)[:, 1]
    maps = saliency(model, [each.numpy() for each in inputs], 1)
    for own, expected in zip(maps, tape.gradient(z, inputs), strict=True):
        assert np.allclose(own, np.abs(expected), atol=1e-6)
    curves, features = (each.numpy() for each in inputs)
    blanked = curves.copy()
    blanked[:, 4] = 0
    drop = z.numpy() - model.predict([blanked, features], verbose=0)[:, 1]
    assert np.allclose(blanking(model, [curves, features], 1, score="logit")[0][:, 4, 0], drop, atol=1e-5)
    assert model.get_config() == config and model.get_layer("memory").output.shape == (None, 4)


def test_half_precision_and_integer_images_are_explained_in_float32(objects):
    keras.utils.set_random_seed(4)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        image, metadata = layers.Input(IMAGE, dtype="uint8", name="image"), layers.Input((FEATURES,), name="metadata")
        x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
        model = keras.Model([image, metadata], layers.Dense(2)(layers.Concatenate()([x, metadata])))
    finally:
        keras.config.set_dtype_policy("float32")
    numbers = [np.round(np.abs(objects[0]) * 50), objects[1]]
    maps = saliency(model, numbers, 1)
    weights = model.layers[-1].get_weights()[0][-FEATURES:, 1]
    assert maps[0].any() and np.allclose(maps[1], np.abs(weights), atol=1e-6)
    assert gradcam(model, numbers, 1)[1] is None


@pytest.mark.slow
def test_a_trained_network_is_explained_anew_and_freed_with_its_user(forward, objects):
    image, metadata = layers.Input(IMAGE, name="image"), layers.Input((FEATURES,), name="metadata")
    keras.utils.set_random_seed(9)
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(image))
    model = keras.Model([image, metadata], layers.Dense(2, name="last")(layers.Concatenate()([x, metadata])))
    first = saliency(model, objects, 0)[1]
    blanked = blanking(model, objects, 0)[1]
    last = model.get_layer("last")
    last.set_weights([2 * weights for weights in last.get_weights()])
    assert np.allclose(saliency(model, objects, 0)[1], 2 * first)
    assert np.allclose(blanking(model, objects, 0)[1], 2 * blanked, atol=1e-5)
    gradcam(model, objects, 0)
    ghost = weakref.ref(model)
    del model, last, image, metadata, x
    for _ in range(3):
        gc.collect()
    assert ghost() is None


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda image, metadata: image, {}, r"2 inputs \(image, metadata\); pass a list in this order, or a dict"),
        (lambda image, metadata: [image], {}, r"one for each input \(image, metadata\), got 1 values"),
        (lambda image, metadata: {"image": image}, {}, r"one for each input \(image, metadata\), got image"),
        (lambda image, metadata: [metadata, image], {}, r"inputs: image: model stamps takes \(N, 6, 7, 2\), got"),
        (lambda image, metadata: [image, metadata[:2]], {}, "one row per object each, got 3 image, 2 metadata"),
        (lambda image, metadata: [image, metadata * np.nan], {}, "inputs: metadata: image 0 has 5 value"),
        (lambda *both: both, {"baseline": [0.0, np.zeros(4)]}, "input metadata: baseline: must be"),
        (lambda *both: both, {"baseline": {"image": 0.0}}, r"baseline: must be one for each input \(image, metadata\)"),
    ],
)
def test_wrong_inputs_are_named(change, options, message, both, objects):
    with pytest.raises(InputError, match=message):
        integrated_gradients(both, change(*objects), **options)


@pytest.mark.parametrize(
    ("background", "message"),
    [
        ([np.zeros((2, *IMAGE)), np.zeros((3, FEATURES))], "background: must be as many for each input, got 2, 3"),
        ([0.0, np.full(FEATURES, np.nan)], "background: metadata: image 0 has 5 value"),
        ((np.zeros(IMAGE), np.zeros(FEATURES)), "background: for several inputs, must be a number, a list or a dict"),
    ],
)
def test_wrong_backgrounds_are_named(background, message, both, objects):
    with pytest.raises(InputError, match=message):
        deep_shap(both, objects, background=background)


def test_other_wrong_arguments_are_errors(both, objects):
    maps = saliency(both, objects)
    with pytest.raises(InputError, match="maps: metadata: must have the shape of the input"):
        completeness_gap(both, objects, 0, [maps[0], maps[1][:2]])
    with pytest.raises(InputError, match="input image: patch: must be 1 to 6 rows"):
        patch_occlusion(both, objects, patch=9)
    with pytest.raises(InputError, match="targets: must be 0 to 2 for model stamps, got 3"):
        blanking(both, objects, 3)
    with pytest.raises(InputError, match=TAKES_ONE):
        score_model(both)


@pytest.mark.parametrize(
    "explain",
    [
        lambda model, inputs: lighting(model),
        lambda model, inputs: activation_maximization(model, 0),
        lambda model, inputs: activation_maximization(model, 0, layer="first"),
        lambda model, inputs: evaluate(model, inputs, None, ["saliency"]),
        *(
            lambda model, inputs, method=method: method(model, inputs, [0, 1, 2], np.zeros((3, *IMAGE[:2])))
            for method in (insertion, deletion, road, faithfulness_correlation, infidelity)
        ),
        *(
            lambda model, inputs, method=method: by_engine("tf_keras_vis", method)(model, inputs)
            for method in (gradcam, gradcam_plus_plus, layercam, scorecam)
        ),
        lambda model, inputs: by_engine("tf_keras_vis", activation_maximization)(model, 0),
    ],
)
def test_what_takes_one_input_only_says_so_in_one_line(explain, both, objects):
    with pytest.raises(InputError, match=TAKES_ONE):
        explain(both, objects)


@pytest.mark.parametrize(
    ("engine", "method", "least"),
    [
        ("tf_keras_vis", saliency, 1 - 1e-9),
        ("tf_keras_vis", guided_backpropagation, 1 - 1e-9),
        ("tf_keras_vis", smoothgrad, 0.9),  # other random numbers, in units of the range of both inputs together
        ("shap", deep_shap, 1 - 1e-9),
        ("shap", gradient_shap, 0.99),  # other random numbers
        ("shap", kernel_shap, 1 - 1e-9),
    ],
)
def test_the_libraries_explain_all_inputs_as_skylight_does(engine, method, least, both, objects):
    options = {"score": "logit"} | ({"groups": 1} if method is kernel_shap else {})
    ours, theirs = (by_engine(name, method)(both, objects, [2, 0, 1], **options) for name in ("skylight", engine))
    for own, other in zip(ours, theirs, strict=True):
        assert other.shape == own.shape
        assert np.corrcoef(own.ravel(), other.ravel())[0, 1] >= least
        assert np.std(other) == pytest.approx(np.std(own), rel=0.3 if least < 0.99 else 0.05)


def test_a_network_of_categories_is_refused():
    image, kind = layers.Input(IMAGE), layers.Input((1,), dtype="int32", name="kind")
    x = layers.Concatenate()([layers.Flatten()(image), layers.Flatten()(layers.Embedding(3, 2)(kind))])
    with pytest.raises(InputError, match="takes the numbers of categories"):
        saliency(keras.Model([image, kind], layers.Dense(2)(x)), [np.zeros((1, *IMAGE)), np.zeros((1, 1))])


def test_the_example_of_the_documents_runs():
    page = (Path(__file__).parents[3] / "docs/attribution.md").read_text()
    (example,) = [block for block in re.findall(r"^```python\n(.*?)^```", page, re.S | re.M) if "metadata" in block]
    names = {}
    exec(example, names)
    assert names["maps"]["metadata"].shape == (4, 25) and names["maps"]["image"].shape == (4, 63, 63, 3)
    assert names["camera"][0].shape == (4, 63, 63, 1) and names["camera"][1] is None
