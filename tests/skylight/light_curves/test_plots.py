"""Figures of dmdt images: ticks at the right edges, classes without objects, surveys without labels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skylight import params
from skylight.light_curves import class_plots, plots
from skylight.light_curves.features import FEATURES
from skylight.light_curves.maps import DRAWN

PERIODIC = params.load().periodic
GRID, CLASSES = PERIODIC.dmdt, PERIODIC.classes


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("every", [1, 3, 4])
def test_ticks_are_at_the_edges_that_they_name(every):
    figure, axes = plt.subplots()
    image = np.arange(22 * 24).reshape(22, 24)
    plots.draw_map(figure, axes, image, plots.counts_scale(image), GRID, every)
    for axis, edges in ((axes.xaxis, GRID.dt_edges), (axes.yaxis, GRID.dm_edges)):
        names = [float(label.get_text()) for label in axis.get_ticklabels()]
        ticks = dict(zip(names, axis.get_ticklocs(), strict=True))
        assert 0 in ticks and len(ticks) >= len(edges) // every
        for value, place in ticks.items():
            # Cell i reaches from i - 0.5 to i + 0.5, so its lower edge is at i - 0.5.
            assert value == pytest.approx(edges[round(place + 0.5)], rel=0.05)
    assert axes.get_xlim() == (-0.5, 23.5) and axes.get_ylim() == (-0.5, 21.5)


def test_a_class_without_objects_has_no_image():
    means = np.full((7, 22, 24), np.nan, np.float32)
    means[2] = 1
    table = pd.DataFrame({"class": CLASSES, "objects": [0, 0, 1234, 0, 0, 0, 0]})
    panels = [axes for axes in plots.mean_dmdt(means, table, GRID).axes if axes.get_title()]
    assert [axes.get_title() for axes in panels][1:3] == ["EA (0)", "RRab (1,234)"]
    assert [texts(axes) for axes in panels] == [["no object"]] * 2 + [[]] + [["no object"]] * 4


def test_times_are_named_as_their_column():
    surveys = PERIODIC.transfer.surveys
    assert plots.time_label(PERIODIC.data) == "MJD (days)"  # CRTS has no header
    assert plots.time_label(surveys["ptf"]) == "obsmjd (days)"
    by_position = surveys["ptf"].model_copy(update={"columns": surveys["ptf"].columns.model_copy(update={"time": 2})})
    assert plots.time_label(by_position) == "time (days)"


def test_errors_below_0_are_not_drawn():
    _, axes = plt.subplots()
    plots.show_light_curve(axes, np.arange(3.0), np.full(3, 15.0), np.array([0.5, -1.0, 0.0]), "HJD (days)")
    bars = axes.collections[0].get_segments()
    assert [float(np.ptp(bar[:, 1])) for bar in bars] == [1, 0, 0] and axes.get_xlabel() == "HJD (days)"


def test_folded_light_curves_show_two_periods_bright_at_the_top():
    examples = pd.DataFrame({"lcid": ["7"], "class": ["EA"], "period_days": [1.2345678]})
    points = pd.DataFrame({"lcid": ["7", "8", "7"], "phase": [0.25, 0.5, 0.75], "mag": [15.0, 9.0, 16.0]})
    (axes,) = plots.folded(examples, points).axes
    assert axes.get_title() == "EA, P = 1.235 d"
    assert axes.lines[0].get_xdata().tolist() == [0.25, 0.75, 1.25, 1.75]
    assert axes.lines[0].get_ydata().tolist() == [15, 16, 15, 16]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_a_survey_without_labels_shows_what_is_predicted():
    f1 = {name: index / 10 for index, name in enumerate(CLASSES)}
    known = {"test_objects": 4, "as_it_is": {"accuracy": 0.5, "f1": f1}, "fine_tuned": {"accuracy": 0.75, "f1": f1}}
    metrics = {"ztf": known, "ptf": {"objects": 9, "predicted": {"EA": 9}}}
    labelled, unlabelled = plots.transfer(metrics, CLASSES).axes
    assert [bar.get_height() for bar in labelled.patches] == [*f1.values()] * 2
    assert [bar.get_height() for bar in unlabelled.patches] == [0, 9, 0, 0, 0, 0, 0]


def test_the_features_of_the_forest_are_sorted_and_have_readable_names():
    assert set(plots.FEATURE_TITLES) == set(FEATURES)
    assert len(set(plots.FEATURE_TITLES.values())) == len(FEATURES)
    shares = pd.DataFrame(0.001, index=["EW", "EA"], columns=FEATURES)
    shares.loc["EA", "skew"], shares.loc["EW", "stetson_j"] = 0.25, 0.124
    axes = plots.feature_shares(shares).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:3] == ["skewness", "Stetson J", "mean magnitude"] and len(names) == 21
    assert texts(axes)[:4] == ["0.1", "25.0", "12.4", "0.1"]


@pytest.mark.slow
def test_a_class_without_a_picture_has_the_reason_in_its_panel():
    kinds = list(DRAWN)
    table = pd.DataFrame([(name, kind, 0.5, "") for name in CLASSES for kind in kinds])
    table.columns = ["class", "map", "score", "note"]
    table.loc[1, "note"] = "too few"  # of EW, the second kind of map
    generated = np.random.default_rng(0).random((4, 7, 22, 24))
    generated[1, 0] = np.nan
    pictures = {"lighting": generated[2], "maximization": generated[3]}
    figure = class_plots.overview(pictures, generated, table, CLASSES, GRID)
    notes = [texts(axes) for axes in figure.axes[: 7 * 6]]
    assert notes[3] == ["too few"] and sum(map(len, notes)) == 1
