"""The cascade shuffles layers of a copy, from the output down; maps are compared by Spearman's correlation."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import spearmanr

from skylight.attribution import saliency
from skylight.errors import InputError
from skylight.evaluation.randomisation import cascade, random_logit, similarity

NAMES = ["preds", "norm", "second", "first"]


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(5, 2, activation="relu", name="second")(x)
    x = layers.BatchNormalization(name="norm")(layers.Dropout(0.2)(x))
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="preds")(layers.Flatten()(x)))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    return model


def test_layers_are_shuffled_one_by_one_from_the_output_down(network):
    original = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    seen = []
    for name, shuffled in cascade(network):
        seen.append(name)
        for layer, weights in original.items():
            for before, after in zip(weights, shuffled.get_layer(layer).get_weights(), strict=True):
                assert np.array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
                assert np.array_equal(before, after) == (layer not in seen)
    assert seen == NAMES


def test_the_model_does_not_change(network):
    network.get_layer("first").trainable = False
    state = [network.get_weights(), [layer.trainable for layer in network.layers]]
    for _, shuffled in cascade(network):
        assert shuffled is not network
    assert all(np.array_equal(a, b) for a, b in zip(state[0], network.get_weights(), strict=True))
    assert [layer.trainable for layer in network.layers] == state[1]


def test_the_seed_determines_the_shuffling(network):
    def last(seed):
        return [[*weights] for weights in [model.get_weights() for _, model in cascade(network, seed=seed)][-1]]

    first, again, other = last(1), last(1), last(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_stopping_at_some_layers_shuffles_all_layers_above_them(network):
    every = {name: model.get_weights() for name, model in cascade(network)}
    some = {name: model.get_weights() for name, model in cascade(network, ["first", "norm"])}
    assert list(some) == ["norm", "first"]
    for name, weights in some.items():
        assert all(np.array_equal(a, b) for a, b in zip(weights, every[name], strict=True))
    with pytest.raises(InputError, match=r"layers: .* has no layer flatten with weights; it has first, second"):
        list(cascade(network, ["flatten"]))


def test_layers_of_nested_models_are_shuffled_one_by_one_and_named_by_their_path(network):
    image = layers.Input((8, 8, 1))
    middle = keras.Model(image, network(layers.Rescaling(0.5)(image)), name="middle")
    nested = keras.Model(image, layers.Dense(2, name="top")(middle(image)))
    names = ["top", *(f"middle/{network.name}/{name}" for name in NAMES)]
    seen = []
    for name, shuffled in cascade(nested):
        seen.append(name)
        inner = shuffled.get_layer("middle").get_layer(network.name)
        changed = [
            path
            for path, layer in zip(NAMES, names[1:], strict=True)
            if not np.array_equal(inner.get_layer(path).get_weights()[0], network.get_layer(path).get_weights()[0])
            and layer in names
        ]
        assert changed == NAMES[: len(seen) - 1]
    assert seen == names
    assert [name for name, _ in cascade(nested, [names[2]])] == [names[2]]
    with pytest.raises(InputError, match="has no layer norm with weights; it has middle/"):
        next(cascade(nested, ["norm"]))


def test_the_copy_computes_what_the_model_computes_until_it_is_shuffled():
    """Cover layers whose configuration does not hold all that they compute with."""
    random = np.random.default_rng(0)
    norm = layers.Normalization(name="norm")
    norm.adapt(random.normal(5, 3, (40, 6, 6, 2)))
    gain = 3.0
    image = layers.Input((6, 6, 2))
    inner = keras.Model(image, layers.Lambda(lambda x: gain * x**2, name="square")(norm(image)), name="inner")
    x = Scale(name="scale")(inner(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="preds")(layers.Flatten()(x)))
    model.get_layer("scale").set_weights([np.array(0.7)])
    inputs = random.normal(5, 3, (4, 6, 6, 2)).astype(np.float32)
    seen = []
    for name, shuffled in cascade(model):
        seen.append(name)
        shuffled.get_layer("preds").set_weights(model.get_layer("preds").get_weights())
        # A scalar has nothing to shuffle, so with the last layer restored the copy is the model.
        assert np.allclose(shuffled(inputs), model(inputs), atol=1e-6)
    assert seen == ["preds", "scale"]  # Normalization describes the data


class Scale(layers.Layer):
    """Multiply by one number."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), name="factor")

    def call(self, inputs):
        return inputs * self.factor


@pytest.mark.slow
def test_a_compiled_gradient_uses_the_shuffled_weights(network):
    inputs = np.random.default_rng(1).random((3, 8, 8, 1)).astype(np.float32)
    for _, shuffled in cascade(network):
        fresh = keras.models.clone_model(shuffled)
        fresh.set_weights(shuffled.get_weights())
        maps = [saliency(model, inputs, 1) for model in (shuffled, fresh)]
        assert np.allclose(*maps, atol=1e-6)


def test_similarity_is_the_rank_correlation_of_spearman():
    random = np.random.default_rng(0)
    maps, others = random.integers(-4, 5, (2, 6, 5, 7)).astype(float)
    expected = [spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(maps, others, strict=True)]
    assert np.allclose(similarity(maps, others), expected)
    assert np.allclose(similarity(maps, maps**3), 1)
    assert np.allclose(similarity(maps, -5 * maps), -1)
    assert abs(similarity(random.random((50, 20, 20)), random.random((50, 20, 20))).mean()) < 0.02


def test_similarity_is_zero_if_the_shuffled_map_is_constant_and_nan_if_the_original_is():
    maps, dead = np.random.default_rng(0).random((3, 4, 5)), np.zeros((3, 4, 5))
    assert np.array_equal(similarity(maps, dead), np.zeros(3))
    assert np.isnan(similarity(dead, maps)).all()
    assert np.isnan(similarity(dead, dead)).all()


def test_random_logit_compares_with_the_map_of_another_class():
    of_class = np.random.default_rng(0).random((4, 5, 6))
    asked = []

    def explain(targets):
        asked.append(targets)
        return of_class[targets]

    targets = np.arange(400) % 4
    found = random_logit(explain, targets, 4, of_class[targets], seed=3)
    (others,) = asked
    assert ((others >= 0) & (others < 4) & (others != targets)).all()
    for target in range(4):  # every other class is drawn
        assert len(np.unique(others[targets == target])) == 3
    expected = [spearmanr(of_class[a].ravel(), of_class[b].ravel())[0] for a, b in zip(targets, others, strict=True)]
    assert np.allclose(found, expected)
    assert np.array_equal(found, random_logit(explain, targets, 4, of_class[targets], seed=3))
    assert np.allclose(
        random_logit(
            lambda targets: np.broadcast_to(of_class[0], (400, 5, 6)),
            targets,
            4,
            np.broadcast_to(of_class[0], (400, 5, 6)),
        ),
        1,
    )
    with pytest.raises(InputError, match="random_logit: needs at least 2 classes, got 1"):
        random_logit(explain, targets, 1, of_class[targets])
