"""Networks that see four quarter turns: what their layers do, and LRP through them."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution.relevance import lrp, lrp_layerwise
from skylight.networks.rotation import CyclicAveragePooling, JoinRotations, QuarterTurns

IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype(np.float32)


def network(cyclic, bias=True):
    """A small network like Deep-HiTS (joined) or CAP (cyclic average)."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 2), name="image")
    x = layers.ZeroPadding2D(1)(image)
    x = QuarterTurns(name="turns")(x)
    x = layers.Conv2D(4, 3, activation="relu", use_bias=bias, bias_initializer="normal", name="conv")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = x if cyclic else JoinRotations(name="join")(x)
    x = layers.Dense(6, activation="relu", use_bias=bias, bias_initializer="normal")(x)
    x = CyclicAveragePooling(name="cyclic")(x) if cyclic else x
    return keras.Model(image, layers.Dense(2, activation="softmax", use_bias=bias, name="scores")(x))


def test_layers_turn_join_and_average():
    turned = np.asarray(QuarterTurns()(IMAGES)).reshape(3, 4, 8, 8, 2)
    for turn in range(4):
        assert np.array_equal(turned[:, turn], np.rot90(IMAGES, turn, axes=(1, 2)))
    features = np.arange(24, dtype=np.float32).reshape(8, 3)
    assert np.array_equal(JoinRotations()(features), features.reshape(2, 12))
    assert np.allclose(CyclicAveragePooling()(features), features.reshape(2, 4, 3).mean(axis=1))
    with pytest.raises(ValueError, match="square"):
        QuarterTurns()(np.zeros((1, 4, 5, 1), np.float32))


@pytest.mark.parametrize("cyclic", [True, False])
def test_networks_have_the_right_shape_and_can_be_saved(tmp_path, cyclic):
    model = network(cyclic)
    assert model.output_shape == (None, 2)
    model.save(tmp_path / "model.keras")
    assert np.allclose(keras.saving.load_model(tmp_path / "model.keras")(IMAGES), model(IMAGES))


@pytest.mark.slow
def test_with_cyclic_averaging_the_output_is_invariant_and_the_map_turns_with_the_image():
    model = network(cyclic=True)
    joined = network(cyclic=False)
    turned = np.ascontiguousarray(np.rot90(IMAGES, axes=(1, 2)))
    assert np.allclose(model(IMAGES), model(turned), atol=1e-6)
    assert not np.allclose(joined(IMAGES), joined(turned), atol=1e-3)
    for rule in ("epsilon", "gamma", "alphabeta", "epsilon_alpha2_beta1_flat", "ww"):
        upright, followed = lrp(model, IMAGES, 1, rule=rule), lrp(model, turned, 1, rule=rule)
        error = np.abs(np.rot90(upright, axes=(1, 2)) - followed).max()
        assert error < 1e-5 * np.abs(upright).max(), rule


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.slow
def test_relevance_is_conserved_through_rotations(cyclic):
    model = network(cyclic, bias=False)
    for rule in ("simple", "gamma", "flat", "ww"):
        layerwise = lrp_layerwise(model, IMAGES, 0, rule=rule, batch_size=2)
        scores = layerwise["scores"].sum(axis=1)
        assert layerwise["conv"].shape[0] == 4 * len(IMAGES)
        for name in ("conv", "turns", "cyclic" if cyclic else "join", "image"):
            total = layerwise[name].reshape(len(IMAGES), -1).sum(axis=1)
            assert np.allclose(total, scores, rtol=1e-3, atol=1e-5), (rule, name)
