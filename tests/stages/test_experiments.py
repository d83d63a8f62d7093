"""Experiments of DVC on a chapter at tiny scale: run, queued, in a temporary folder, compared, and in MLflow."""

import io
import json
import time

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.conftest import profile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(clone):
    """A clone that has run the chapter up to the training, with the profile ``tiny``, and committed it."""
    clone = clone()
    clone.printed = clone.shell("xargs dvc exp run -n tiny periodic-train < profiles/tiny")
    clone.commit("tiny")
    return clone


def parameters(clone) -> dict[str, object]:
    """Return every parameter of a clone by its key."""

    def flat(section: dict, prefix: str = "") -> dict[str, object]:
        found = {}
        for name, value in section.items():
            found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
        return found

    return flat(YAML(typ="safe").load(clone.path / "params.yaml"))


def experiments(clone) -> pd.DataFrame:
    """Return the table of ``dvc exp show``: one row per experiment, by name."""
    printed = clone.run("dvc", "exp", "show", "--csv")
    table = pd.read_csv(io.StringIO(printed[printed.index("Experiment,") :]))
    return table.dropna(subset="Experiment").set_index("Experiment")


def finished(clone, *names: str, seconds: float = 240) -> bool:
    """Wait for experiments of these names; return whether they finished in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        there = clone.shell("git for-each-ref --format '%(refname:lstrip=-1)' refs/exps").split()
        if set(names) <= set(there):
            return True
        time.sleep(0.5)
    return False


def test_xargs_passes_a_profile_to_dvc(tiny):
    steps = {line.split("'")[1] for line in tiny.printed.splitlines() if line.startswith("Running stage")}
    assert steps == {"periodic-simulate", "periodic-transform", "periodic-train"}
    assert "Ran experiment(s): tiny" in tiny.printed
    assert profile("tiny").items() <= parameters(tiny).items()


def test_a_queue_runs_two_experiments_at_a_time_and_does_not_change_the_workspace(tiny):
    for name, setting in (("double", "augmentation=double"), ("drawn", "augmentation=sample_1")):
        settings = f"-S periodic.transform.{setting} -S periodic.transform.sample_to=200"
        printed = tiny.shell(f"dvc exp run --queue -n {name} {settings} periodic-transform")
        assert f"Queued experiment '{name}' for future execution." in printed
    assert "Started '2' new experiments task queue workers." in tiny.run("dvc", "queue", "start", "-j", "2")
    assert finished(tiny, "double", "drawn"), tiny.run("dvc", "queue", "status")
    assert tiny.shell("git status --porcelain") == ""
    rows = experiments(tiny)
    classes = [column for column in rows if column.startswith("out/periodic/metrics/transform.json:rows.")]
    assert (rows.loc["drawn", classes] == 200).all()
    one = pd.Series(json.loads((tiny.path / "out/periodic/metrics/transform.json").read_text())["rows"])
    twice = rows.loc["double", classes].rename(lambda column: column.rpartition(".")[2]).astype(int)
    assert (twice.drop("EW") == 2 * one.drop("EW")).all() and twice["EW"] == one["EW"]


def test_a_queue_runs_on_data_of_the_user_outside_of_the_repository(tiny, tmp_path):
    """As docs/experiments.md says; a folder in the repository is not copied into that of an experiment."""
    (tmp_path / "asas").mkdir()
    for star in range(12):
        rows = "".join(f"{10 * star + day},{12 + 0.1 * (day % 3)}\n" for day in range(20))
        (tmp_path / f"asas/{star}.csv").write_text("HJD,MAG\n" + rows)
    columns = "{time: HJD, mag: MAG}"
    description = f"{{layout: files, path: {tmp_path}/asas, files: '{{id}}.csv', columns: {columns}}}"
    setting = f"+periodic.transfer.surveys.asas={description}"
    tiny.run("dvc", "exp", "run", "--queue", "-n", "mine", "-S", setting, "periodic-transform-transfer@asas")
    tiny.run("dvc", "queue", "start")
    assert finished(tiny, "mine"), tiny.run("dvc", "queue", "logs", "mine")
    assert tiny.shell("git status --porcelain") == ""
    assert experiments(tiny).loc["mine", "out/periodic/metrics/transform_asas.json:objects"] == 12


def test_a_temporary_experiment_does_not_change_the_workspace(tiny):
    printed = tiny.shell("dvc exp run --temp -n strict -S periodic.transform.max_rejected=0.01 periodic-transform")
    assert "Ran experiment(s): strict" in printed and "applied to your workspace" not in printed
    assert tiny.shell("git status --porcelain") == ""
    assert experiments(tiny).loc["strict", "periodic.transform.max_rejected"] == 0.01


def test_a_setting_that_is_not_a_parameter_is_an_error(tiny):
    assert "Could not override" in tiny.shell("dvc exp run -S periodic.train.epoch=3 periodic-train", fails=True)
    assert tiny.shell("git status --porcelain") == ""


def test_an_experiment_is_compared_with_the_last_commit_and_logged_to_mlflow(tiny, mlflow_server):
    before = json.loads((tiny.path / "out/periodic/training/metrics.json").read_text())
    setting = "-S periodic.train.learning_rate=1e-3"
    printed = tiny.shell(f"dvc exp run -n fast {setting} periodic-train", MLFLOW_TRACKING_URI=mlflow_server)
    assert "Ran experiment(s): fast" in printed and "Running stage 'periodic-transform'" not in printed
    after = json.loads((tiny.path / "out/periodic/training/metrics.json").read_text())

    diff = json.loads(tiny.run("dvc", "exp", "diff", "HEAD", "fast", "--json").strip().splitlines()[-1])
    assert diff["params"]["params.yaml"] == {
        "periodic.train.learning_rate": {"old": 2e-4, "new": 1e-3, "diff": 1e-3 - 2e-4}
    }
    loss = diff["metrics"]["out/periodic/training/metrics.json"]["train.loss"]
    assert (loss["old"], loss["new"]) == (before["train"]["loss"], after["train"]["loss"])
    assert loss["old"] != loss["new"]

    tiny.run("dvc", "plots", "diff", "HEAD", "fast", "-o", "plots")
    page = (tiny.path / "plots/index.html").read_text()
    assert "periodic loss" in page and '"rev": "fast"' in page and '"rev": "HEAD"' in page

    import mlflow

    client = mlflow.MlflowClient(mlflow_server)
    (run,) = client.search_runs([client.get_experiment_by_name("periodic").experiment_id])
    assert run.info.run_name == "fast" and run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.001" and run.data.params["epochs"] == "2"
    assert run.data.metrics["train/loss"] == pytest.approx(after["train"]["loss"])
