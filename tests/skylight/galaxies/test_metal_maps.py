"""Maps of both classes are Grad-CAM, and controls point where a galaxy is blue, faint or far out."""

import numpy as np
import pytest

from skylight.attribution import METHODS, gradcam
from skylight.galaxies.images import colour_picture
from skylight.galaxies.metal_maps import NOT_USED, class_activation_maps, controls, gradients, methods
from skylight.galaxies.metal_scores import CONTROLS
from skylight.networks.metallicity_cnn import LAST, metallicity_cnn, set_statistics
from skylight.training.fit import deterministic

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
INPUTS = IMAGES.astype(np.float32) / 255


def network(outputs: int = 2):
    deterministic(1)
    model = metallicity_cnn(16, outputs, 0.2)
    set_statistics(model, [0.4, 0.5, 0.6], [0.2, 0.3, 0.25])
    for layer in ("norm1", "norm2", "norm3"):
        weights = model.get_layer(layer)
        weights.set_weights([np.abs(np.random.default_rng(2).normal(1, 0.2, w.shape)) for w in weights.get_weights()])
    return model


def test_the_positive_part_of_the_maps_is_gradcam_of_the_logits():
    model = network()
    maps = class_activation_maps(model, IMAGES, np.arange(5))
    assert maps.shape == (5, 16, 16, 2)
    for target in (0, 1):
        expected = gradcam(model, INPUTS, target, layer=LAST, score="logit")[..., 0]
        assert np.allclose(np.maximum(maps[..., target], 0), expected, atol=1e-5)
        assert expected.max() > 0
    difference = np.maximum(maps[..., 1] - maps[..., 0], 0)
    assert np.allclose(difference, gradcam(model, INPUTS, 1, layer=LAST)[..., 0], atol=1e-5)  # the log-odds


def test_the_sum_of_a_map_is_the_logit_without_its_bias():
    model = network()
    model.get_layer("answers").bias.assign([0.3, -0.2])
    maps = class_activation_maps(model, IMAGES, np.array([3, 1]))
    p = model.predict(INPUTS[[3, 1]], verbose=0)
    logits = maps.sum(axis=(1, 2)) + np.array([0.3, -0.2])
    assert np.allclose(np.log(p[:, 1] / p[:, 0]), logits[:, 1] - logits[:, 0], atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    model = network(1)
    found = gradients(model, INPUTS[:1])[0, 4:12, 4:12].sum()
    step = 1e-3
    moved = np.repeat(INPUTS[:1], 2, axis=0)
    moved[0, 4:12, 4:12] += step
    moved[1, 4:12, 4:12] -= step
    above, below = model.predict(moved, verbose=0)[:, 0]
    assert (above - below) / (2 * step) == pytest.approx(found, rel=0.05)


@pytest.mark.slow
def test_every_method_of_the_library_but_one_explains_the_network():
    model = network()
    found = methods(INPUTS[:2], "log_odds", seed=0)
    assert {name.split()[0] for name in found} == set(METHODS) - set(NOT_USED)
    for name, method in found.items():
        maps = method(model, INPUTS[:1], np.array([1]))
        assert maps.shape[:3] == (1, 16, 16) and np.isfinite(maps).all(), name


def test_controls_point_to_the_blue_the_faint_and_the_outer_pixels():
    y, x = np.mgrid[:64, :64] - 31.5
    light = np.exp(-np.hypot(x, y) / 8)
    g = np.where(x > 0, 0.9, 0.4) * light  # the right half is blue
    picture = colour_picture(np.stack([g, light, 1.3 * light]))
    found = controls(picture[None], seed=0)
    assert tuple(found) == CONTROLS and all(values.shape == (1, 64, 64) for values in found.values())
    assert all(values.min() >= 0 for values in found.values())
    assert found["colour"][0, 32, 40] > found["colour"][0, 32, 24] + 0.5
    assert found["brightness"][0, 32, 60] > found["brightness"][0, 32, 32]
    assert found["centre"][0, 0, 0] > found["centre"][0, 32, 32]
    assert np.array_equal(found["random"], controls(picture[None], seed=0)["random"])
