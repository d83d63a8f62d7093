"""Deep-HiTS and CAP: their published sizes, their symmetry, and LRP through them."""

import keras
import numpy as np
import pytest

from skylight.attribution.orientation import turned
from skylight.attribution.relevance import AlphaBeta, Epsilon, Gamma, lrp, lrp_layerwise
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from skylight.evaluation.rotation_equivariance import maps_of_turns, rotation_agreement
from skylight.networks.deep_hits import deep_hits, load_deep_hits
from skylight.networks.weights import load_npy_weights, save_npy_weights

IMAGES = np.random.default_rng(0).random((3, 21, 21, 4), dtype=np.float32)
OPTIONS = [("concatenation", False), ("cyclic_average", False), ("cyclic_average", True)]


def network(pooling, batch_normalization, bias=True):
    """A network with random normalisations and biases; without ``bias``, all biases and offsets are 0."""
    model = deep_hits(pooling, batch_normalization, width=0.25)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("gamma", "moving_variance"):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
            elif variable.name != "kernel" and variable.dtype == "float32":
                variable.assign(bias * rng.normal(0, 0.1, variable.shape))
    return model


@pytest.fixture(scope="module", params=OPTIONS, ids=lambda option: f"{option[0]}{'_bn' * option[1]}")
def unbiased(request):
    return network(*request.param, bias=False)


@pytest.fixture(scope="module", params=[False, True], ids=["cap", "cap_bn"])
def cap(request):
    return network("cyclic_average", request.param)


def test_published_sizes():
    convolutions = 4 * 4 * 4 * 32 + 32 + 3 * 3 * 32 * 32 + 32 + 3 * 3 * 32 * 64 + 64 + 2 * (3 * 3 * 64 * 64 + 64)
    heads = {"concatenation": 4 * 2304 * 64, "cyclic_average": 2304 * 64}
    for pooling, joined in heads.items():
        model = deep_hits(pooling)
        assert model.count_params() == convolutions + joined + 64 + 64 * 64 + 64 + 64 * 2 + 2
        assert model.get_layer("CNN1").output.shape == (None, 24, 24, 32)
        assert model.get_layer("pool2").output.shape == (None, 6, 6, 64)
        assert model.output_shape == (None, 2)
    with pytest.raises(InputError, match="pooling: must be concatenation or cyclic_average, got 'max'"):
        deep_hits("max")


def test_the_output_of_cap_is_equal_for_all_quarter_turns_and_that_of_deep_hits_is_not(cap):
    joined = network("concatenation", False)
    for turn in (1, 2, 3):
        assert np.abs(cap(turned(IMAGES, turn)) - cap(IMAGES)).max() < 1e-6
        assert np.abs(joined(turned(IMAGES, turn)) - joined(IMAGES)).max() > 1e-4


@pytest.mark.parametrize("rule", ["simple", "epsilon", "gamma", "alphabeta", "flat", "ww", "epsilon_plus"])
@pytest.mark.slow
def test_the_map_of_cap_turns_with_the_input(cap, rule):
    maps = maps_of_turns(lambda images: lrp(cap, images, 1, rule=rule), IMAGES)
    assert np.abs(maps - maps[0]).max() < 1e-5 * np.abs(maps[0]).max()
    assert np.allclose(rotation_agreement(maps), 1, atol=1e-6)


@pytest.mark.parametrize("rule", ["simple", Epsilon(1e-9), Gamma(), "flat", "ww", AlphaBeta(1, 0)], ids=str)
@pytest.mark.slow
def test_every_layer_conserves_the_relevance(unbiased, rule):
    """Through rotation, concatenation, cyclic pooling and batch normalisation: the pixels add up to the score."""
    scores = np.asarray(score_model(unbiased)(IMAGES))[:, 1]
    layers = lrp_layerwise(unbiased, IMAGES, 1, rule=rule, batch_size=2)
    assert {"candidate", "padding", "turns", "CNN1", "pool2", "FC1", "FC3"} <= set(layers)
    for name, values in layers.items():
        assert np.allclose(values.reshape(3, -1).sum(axis=1), scores, rtol=2e-3, atol=1e-5), name


@pytest.mark.slow
def test_alpha_2_beta_1_conserves_where_an_output_has_contributions_of_both_signs(unbiased):
    """Bach et al. 2015, eq. 60: alpha - beta = 1 conserves the relevance in every layer."""
    scores = np.asarray(score_model(unbiased)(IMAGES))[:, 1]
    values = lrp_layerwise(unbiased, IMAGES, 1, rule={"FC3": "alphabeta", "FC2": "alphabeta"})["FC1_relu"]
    assert np.allclose(values.reshape(3, -1).sum(axis=1), scores, rtol=1e-3, atol=1e-5)


def test_the_map_of_cap_with_leaky_relu_turns_with_the_input():
    model = deep_hits("cyclic_average", width=0.1, negative_slope=0.01)
    maps = maps_of_turns(lambda images: lrp(model, images, 1, rule="alphabeta"), IMAGES)
    assert np.abs(maps - maps[0]).max() < 1e-5 * np.abs(maps[0]).max()


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_saved_weights_are_loaded_unchanged(tmp_path, option):
    model = network(*option)
    save_npy_weights(model, tmp_path / "weights")
    names = {path.name for path in (tmp_path / "weights").iterdir()}
    assert {"CNN1-W.npy", "CNN5-B.npy", "FC1-W.npy", "FC3-B.npy"} <= names
    assert ("CNN1_bn-moving_variance.npy" in names) == option[1]
    again = load_deep_hits(tmp_path / "weights", option[0], batch_normalization=option[1], width=0.25)
    assert np.array_equal(model(IMAGES), again(IMAGES))
    if option[1]:
        (tmp_path / "weights/CNN1_bn-gamma.npy").unlink()
        with pytest.raises(InputError, match=r"CNN1_bn-gamma.npy: no such file"):
            load_npy_weights(again, tmp_path / "weights")
    with pytest.raises(InputError, match="no such folder of weights"):
        load_deep_hits(tmp_path / "nowhere", "concatenation")


def test_a_saved_network_is_loaded_unchanged(tmp_path, cap):
    cap.save(tmp_path / "cap.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "cap.keras")(IMAGES), cap(IMAGES))
