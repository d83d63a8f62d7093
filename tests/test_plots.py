"""The plots of ``dvc plots show``: every plot of dvc.yaml whose data are in Git is rendered, as in a browser."""

import json
import subprocess
import sys

import pytest
import vl_convert

from tests.conftest import ROOT


@pytest.mark.slow
def test_every_plot_renders_with_its_data(tmp_path):
    command = [sys.executable, "-m", "dvc", "plots", "show", "--out", str(tmp_path / "plots"), "--json"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    plots = [(name, plot) for name, found in json.loads(printed)["data"].items() for plot in found]
    charts = {name: plot["content"] for name, plot in plots if plot["type"] == "vega"}
    pictures = {name for name, plot in plots if plot["type"] == "image"}
    assert {"periodic accuracy", "periodic loss", "periodic confusion"} <= set(charts)
    assert "out/periodic/figures/median_blanking.png" in pictures
    for name, chart in charts.items():
        drawn = vl_convert.vegalite_to_svg(chart)
        assert "mark-line" in drawn or "mark-rect" in drawn, name
