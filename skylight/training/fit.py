"""Training that gives the same weights on every run and that continues after it was killed.

The order of the samples in epoch e depends only on the seed and on e. A checkpoint after each epoch contains the
weights, the optimizer, the random state of the layers, the callbacks and the curves. A training that was killed and
started again therefore ends with the same weights as one without interruption. The checkpoints are not in the outputs
of the stages, because DVC removes these before it runs a stage again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from dvclive import Live

from skylight.errors import same_on_every_machine
from skylight.outputs import remove
from skylight.training.tracking import Log, tracking

CHECKPOINTS = Path(".checkpoints")


def deterministic(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and make the operations of TensorFlow deterministic.

    It gets two threads on every machine, see `skylight.errors.same_on_every_machine`.
    """
    same_on_every_machine()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def digest(*parts: object) -> str:
    """Return a hash of arrays and of anything that JSON can represent: the inputs of a training."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).view(np.uint8))
        else:
            state.update(json.dumps(part, sort_keys=True, default=str).encode())
    return state.hexdigest()


def shuffled(count: int, batch_size: int, seed: int) -> Callable[[int], tf.data.Dataset]:
    """Return the indices of the samples in a new order for each epoch.

    Parameters
    ----------
    count, batch_size : int
        Number of samples, and of samples per batch; the last batch of an epoch can be smaller.
    seed : int

    Returns
    -------
    callable
        Function of the first epoch; it returns a dataset of batches of indices for this epoch and all later ones.
    """

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        draws = tf.random.stateless_uniform([count], seed=tf.stack([tf.constant(seed, tf.int64), epoch]))
        return tf.data.Dataset.from_tensor_slices(tf.argsort(draws, stable=True)).batch(batch_size)

    def from_epoch(first: int) -> tf.data.Dataset:
        return tf.data.Dataset.range(first, np.iinfo(np.int64).max).flat_map(one_epoch)

    return from_epoch


def array_batches(
    inputs: np.ndarray, labels: np.ndarray, batch_size: int, seed: int
) -> Callable[[int], tf.data.Dataset]:
    """Return batches of (N, ...) inputs and (N, ...) labels in a new order for each epoch, for `fit`.

    Memory-mapped inputs are read batch by batch; other inputs stay in memory.
    """
    order = shuffled(len(inputs), batch_size, seed)
    take = _reader(inputs) if isinstance(inputs, np.memmap) else _gatherer(inputs)
    take_labels = _gatherer(labels)

    def from_epoch(first: int) -> tf.data.Dataset:
        return order(first).map(lambda rows: (take(rows), take_labels(rows))).prefetch(4)

    return from_epoch


def ordered_batches(inputs: np.ndarray, labels: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Return batches of (N, ...) inputs and (N, ...) labels in the order of the arrays, once."""
    take = _reader(inputs) if isinstance(inputs, np.memmap) else _gatherer(inputs)
    take_labels = _gatherer(labels)
    return tf.data.Dataset.range(len(inputs)).batch(batch_size).map(lambda rows: (take(rows), take_labels(rows)))


def untuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Switch TensorFlow's automatic tuning of datasets off.

    The tuning is of no use here. Its thread sleeps for up to a minute, and the end of a dataset waits for this thread.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _gatherer(values: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    values = tf.constant(values)
    return lambda rows: tf.gather(values, rows)


def _reader(values: np.memmap) -> Callable[[tf.Tensor], tf.Tensor]:
    def read(rows: tf.Tensor) -> tf.Tensor:
        drawn = tf.numpy_function(lambda rows: values[rows], [rows], values.dtype, stateful=False)
        drawn.set_shape([None, *values.shape[1:]])
        return drawn

    return read


def fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    steps: int,
    epochs: int,
    *,
    name: str,
    parameters: Mapping,
    depends_on: str,
    curves: Path,
    validation: tf.data.Dataset | None = None,
    validation_name: str = "validation",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    keep: bool = False,
) -> None:
    """Train a compiled model; continue an interrupted training with the same inputs after its last finished epoch.

    Parameters
    ----------
    model : keras.Model
        Compiled; its weights change.
    batches : callable
        Function of the first epoch; it returns an endless dataset of (inputs, labels) that starts with this epoch.
    steps : int
        Number of batches per epoch.
    epochs : int
    name : str
        Name of the training. Its checkpoints are in ``.checkpoints/<name>`` and are removed at the end.
    parameters : mapping
        The user's settings of this training.
    depends_on : str
        `digest` of everything else that the training depends on, apart from the model's architecture. A checkpoint of a
        training with another digest is not used.
    curves : Path
        Folder for the DVCLive curves, with one value per epoch, in ``train/`` and ``<validation_name>/``. If
        ``MLFLOW_TRACKING_URI`` is set, MLflow gets them as well (`skylight.training.tracking`).
    validation : tf.data.Dataset, optional
        Evaluated after each epoch.
    callbacks : sequence of keras.callbacks.Callback
        ``ReduceLROnPlateau``, ``EarlyStopping`` or similar; their state is part of the checkpoints.
    keep : bool
        Whether to keep the last checkpoint until `forget`. A script that trains several networks then does not train
        the finished ones again after it was killed.
    """
    identity = digest(_architecture(model), depends_on, dict(parameters))
    model.optimizer.build(model.trainable_variables)  # otherwise TensorFlow traces the first step twice
    with tracking(name, identity, parameters) as track:
        keeper = _Checkpoints(CHECKPOINTS / name, identity, list(callbacks), curves, validation_name, track)
        done = keeper.finished_epochs()
        if done:
            print(f"continuing {name} after epoch {done} of {epochs}")
        model.fit(
            untuned(batches(done)),
            initial_epoch=done,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=None if validation is None else untuned(validation),
            callbacks=[*callbacks, keeper],
            shuffle=False,  # the batches are shuffled already
            verbose=2,
        )
    keeper.live.end()
    if not keep:
        forget(name)


def forget(name: str) -> None:
    """Remove the checkpoints of a training, and of all trainings whose names begin with ``<name>/``."""
    remove(CHECKPOINTS / name)


def _architecture(model: keras.Model) -> dict:
    """Return layers, loss and optimizer, without the optimizer's name, which has a counter of the process in it."""
    config = json.loads(model.to_json())
    config["compile_config"]["optimizer"]["config"].pop("name")
    return config


class _Checkpoints(keras.callbacks.Callback):
    """Saves everything that a training needs to continue. It must be the last callback, since it saves the others."""

    def __init__(self, folder: Path, identity: str, callbacks: list, curves: Path, validation_name: str, track: Log):
        super().__init__()
        self.folder, self.identity = folder, identity
        self.callbacks, self.validation_name, self.track = callbacks, validation_name, track
        remove(curves)
        self.live = Live(str(curves), dvcyaml=None, report=None, save_dvc_exp=False, monitor_system=False)
        self.history: list[dict[str, float]] = []

    def finished_epochs(self) -> int:
        """Return the number of epochs in the checkpoint of the same training, 0 if there is none."""
        try:
            state = json.loads((self.folder / "history.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        return len(state["history"]) if state["identity"] == self.identity else 0

    def on_train_begin(self, logs=None) -> None:
        if not self.finished_epochs():
            remove(self.folder)
            return
        state = json.loads((self.folder / "history.json").read_text(encoding="utf-8"))
        self.history = state["history"]
        with np.load(self.folder / f"epoch{len(self.history)}.npz") as arrays:
            for i, variable in enumerate(self._variables()):
                variable.assign(arrays[f"variable{i}"])
            for i, (callback, values) in enumerate(zip(self.callbacks, state["callbacks"], strict=True)):
                vars(callback).update(values)
                if f"best{i}_0" in arrays:
                    callback.best_weights = [arrays[f"best{i}_{j}"] for j in range(len(self.model.weights))]
        for past in self.history:
            self._log(past)

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        values = {key: float(value) for key, value in logs.items()}
        self.history.append(values)
        self._log(values)
        arrays = {f"variable{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        plain = []
        for i, callback in enumerate(self.callbacks):
            state = {key: _plain(value) for key, value in vars(callback).items()}
            plain.append({key: value for key, value in state.items() if isinstance(value, int | float)})
            for j, weight in enumerate(getattr(callback, "best_weights", None) or []):
                arrays[f"best{i}_{j}"] = np.asarray(weight)
        # The JSON file names the epoch whose arrays are valid; it is replaced when they are complete.
        self.folder.mkdir(parents=True, exist_ok=True)
        np.savez(self.folder / f"epoch{len(self.history)}.npz", **arrays)
        aside = self.folder / "history.partial"
        state = {"identity": self.identity, "history": self.history, "callbacks": plain}
        aside.write_text(json.dumps(state), encoding="utf-8")
        aside.replace(self.folder / "history.json")
        remove(self.folder / f"epoch{len(self.history) - 1}.npz")

    def _variables(self) -> list[keras.Variable]:
        """Return the weights, the random states of the layers, and the variables of the optimizer."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _log(self, values: dict[str, float]) -> None:
        named = {}
        for key, value in values.items():
            part = self.validation_name if key.startswith("val_") else "train"
            if key != "learning_rate":
                named[f"{part}/{key.removeprefix('val_')}"] = value
        for key, value in named.items():
            self.live.log_metric(key, value, timestamp=False)
        self.live.next_step()
        self.track(named)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
