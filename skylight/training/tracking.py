"""Optional logging of trainings to the MLflow server at ``MLFLOW_TRACKING_URI``.

Without this variable MLflow is not imported. Each training (``periodic``) is an experiment of MLflow. Each time that it
runs is a run of the experiment, with the name that `dvc exp run` gave it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

from skylight.errors import InputError

Log = Callable[[Mapping[str, float]], None]


@contextlib.contextmanager
def tracking(name: str, identity: str, parameters: Mapping) -> Iterator[Log]:
    """Log a training to MLflow: first its parameters, then values by epoch, and at the end a figure of its curves.

    Parameters
    ----------
    name : str
        Name of the training.
    identity : str
        Equal for trainings that end with the same weights. If a run was interrupted, the run that continues its
        training marks it as killed and logs its epochs again.
    parameters : mapping
        Sections can be nested; MLflow gets the keys joined by dots.

    Yields
    ------
    callable
        Call it once per epoch with the values by name (``train/loss``). It does nothing without
        ``MLFLOW_TRACKING_URI``.

    Raises
    ------
    InputError
        MLflow is not installed, or its server does not answer or reports an error.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if not server:
        yield lambda values: None
        return
    try:
        import mlflow
    except ImportError:
        raise InputError("MLFLOW_TRACKING_URI is set but MLflow is not installed: pip install mlflow-skinny") from None
    from skylight import plotting

    # With its default of seven retries MLflow waits 4.5 minutes for a server that does not answer.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    curves: dict[str, list[float]] = {}

    def log(values: Mapping[str, float]) -> None:
        for key, value in values.items():
            curves.setdefault(key, []).append(value)
        mlflow.log_metrics(values, step=max(map(len, curves.values())))

    try:
        experiment = mlflow.set_experiment(name)
        _mark_killed(mlflow.MlflowClient(), experiment.experiment_id, identity)
        with mlflow.start_run(run_name=os.environ.get("DVC_EXP_NAME"), tags={"identity": identity}):
            mlflow.log_params(_flat(parameters))
            yield log
            figure = plotting.training_curves({name: curves})
            mlflow.log_figure(figure, "training.png")
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"MLFLOW_TRACKING_URI: {server}: {str(error).splitlines()[0]}") from None


def _mark_killed(client, experiment: str, identity: str) -> None:
    """Mark unfinished runs of a training as killed; MLflow would otherwise show them as running for ever."""
    unfinished = f"tags.identity = '{identity}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment], unfinished):
        client.set_terminated(run.info.run_id, "KILLED")


def _flat(parameters: Mapping, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, value in parameters.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
