"""The training that all networks of galaxy images share (Bhambra, Joachimi & Lahav 2022, section 3.1)."""

from pathlib import Path

import keras
import numpy as np

from skylight.networks.galaxy_zoo import compile_regression, init_output_bias
from skylight.params.bars import Network, Train
from skylight.training.augmentation import image_batches, plain_batches
from skylight.training.fit import digest, fit
from skylight.training.schedules import learning_schedule

BATCH = 256  # of images that are predicted, not trained on


def train(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    validation: np.ndarray,
    network: Network,
    settings: Train,
    *,
    name: str,
    curves: Path,
) -> None:
    """Train a network to predict fractions in (0, 1) from images; its weights change.

    Parameters
    ----------
    model : keras.Model
        One of `skylight.networks.galaxy_zoo`, not compiled.
    images : np.ndarray, shape (N, H, H, 3), uint8
        May be mapped from a file.
    labels : np.ndarray, shape (N, K), float32
        Fractions of each image.
    rows, validation : np.ndarray of int
        Images to train on, and images to validate on.
    network : section ``bars.networks.<name>`` or ``bars.control`` of params.yaml
    settings : section ``bars.train`` of params.yaml
    name : str
        Name of the training, for its checkpoints and for MLflow.
    curves : Path
        Folder for the DVCLive curves.
    """
    init_output_bias(model, labels[rows].mean(axis=0))
    steps = -(-len(rows) // settings.batch_size)
    rate, callbacks = learning_schedule(
        network.learning_rate,
        network.epochs,
        steps,
        settings.schedule,
        factor=settings.reduce_lr.factor,
        patience=settings.reduce_lr.patience,
        stop_after=settings.early_stopping.patience,
    )
    compile_regression(model, rate)
    fit(
        model,
        image_batches(images, rows, labels, settings.batch_size, settings.seed, settings.augmentation),
        steps=steps,
        epochs=network.epochs,
        name=name,
        parameters=network.model_dump() | settings.model_dump(),
        depends_on=digest(images, labels, rows, validation),
        curves=curves,
        validation=plain_batches(images, validation, labels, BATCH),
        callbacks=callbacks,
    )


def predict(model: keras.Model, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the answers of a network for some rows of ``images``, (n, K) float32."""
    return model.predict(plain_batches(images, rows, None, BATCH), verbose=0)
