"""The stage `periodic.transform` on small surveys: what it counts, and what it refuses before it writes anything."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, set_params

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path):
    """A folder with params.yaml and a survey of twelve stars, six EW and six RRab, one file per star."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "mine/lc").mkdir(parents=True)
    (tmp_path / "mine/labels.csv").write_text("id,class\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(12)))
    for star in range(12):
        rng = np.random.default_rng(star)
        rows = [f"{time:.5f},{15 + rng.normal():.3f},0.1" for time in rng.uniform(0, 900, 30)]
        (tmp_path / f"mine/lc/{star}.csv").write_text("mjd,mag,magerr\n" + "\n".join(rows) + "\n")
    data = {
        "layout": "files",
        "path": "mine",
        "files": "lc/{id}.csv",
        "columns": {"time": "mjd", "mag": "mag", "magerr": "magerr"},
        "labels": {"path": "labels.csv", "id": "id", "class": "class", "classes": {"a": "EW", "b": "RRab"}},
    }
    settings = {
        "periodic.data": data,
        "periodic.transfer.surveys": {"mine": copy.deepcopy(data)},
        "periodic.classes": ["EW", "RRab"],
    }
    set_params(tmp_path / "params.yaml", settings)
    return tmp_path


def transform(place, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "stages.periodic.transform", *arguments]
    return subprocess.run(
        command, cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


def test_the_metrics_have_dropped_rows_only_where_there_are_any(place):
    assert transform(place).returncode == 0
    metrics = place / "out/periodic/metrics/transform.json"
    counts = {"objects": 12, "rejected": 0, "left_out": 0, "rows": {"EW": 6, "RRab": 6}}
    assert json.loads(metrics.read_text()) == counts
    with (place / "mine/lc/3.csv").open("a") as file:
        file.write("58030.5,99.999,9.999\n" * 10)
    done = transform(place)
    assert done.returncode == 0 and "dropped rows: 10 mag_range" in done.stdout
    assert json.loads(metrics.read_text()) == counts | {"dropped_rows": {"mag_range": 10}}


def test_a_survey_without_labels_is_not_for_training(place):
    settings = (place / "params.yaml").read_text()
    set_params(place / "params.yaml", {"periodic.data.labels": None})
    done = transform(place)
    assert done.returncode == 1 and not (place / "data").exists() and not (place / "out").exists()
    message = "error: periodic.data.labels: must not be null, the network is trained on this survey\n"
    assert done.stderr == message
    (place / "params.yaml").write_text(settings)
    set_params(place / "params.yaml", {"periodic.transfer.surveys.mine.labels": None})
    assert transform(place, "--survey", "mine").returncode == 0


def test_three_stars_are_not_enough_for_training(place):
    (place / "mine/labels.csv").write_text("id,class\n0,a\n1,b\n2,a\n")
    done = transform(place)
    assert done.returncode == 1 and not (place / "data").exists()
    assert done.stderr.startswith("error: mine/labels.csv: training needs at least 10 objects, of two classes")
    assert done.stderr.count("\n") == 1
    assert transform(place, "--survey", "mine").returncode == 0
