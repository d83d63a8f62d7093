"""The table for a network whose evidence is known: the right map scores best, and the controls are at chance."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution import gradcam, gradient_x_input, saliency
from skylight.errors import InputError
from skylight.evaluation.comparison import paired_wilcoxon
from skylight.evaluation.explanations import LOCALISATION, METRICS, bootstrap_error, evaluate, score_each, summary
from skylight.evaluation.faithfulness import deletion
from skylight.networks.periodic_cnn import periodic_cnn

SHAPE = (8, 9, 2)
N = 12
PATCH = np.zeros(SHAPE[:2], bool)
PATCH[2:5, 3:7] = True


@pytest.fixture(scope="module")
def network():
    """Return a network whose second class is the sum of the patch; all other pixels have no effect."""
    image = layers.Input(SHAPE)
    x = layers.Flatten()(layers.DepthwiseConv2D(1, name="scale")(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="preds")(x))
    weights = np.zeros((*SHAPE, 2), np.float32)
    weights[PATCH, :, 1] = 1
    model.set_weights([np.ones((1, 1, 2, 1)), np.zeros(2), weights.reshape(-1, 2), np.array([0, -6])])
    return model


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).uniform(0.1, 1, (N, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def masks():
    return np.repeat(PATCH[None], N, axis=0)


ON_THE_OBJECT = ["pointing_game", "rank_accuracy", "relevance_mass", "roc_auc"]
METHODS_ASKED = {
    "gradient_x_input": {},
    "smoothgrad": {"samples": 3},
    "negative": lambda model, inputs, targets: -gradient_x_input(model, inputs, targets),
    "dead": lambda model, inputs, targets: np.zeros((*inputs.shape[:3], 1)),
}


@pytest.fixture(scope="module")
def table(network, inputs, masks):
    return evaluate(network, inputs, 1, METHODS_ASKED, masks)


@pytest.fixture(scope="module")
def value(table):
    wide = table[table["layer"] == ""].pivot(index="method", columns="metric", values="value")
    return lambda method, metric: wide.loc[method, metric]


@pytest.mark.slow
def test_every_method_and_control_has_every_metric(table):
    assert list(table.columns) == ["method", "metric", "layer", "value", "error", "n"]
    assert list(table["method"].unique()) == [*METHODS_ASKED, "random", "edges", "centre"]
    for _, rows in table.groupby("method"):
        assert list(rows["metric"]) == [*METRICS[:-2], *METRICS[-2:], *METRICS[-2:]]
        assert list(rows["layer"]) == [""] * (len(METRICS) - 2) + ["preds", "preds", "scale", "scale"]
    # of a map without positive values nothing can be on the object
    on_the_object = table["metric"].isin(ON_THE_OBJECT)
    living = ~((table["method"] == "dead") | ((table["method"] == "negative") & on_the_object))
    assert (table.loc[living, "n"] == N).all()
    assert np.isfinite(table.loc[living, ["value", "error"]].to_numpy()).all()


def test_the_right_map_scores_best_and_its_negative_worst(value):
    for metric, sign in (("insertion", 1), ("deletion", -1), ("faithfulness_correlation", 1)):
        right, random, wrong = (sign * value(name, metric) for name in ("gradient_x_input", "random", "negative"))
        assert right > random + 0.1
        assert random > wrong + 0.1
    assert value("gradient_x_input", "infidelity") < 0.5 * value("random", "infidelity")
    assert value("negative", "infidelity") == value("dead", "infidelity") > value("random", "infidelity")


@pytest.mark.slow
def test_the_scores_of_the_objects_are_what_the_table_averages(network, inputs):
    options = {"metrics": ["deletion", "sparseness", "randomisation"], "layers": ["preds"]}
    each = score_each(network, inputs, 1, METHODS_ASKED, **options)
    assert list(each.columns) == ["method", "metric", "layer", "object", "value"]
    assert (each.groupby(["method", "metric", "layer"])["object"].agg(list).map(tuple) == tuple(range(N))).all()
    assert summary(each).equals(evaluate(network, inputs, 1, METHODS_ASKED, **options))
    areas = each[(each["method"] == "gradient_x_input") & (each["metric"] == "deletion")]["value"]
    assert np.array_equal(areas, deletion(network, inputs, 1, gradient_x_input(network, inputs, 1).sum(axis=-1)))
    tested = paired_wilcoxon(each).set_index(["metric", "layer", "a", "b"])
    row = tested.loc["deletion", "", "gradient_x_input", "negative"]
    assert row["median_difference"] < 0
    assert row["p"] == pytest.approx(2 * 0.5**N * 15)  # one sign for all objects; 15 pairs of 6 methods


def test_two_settings_of_a_method_are_plain_data(network, inputs):
    asked = {
        "logit": {"method": "gradient_x_input", "score": "logit"},
        "log-odds": {"method": "gradient_x_input", "score": "log_odds"},
    }
    table = evaluate(network, inputs, 1, asked, metrics=["deletion", "sparseness"])
    assert list(table["method"].unique()) == ["logit", "log-odds", "random", "edges"]
    by_function = {name: partial(gradient_x_input, score=how["score"]) for name, how in asked.items()}
    assert evaluate(network, inputs, 1, by_function, metrics=["deletion", "sparseness"]).equals(table)


def test_a_blob_in_the_middle_is_a_control_where_the_evidence_is_known(network, inputs):
    centred = np.zeros((N, *SHAPE[:2]), bool)
    centred[:, 3:5, 3:6] = True
    table = evaluate(network, inputs, 1, [], centred, metrics=["roc_auc", "pointing_game", "deletion"])
    values = table.pivot(index="method", columns="metric", values="value")
    assert list(values.index) == ["centre", "edges", "random"]
    assert values.loc["centre", "roc_auc"] > 0.95
    assert values.loc["centre", "pointing_game"] == 1
    assert "centre" not in set(evaluate(network, inputs, 1, [], metrics=["deletion"])["method"])


@pytest.mark.slow
def test_sequences_are_measured_as_images_are():
    keras.utils.set_random_seed(0)
    sequence = layers.Input((12, 2))
    x = layers.Flatten()(layers.Conv1D(4, 3, activation="relu", name="conv")(sequence))
    model = keras.Model(sequence, layers.Dense(3, activation="softmax", name="preds")(x))
    random = np.random.default_rng(0)
    inputs, masks = random.normal(size=(5, 12, 2)).astype(np.float32), random.random((5, 12)) < 0.4
    table = evaluate(model, inputs, None, ["saliency", "integrated_gradients"], masks)
    assert list(table["method"].unique()) == ["saliency", "integrated_gradients", "random", "edges", "centre"]
    assert (table.groupby("method").size() == len(METRICS) + 2).all()
    random_rows = table[(table["method"] == "random") & (table["metric"] != "random_logit")]
    assert np.isfinite(random_rows["value"]).all()


def test_another_class_needs_two():
    keras.utils.set_random_seed(0)
    image = layers.Input(SHAPE)
    inputs = np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)
    for activation, has_other in (("sigmoid", True), (None, False)):
        x = layers.Flatten()(image)
        model = keras.Model(image, layers.Dense(1, activation=activation)(x))
        table = evaluate(model, inputs, None, ["saliency", "gradient_x_input"], layers=[])
        found = table[(table["metric"] == "random_logit")].set_index("method")["value"]
        assert ("random_logit" in set(table["metric"])) == has_other
        if has_other:  # the evidence for one of two classes is the evidence against the other
            assert found["gradient_x_input"] == pytest.approx(-1)
            assert found["saliency"] == pytest.approx(1)
    with pytest.raises(InputError, match="metrics: random_logit needs at least 2 classes"):
        evaluate(model, inputs, 0, [], metrics=["random_logit"])


def test_the_right_map_is_inside_the_mask_and_the_random_map_is_at_chance(value, network):
    many = np.random.default_rng(1).uniform(0.1, 1, (300, *SHAPE)).astype(np.float32)
    masks = np.repeat(PATCH[None], len(many), axis=0)
    table = evaluate(network, many, 1, [], masks, metrics=list(LOCALISATION))
    table = table[table["method"] == "random"].set_index("metric")
    for metric in LOCALISATION:
        assert value("gradient_x_input", metric) == pytest.approx(1)
        chance = 0.5 if metric == "roc_auc" else PATCH.mean()
        assert abs(table.loc[metric, "value"] - chance) < 4 * table.loc[metric, "error"]


def test_randomisation_shows_which_maps_depend_on_the_weights(table):
    rows = table[table["layer"] != ""].set_index(["method", "metric", "layer"])["value"]
    for metric in ("randomisation", "randomisation_absolute"):
        for layer in ("preds", "scale"):
            assert rows["edges", metric, layer] == pytest.approx(1)
            assert abs(rows["random", metric, layer]) < 0.1
            assert rows["gradient_x_input", metric, layer] < 0.5


def test_absolute_randomisation_ignores_a_change_of_sign(network, inputs):
    signs = iter([1, -1, 1])

    def flipping(model, inputs, targets):
        return inputs * next(signs)

    table = evaluate(network, inputs, 1, {"flipping": flipping}, metrics=["randomisation", "randomisation_absolute"])
    rows = table[table["method"] == "flipping"]
    assert list(rows["metric"]) == ["randomisation", "randomisation_absolute"] * 2
    assert np.allclose(rows["value"], [-1, 1, 1, 1])


def test_sensitivity_of_maps_that_depend_on_the_input(value):
    assert value("random", "sensitivity") == pytest.approx(2**-0.5, rel=0.05)  # unrelated uniform maps
    assert 0 < value("gradient_x_input", "sensitivity") < 0.3
    assert value("random", "sparseness") == pytest.approx(1 / 3, abs=0.03)


def test_metrics_that_are_not_defined_for_a_map_of_zeros_are_missing(table):
    dead = table[table["method"] == "dead"].set_index("metric")
    undefined = [
        "faithfulness_correlation",
        "relevance_mass",
        "roc_auc",
        "sparseness",
        "sensitivity",
        "max_sensitivity",
    ]
    for metric in undefined:
        assert dead.loc[metric, "n"] == 0
        assert np.isnan(dead.loc[metric, "value"])
    assert dead.loc["insertion", "n"] == N


@pytest.mark.slow
def test_the_seed_determines_the_table(network, inputs, masks, table):
    assert evaluate(network, inputs, 1, METHODS_ASKED, masks).equals(table)
    other = evaluate(network, inputs, 1, METHODS_ASKED, masks, seed=1)
    changed = ["road", "faithfulness_correlation", "infidelity", "sensitivity", "max_sensitivity"]
    for metric in changed:
        pair = [one[(one["metric"] == metric) & (one["method"] == "gradient_x_input")] for one in (table, other)]
        assert pair[0]["value"].item() != pair[1]["value"].item()


def test_the_predicted_classes_are_also_the_targets_for_shuffled_networks(network, inputs):
    asked = []

    def spy(model, inputs, targets):
        asked.append(targets)
        return saliency(model, inputs, targets)

    evaluate(network, inputs, None, {"spy": spy}, metrics=["randomisation", "sensitivity"])
    predicted = network.predict(inputs, verbose=0).argmax(axis=1)
    assert len(asked) == 1 + 10 + 2
    assert all(np.array_equal(targets, predicted) for targets in asked)


def test_localisation_needs_masks_and_metrics_can_be_chosen(network, inputs):
    table = evaluate(network, inputs, 1, ["saliency"], layers=["scale"])
    assert set(table["metric"]) == set(METRICS) - set(LOCALISATION)
    assert list(table.loc[table["metric"] == "randomisation", "layer"]) == ["scale"] * 3
    table = evaluate(network, inputs[:1], 1, "saliency", metrics=["sparseness", "deletion"])
    assert list(table["metric"]) == ["deletion", "sparseness"] * 3
    assert table["error"].isna().all()  # one image has no spread
    assert (table["n"] == 1).all()


@pytest.mark.slow
def test_the_periodic_network_is_measured_and_does_not_change():
    model = periodic_cnn(3)
    model.get_layer("conv2d1").trainable = False
    inputs = np.random.default_rng(0).random((4, 22, 24, 1)).astype(np.float32)
    before = [weight.copy() for weight in model.get_weights()]
    flags = [layer.trainable for layer in model.layers]
    layers_of_it = [layer.get_config() for layer in model.layers]
    asked = {
        "gradcam": {},
        "guided_backpropagation": {},
        "deep_shap": {},
        "gradcam of the first": partial(gradcam, layer="conv2d1"),
    }
    table = evaluate(model, inputs, None, asked)
    layers_seen = table.loc[(table["method"] == "deep_shap") & (table["metric"] == "randomisation"), "layer"]
    assert list(layers_seen) == ["preds", "conv2d2", "conv2d1"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert [layer.trainable for layer in model.layers] == flags
    assert [layer.get_config() for layer in model.layers] == layers_of_it


def test_bootstrap_error_is_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).normal(size=400)
    assert bootstrap_error(values) == pytest.approx(values.std() / 20, rel=0.1)
    assert bootstrap_error(values, seed=3) == bootstrap_error(values, seed=3)
    assert np.isnan(bootstrap_error(values[:1]))
    assert bootstrap_error(np.ones(5)) == 0


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["lime"], "methods: must be among saliency, .*, got lime"),
        ({"smoothgrad": {"sample": 3}}, "methods: smoothgrad: got an unexpected keyword argument 'sample'"),
        (["edges"], "methods: edges is the name of a control"),
        ({"mine": {"method": "lime"}}, "methods: must be among saliency, .*, got lime"),
        ({"mine": {"method": "saliency", "sample": 3}}, "methods: mine: got an unexpected keyword argument 'sample'"),
        ({"flat": lambda model, inputs, targets: inputs[:, 0]}, r"methods: flat must return maps \(12, 8, 9, C\), got"),
    ],
)
def test_wrong_methods_are_errors(network, inputs, methods, message):
    with pytest.raises(InputError, match=message):
        evaluate(network, inputs, 1, methods)


def test_wrong_masks_and_metrics_are_errors(network, inputs, masks):
    with pytest.raises(InputError, match=r"masks: must be bool of shape \(12, 8, 9\), got float64 of"):
        evaluate(network, inputs, 1, ["saliency"], masks.astype(float))
    with pytest.raises(InputError, match="masks: must be bool of shape"):
        evaluate(network, inputs, 1, ["saliency"], masks[:3])
    with pytest.raises(InputError, match="metrics: roc_auc needs masks"):
        evaluate(network, inputs, 1, ["saliency"], metrics=["roc_auc"])
    with pytest.raises(InputError, match=r"metrics: must be among insertion, .*, got iou"):
        evaluate(network, inputs, 1, ["saliency"], metrics=["iou"])
