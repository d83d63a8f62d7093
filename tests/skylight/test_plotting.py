"""Figures show the numbers that they are given, and write the same bytes every time."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skylight import plotting


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_confusion_matrix_shows_per_cent_of_the_true_class_and_counts(axes):
    counts = pd.DataFrame([[3, 1], [0, 1200]], index=["EW", "EA"], columns=["EW", "EA"])
    plotting.draw_confusion(axes, counts, "network")
    assert [word for word in words(axes) if word] == ["75%\n3", "25%\n1", "100%\n1,200"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["EW", "EA"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.yaxis_inverted()  # the first true class is at the top


def test_a_class_without_objects_has_an_empty_row(axes):
    plotting.draw_confusion(axes, pd.DataFrame([[2, 0], [0, 0]]), "network")
    assert [word for word in words(axes) if word] == ["100%\n2"]


def test_signed_maps_are_drawn_about_0_and_others_from_0():
    values = np.array([[-1.0, 0.0], [0.5, 4.0]])
    norm, cmap = plotting.map_scale("blanking", values, percentile=100)
    assert (norm.vmin, norm.vmax, cmap) == (-4, 4, plotting.DIVERGING)
    norm, cmap = plotting.map_scale("saliency", np.abs(values))
    assert (norm.vmin, norm.vmax) == (0, 4)
    assert plotting.map_scale("saliency", np.zeros((2, 2)))[0].vmax == 1  # a map of zeros has a scale as well


def test_drops_in_probability_that_may_be_rounding_are_drawn_pale():
    values = np.array([[-1e-8, 0.0], [0.5e-8, 1e-8]])
    norm, _ = plotting.map_scale("blanking", values)
    assert norm.vmax == plotting.ROUNDING == 1e-6 and abs(norm(1e-8) - 0.5) < 0.01
    assert plotting.map_scale("deep_shap", values, percentile=100)[0].vmax == 1e-8  # logits have no such floor
    assert plotting.map_scale("blanking", 1e4 * values, percentile=100)[0].vmax == 1e-4


@pytest.mark.parametrize(
    ("values", "note"), [(np.zeros((2, 2)), "0 everywhere"), (np.full((2, 2), np.nan), "too few maps")]
)
def test_where_there_is_no_map_the_panel_says_why(axes, values, note):
    plotting.draw_map(axes.figure, axes, values, plotting.map_scale("saliency", np.ones(1)), missing="too few maps")
    assert words(axes) == [note]
    assert len(axes.figure.axes) == 1  # no colour bar


def test_the_colour_bar_is_pointed_where_values_lie_beyond_it(axes):
    values = np.array([[-3.0, 0.0], [0.0, 1.0]])
    plotting.draw_map(axes.figure, axes, values, (plt.Normalize(-1, 1), plotting.DIVERGING))
    assert axes.images[0].colorbar.extend == "min"


def test_curves_are_read_by_part_and_metric_and_drawn_by_epoch(tmp_path):
    for part, values in (("train", [0.9, 0.5, 0.3]), ("validation", [0.8, 0.6, 0.4])):
        folder = tmp_path / "plots" / "metrics" / part
        folder.mkdir(parents=True)
        pd.DataFrame({"step": range(3), "loss": values}).to_csv(folder / "loss.tsv", sep="\t", index=False)
    curves = plotting.read_curves(tmp_path)
    assert {key: list(values) for key, values in curves.items()} == {
        "train/loss": [0.9, 0.5, 0.3],
        "validation/loss": [0.8, 0.6, 0.4],
    }
    figure = plotting.training_curves({"first": curves, "second": curves})
    lines = figure.axes[0].get_lines()
    assert [line.get_linestyle() for line in lines] == [":", "-", ":", "-"]
    assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 4
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["first", "second"]
    plt.close(figure)


def test_a_figure_has_the_same_bytes_every_time(tmp_path):
    for name in ("one.png", "two.png"):
        figure, axes = plt.subplots()
        axes.plot([1, 2, 3])
        plotting.save(figure, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert not plt.get_fignums()
