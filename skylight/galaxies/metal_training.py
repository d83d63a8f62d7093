"""Training of the metallicity networks: batches, optimizer, schedule, and the range test of the learning rate."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from skylight.galaxies.metallicity_arrays import Galaxies
from skylight.networks.metallicity_cnn import metallicity_cnn, set_statistics
from skylight.params.metallicity import FindLearningRate, Network, Training
from skylight.training.augmentation import dihedral_batches, plain_batches
from skylight.training.fit import deterministic, digest, fit
from skylight.training.optimizers import OPTIMIZERS
from skylight.training.schedules import CYCLES

BATCH = 128  # of images that are predicted, not trained on


def build(galaxies: Galaxies, outputs: int, network: Network) -> keras.Model:
    """Build a network that normalises the colours with the statistics of the training part."""
    model = metallicity_cnn(galaxies.images.shape[1], outputs, network.width, network.momentum)
    set_statistics(model, galaxies.mean, galaxies.deviation)
    return model


def train(
    model: keras.Model,
    galaxies: Galaxies,
    labels: np.ndarray,
    rows: np.ndarray,
    validation: np.ndarray,
    settings: Training,
    *,
    name: str,
    curves: Path,
) -> None:
    """Train a network; its weights change.

    Parameters
    ----------
    model : keras.Model
        Of `build`.
    galaxies : Galaxies
    labels : np.ndarray, shape (N,)
        Of each image: the class (int), or the number to predict (float32).
    rows, validation : np.ndarray of int
        Images to train on, and images to validate on.
    settings : section ``metallicity.train`` or ``metallicity.regress`` of params.yaml
    name : str
        Name of the training, for its checkpoints and for MLflow.
    curves : Path
        Folder for the DVCLive curves.
    """
    steps = -(-len(rows) // settings.batch_size)
    rate, momentum = CYCLES[settings.schedule](settings.learning_rate, steps * settings.epochs)
    _compile(model, settings, rate, momentum)
    fit(
        model,
        dihedral_batches(galaxies.images, rows, labels, settings.batch_size, settings.seed, settings.rotation),
        steps=steps,
        epochs=settings.epochs,
        name=name,
        parameters=settings.model_dump(),
        depends_on=digest(galaxies.images, labels, rows, validation),
        curves=curves,
        validation=plain_batches(galaxies.images, validation, labels, BATCH),
    )


def predict(model: keras.Model, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the outputs of a network for some rows of ``images``, (n, K) float32."""
    return model.predict(plain_batches(images, rows, None, BATCH), verbose=0)


def range_test(
    galaxies: Galaxies, rows: np.ndarray, network: Network, settings: Training, sweep: FindLearningRate
) -> pd.DataFrame:
    """Train with a learning rate that rises exponentially from batch to batch (Smith 2017, arXiv:1506.01186).

    The sweep ends early where the smoothed loss is four times its minimum, as in fastai.

    Returns
    -------
    pandas.DataFrame
        ``learning_rate``, ``loss`` of each batch, and ``smoothed``: its exponential mean (0.98), without its bias.
    """
    deterministic(settings.seed)
    model = build(galaxies, 2, network)
    _compile(model, settings, sweep.lowest, 0.95)
    batches = dihedral_batches(
        galaxies.images, rows, galaxies.labels, settings.batch_size, settings.seed, settings.rotation
    )
    rates = np.geomspace(sweep.lowest, sweep.highest, sweep.steps)
    found, mean = [], 0.0
    for step, (rate, (inputs, labels)) in enumerate(zip(tqdm(rates, disable=None), batches(0), strict=False), start=1):
        model.optimizer.learning_rate = rate
        loss = float(model.train_on_batch(inputs, labels)[0])
        mean = 0.98 * mean + 0.02 * loss
        found.append((rate, loss, mean / (1 - 0.98**step)))
        if not np.isfinite(loss) or found[-1][2] > 4 * min(smoothed for _, _, smoothed in found):
            break
    return pd.DataFrame(found, columns=["learning_rate", "loss", "smoothed"])


def suggestions(sweep: pd.DataFrame) -> dict[str, float]:
    """Return the two learning rates that fastai suggests after a `range_test`.

    As there, the first tenth of the batches and the last five are left out, where there are enough.

    Returns
    -------
    dict
        ``minimum``: a tenth of the rate at which the smoothed loss is smallest. ``steepest``: the rate at which it
        falls most steeply per e-fold of the rate.
    """
    inner = sweep.iloc[len(sweep) // 10 : -5]
    inner = inner if len(inner) > 1 else sweep
    losses, rates = inner["smoothed"].to_numpy(), inner["learning_rate"].to_numpy()
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return {"minimum": float(rates[losses.argmin()] / 10), "steepest": float(rates[slopes.argmin()])}


def _compile(model: keras.Model, settings: Training, rate, momentum) -> None:
    """Compile with cross-entropy for two outputs, with the mean squared error for one."""
    optimizer = OPTIMIZERS[settings.optimizer](rate, beta_1=momentum, weight_decay=settings.weight_decay)
    if model.output_shape[-1] > 1:
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    else:
        model.compile(optimizer, keras.losses.MeanSquaredError(), metrics=[keras.metrics.RootMeanSquaredError("rmse")])
