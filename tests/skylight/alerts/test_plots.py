"""Figures of alerts: which panels are drawn, and what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skylight.alerts import plots
from skylight.alerts.triplets import FILLING


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_masked_and_missing_pixels_are_not_part_of_the_image():
    pixels = np.random.default_rng(0).normal(1, 0.1, (63, 63)).astype(np.float32)
    pixels[0, :5], pixels[1, :7] = 0, FILLING
    _, axes = plt.subplots()
    plots.draw_cutout(axes, pixels)
    (image,) = axes.images
    assert image.get_array().mask.sum() == 12
    low, high = image.get_clim()
    assert low == pytest.approx(1 - 2 * 0.1, abs=0.03) and high == pytest.approx(1 + 10 * 0.1, abs=0.05)
    plots.draw_cutout(plt.subplots()[1], np.zeros((63, 63), np.float32))


def test_a_class_map_is_drawn_beside_its_alert_or_a_reason_is_given():
    rng = np.random.default_rng(0)
    generated = rng.normal(size=(2, 2, 63, 63))
    generated[1, 0] = np.nan
    table = pd.DataFrame(
        {
            "subcategory": ["real_central", "real_central", "bogus_blanked", "bogus_blanked"],
            "map": ["gradcam", "deep_shap"] * 2,
            "candid": ["1", "2", np.nan, "1"],
            "score": [0.9, 0.8, np.nan, 0.7],
            "note": ["", "", "3 maps to learn from, 12 are needed", ""],
        }
    )
    differences = {"1": rng.normal(size=(63, 63)), "2": rng.normal(size=(63, 63))}
    figure = plots.class_maps(table, differences, generated)
    axes = np.array(figure.axes[:8]).reshape(2, 2, 2)  # the rest are colour bars
    for i, j, candid in ((0, 0, "1"), (0, 1, "2"), (1, 1, "1")):
        image, picture = (ax.images[0].get_array() for ax in axes[i, j])
        assert np.array_equal(image, differences[candid]) and np.array_equal(picture, generated[i, j])
    assert not axes[1, 0, 0].images and not axes[1, 0, 1].images
    (reason,) = axes[1, 0, 0].texts
    assert reason.get_text().replace("\n", " ") == "3 maps to learn from, 12 are needed"
    assert [ax.get_title() for ax in axes[0, :, 1]] == ["Grad-CAM\nsimilarity 0.90", "SHAP of DIFF\nsimilarity 0.80"]
    assert [ax.get_ylabel() for ax in axes[:, 0, 0]] == ["real\ncentral", "bogus\nblanked"]


def test_examples_leave_places_empty_where_a_class_has_few_alerts():
    triplets = np.random.default_rng(0).normal(size=(3, 63, 63, 3))
    figure = plots.examples({"real": triplets, "bogus": triplets[:1]}, rows=3)
    assert [len(half.axes) for half in figure.subfigs] == [9, 3]
    assert np.array_equal(figure.subfigs[0].axes[4].images[0].get_array(), triplets[1, ..., 1])
