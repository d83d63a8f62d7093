"""Kernel SHAP against Shapley values by their definition (all orders), and against shap's KernelExplainer and trees."""

import functools
import itertools
import math
import warnings

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from skylight.attribution import kernel_shap
from skylight.attribution.coalitions import coalitions
from skylight.attribution.scoring import resolve_score, score_model
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, weights_of


def by_orders(scores, image, background, labels):
    """Return the Shapley value of each group by definition: its mean gain over all orders, without any regression."""
    names = np.unique(labels)

    @functools.cache
    def value(present):
        return scores(np.where(np.isin(labels, names[list(present)]), image, background)).mean()

    values = np.zeros(len(names))
    for order in itertools.permutations(range(len(names))):
        for place, group in enumerate(order):
            values[group] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return values / math.factorial(len(names))


def group_sums(mapped, labels):
    labels = np.broadcast_to(labels, mapped.shape)
    return np.array([mapped[labels == name].sum() for name in np.unique(labels)])


@pytest.fixture(scope="module")
def background():
    return np.random.default_rng(5).normal(size=(3, *SHAPE)).astype(np.float32)


GRID = np.add.outer(np.arange(8) // 4 * 2, np.arange(9) // 5)[..., None]
SUPERPIXELS = np.random.default_rng(2).choice([3, 7, -1], size=(8, 9, 1))
CHANNELS = np.broadcast_to([0, 1], SHAPE)


@pytest.mark.parametrize(
    ("groups", "labels"),
    [(2, GRID), (SUPERPIXELS[..., 0], SUPERPIXELS), ("channels", CHANNELS), ({"a": [1], "b": 0}, CHANNELS)],
)
def test_all_coalitions_give_the_shapley_values(groups, labels, classifier, images, background):
    def log_odds(some):
        z = score_model(classifier)(some).numpy().astype(float)
        return z[:, 2] - np.log(np.exp(z[:, 0]) + np.exp(z[:, 1]))

    maps = kernel_shap(classifier, images[:2], 2, groups=groups, background=background)
    assert maps.shape == (2, 8, 9, labels.shape[-1])
    for image, mapped in zip(images[:2], maps, strict=True):
        expected = by_orders(log_odds, image, background, labels)
        assert np.allclose(group_sums(mapped, labels), expected, atol=1e-5)
        for name in np.unique(labels):
            assert np.ptp(mapped[labels == name]) == 0  # divided equally


def test_pixels_of_a_linear_model_get_weights_times_the_difference(linear, images):
    expected = (weights_of(linear, 1) * (images - 0.5)).sum(axis=3, keepdims=True)
    maps = kernel_shap(linear, images, 1, groups="pixels", background=0.5, samples=200)
    assert np.allclose(maps, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("groups", "samples"), [(None, 300), ((4, 5), 64), ("pixels", 144), ((1, 1), 1), ((3, 3), 1000)]
)
def test_maps_sum_to_the_score_minus_that_of_the_background(groups, samples, classifier, images, background):
    maps = kernel_shap(classifier, images, 1, groups=groups, background=background, samples=samples, score="logit")
    scores = score_model(classifier)(np.concatenate([images, background])).numpy()[:, 1]
    owed = scores[:5] - scores[5:].mean()
    assert np.allclose(maps.sum(axis=(1, 2, 3)), owed, atol=1e-4)


def test_each_image_has_its_own_superpixels(classifier, images):
    labels = np.stack([np.full((8, 9), 4), GRID[..., 0], SUPERPIXELS[..., 0]])
    together = kernel_shap(classifier, images[:3], [0, 1, 2], groups=labels)
    for row in range(3):
        alone = kernel_shap(classifier, images[row : row + 1], row, groups=labels[row])
        assert np.allclose(together[row], alone[0], atol=1e-6)
    assert not np.allclose(together[1], together[2])


def test_it_equals_kernel_explainer_of_shap_on_all_coalitions():
    import shap

    rng = np.random.default_rng(0)
    weights, table, background = rng.normal(size=(6, 8)), rng.normal(size=(4, 6)), rng.normal(size=(5, 6))

    def function(rows):
        return np.tanh(rows @ weights[:, :3]) * np.cos(rows @ weights[:, 3:6])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = shap.KernelExplainer(function, background).shap_values(table, nsamples=62, l1_reg=False, silent=True)
    for target in range(3):
        ours = kernel_shap(function, table, target, background=background)
        assert np.allclose(ours, theirs[..., target], atol=1e-6)


def test_sampled_values_are_near_the_exact_ones_and_nearer_with_more_samples():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(12, 6))
    table, background = rng.normal(size=(10, 12)), rng.normal(size=(4, 12))

    def function(rows):
        return np.tanh(rows @ weights)

    exact = kernel_shap(function, table, 0, background=background, samples=4094)
    error = {
        samples: np.abs(kernel_shap(function, table, 0, background=background, samples=samples) - exact).mean()
        for samples in (60, 400, 2000)
    }
    assert error[60] > 2 * error[400] > 3 * error[2000] > 0
    assert error[400] < 0.1 * np.abs(exact).mean()


def test_drawn_coalitions_come_in_pairs_and_share_the_kernel():
    members, weights = coalitions(12, 500, seed=3)
    assert len(members) == 500 and len(np.unique(members, axis=0)) == len(members)
    size = members.sum(axis=1)
    kernel = {k: 1 / (k * (12 - k)) for k in range(1, 12)}
    assert np.isclose(weights.sum(), sum(kernel.values()))
    for k in (1, 2, 10, 11):  # all of them, with their own weight
        assert np.sum(size == k) == math.comb(12, k)
        assert np.allclose(weights[size == k], kernel[k] / math.comb(12, k))
    rows = {tuple(row): weight for row, weight in zip(members.tolist(), weights, strict=True)}
    assert all(rows[tuple(not here for here in row)] == weight for row, weight in rows.items())


def test_the_seed_determines_the_coalitions(classifier, images):
    one, same, other = (kernel_shap(classifier, images, groups=(4, 4), samples=40, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_a_forest_is_explained_as_its_trees_say_and_does_not_change():
    import shap

    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 5)).astype(np.float32)
    labels = (table[:, 0] > 0).astype(int) + (table[:, 1] * table[:, 2] > 0.3)
    forest = ExtraTreesClassifier(15, random_state=0).fit(table, labels)
    before = repr(forest.get_params()), [tree.tree_.__getstate__()["values"].tobytes() for tree in forest.estimators_]
    background = table[:20]
    maps = kernel_shap(forest.predict_proba, table[20:30], background=background)
    trees = shap.TreeExplainer(forest, background, model_output="probability", feature_perturbation="interventional")
    theirs = trees.shap_values(table[20:30])
    best = forest.predict_proba(table[20:30]).argmax(axis=1)
    assert np.allclose(maps, theirs[np.arange(10), :, best], atol=1e-5)
    after = repr(forest.get_params()), [tree.tree_.__getstate__()["values"].tobytes() for tree in forest.estimators_]
    assert after == before


def test_sequences(classifier):
    rng = np.random.default_rng(0)
    weights, sequences = rng.normal(size=(10, 2)), rng.normal(size=(3, 10, 2))

    def function(batch):
        return np.stack([(batch * weights).sum(axis=(1, 2)), batch.max(axis=(1, 2))], axis=1)

    maps = kernel_shap(function, sequences, 0, groups="pixels")
    assert maps.shape == (3, 10, 1)
    assert np.allclose(maps[..., 0], (weights * sequences).sum(axis=2), atol=1e-5)
    cells = kernel_shap(function, sequences, 1, groups=(5,))
    assert np.array_equal(cells[:, ::2], cells[:, 1::2])
    assert kernel_shap(function, sequences, groups="channels").shape == (3, 10, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": "bands"}, "groups: must be pixels, channels, a grid, a label map or a mapping, got 'bands'"),
        ({"groups": 9}, r"groups: a grid must have 1 to 8 by 1 to 9 cells, got \(9, 9\)"),
        ({"groups": (2,)}, r"groups: a grid must have 1 to 8 by 1 to 9 cells, got \(2,\)"),
        (
            {"groups": np.zeros((9, 8), int)},
            r"groups: a label map must be integers \(8, 9\), or one per image, got int64",
        ),
        ({"groups": np.zeros((8, 9))}, r"groups: a label map must be integers \(8, 9\), or one per image, got float64"),
        ({"groups": {"g": [0]}}, r"groups: must have each of 0 to 1 once, got \[0\]"),
        ({"groups": {"g": [0], "r": [0, 1]}}, r"groups: must have each of 0 to 1 once, got \[0, 0, 1\]"),
        ({"groups": "pixels", "samples": 143}, "samples: must be at least 144, twice the number of groups, got 143"),
        ({"background": np.zeros(3)}, r"background: must be a number, or one or more images \(8, 9, 2\), got \(3,\)"),
        ({"background": np.zeros((0, *SHAPE))}, r"background: must be a number, or one or more images"),
        ({"background": np.nan}, "background: image 0 has"),
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_errors(options, message, classifier, images):
    with pytest.raises(InputError, match=message) as error:
        kernel_shap(classifier, images, 0, **options)
    assert "\n" not in str(error.value)


def test_the_score_is_the_one_asked_for(classifier, images):
    assert resolve_score(classifier).name == "log_odds"
    default, odds, probability = (
        kernel_shap(classifier, images, 1, groups=2, score=score) for score in (None, "log_odds", "probability")
    )
    assert np.array_equal(default, odds)
    assert not np.allclose(odds, probability)
    z = score_model(classifier)(np.concatenate([images, np.zeros((1, *SHAPE), np.float32)])).numpy()
    against = kernel_shap(classifier, images, 1, groups=2, against=2)
    assert np.allclose(against.sum(axis=(1, 2, 3)), (z[:5, 1] - z[:5, 2]) - (z[5, 1] - z[5, 2]), atol=1e-5)
