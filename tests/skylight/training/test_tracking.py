"""Trainings logged to a real MLflow server: only if the user asks for it, and without effect on the weights."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from skylight.errors import InputError
from skylight.training.fit import CHECKPOINTS, array_batches, deterministic, fit
from skylight.training.tracking import tracking


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(epochs=3, kill_at=None):
    """Train a small network; return its weights."""
    deterministic(1)
    inputs = np.random.default_rng(0).random((64, 4), dtype=np.float32)
    labels = (inputs[:, 0] > 0.5).astype(int)
    first = keras.layers.Input((4,), name="in")
    model = keras.Model(first, keras.layers.Dense(2, activation="softmax", name="out")(first), name="tracked")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])

    def stop(epoch, logs=None):
        if epoch == kill_at:
            raise KeyboardInterrupt

    fit(
        model,
        array_batches(inputs, labels, 32, seed=0),
        steps=2,
        epochs=epochs,
        name="tracked",
        parameters={"epochs": epochs, "rate": {"start": 0.01, "halve": [1, 2]}},
        depends_on="nothing",
        curves=Path("curves"),
        validation=tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(64),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=stop)],
    )
    return model.get_weights()


def test_without_the_variable_mlflow_is_not_imported(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)  # an import of it fails
    assert len(train()) == 2


def test_without_mlflow_installed_the_error_names_the_package(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match="MLflow is not installed: pip install mlflow-skinny"):
        train()


def test_a_server_that_does_not_answer_is_an_error_before_the_training(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI: http://127\.0\.0\.1:1: API request .* failed"):
        train()
    assert not CHECKPOINTS.exists()


@pytest.mark.slow
def test_parameters_metrics_and_curves_are_logged_and_do_not_change_the_weights(monkeypatch, mlflow_server):
    untracked = train()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("DVC_EXP_NAME", "long-otter")
    with pytest.raises(KeyboardInterrupt):
        train(kill_at=2)
    assert all(np.array_equal(a, b) for a, b in zip(train(), untracked, strict=True))

    import mlflow

    client = mlflow.MlflowClient(mlflow_server)
    runs = client.search_runs([client.get_experiment_by_name("tracked").experiment_id], order_by=["start_time"])
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
    whole = runs[1]
    assert whole.info.run_name == "long-otter"
    assert whole.data.params == {"epochs": "3", "rate.start": "0.01", "rate.halve": "[1, 2]"}
    assert set(whole.data.metrics) == {"train/loss", "train/accuracy", "validation/loss", "validation/accuracy"}
    curve = Path("curves/plots/metrics/validation/loss.tsv").read_text().splitlines()[1:]
    logged = client.get_metric_history(whole.info.run_id, "validation/loss")
    assert [(value.step - 1, value.value) for value in logged] == [
        (int(step), float(value)) for step, value in (line.split("\t") for line in curve)
    ]
    assert [file.path for file in client.list_artifacts(whole.info.run_id)] == ["training.png"]
    picture = Path(client.download_artifacts(whole.info.run_id, "training.png", "."))
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


@pytest.mark.slow
def test_a_killed_run_is_marked_by_the_next_run_of_its_training(monkeypatch, mlflow_server):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    client = mlflow.MlflowClient(mlflow_server)
    experiment = client.create_experiment("killed")
    same, other = (client.create_run(experiment, tags={"identity": identity}).info.run_id for identity in "ab")
    with tracking("killed", "a", {}) as log:
        log({"train/loss": 1.0})
    assert [client.get_run(run).info.status for run in (same, other)] == ["KILLED", "RUNNING"]
