"""Trainings logged to MLflow as well, for those who keep theirs there: ``MLFLOW_TRACKING_URI`` says where.

Without that variable nothing imports MLflow. Each training (``periodic``) is an experiment of MLflow's, and each time
it ran is a run, which has the name that `dvc exp run` gave.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

from skylight.errors import InputError

Log = Callable[[Mapping[str, float]], None]


@contextlib.contextmanager
def tracking(name: str, identity: str, parameters: Mapping) -> Iterator[Log]:
    """Log a training to MLflow: its parameters now, values by epoch, and at the end the figure of its curves.

    Parameters
    ----------
    name : str
        Of the training.
    identity : str
        Equal for trainings that would end with the same weights. A run that was cut short is marked as killed by the
        run that continues its training, which logs the epochs done before as well.
    parameters : mapping
        Sections may be nested; MLflow shows the keys joined by points.

    Yields
    ------
    callable
        To be called once an epoch with the values by name (``train/loss``). Does nothing without
        ``MLFLOW_TRACKING_URI``.

    Raises
    ------
    InputError
        MLflow is not installed, or its server does not answer or refuses.
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

    # MLflow's own seven retries wait four minutes and a half for a server that is not there.
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
            figure = plotting.training_curves(curves)
            for axes in figure.axes:
                axes.xaxis.get_major_locator().set_params(integer=True)  # a short training has few epochs to label
            mlflow.log_figure(figure, "training.png")
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"MLFLOW_TRACKING_URI: {server}: {str(error).splitlines()[0]}") from None


def _mark_killed(client, experiment: str, identity: str) -> None:
    """A killed process cannot say so itself: its run would count as running for ever."""
    unfinished = f"tags.identity = '{identity}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment], unfinished):
        client.set_terminated(run.info.run_id, "KILLED")


def _flat(parameters: Mapping, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, value in parameters.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
