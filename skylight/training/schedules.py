"""Learning rates and momenta that change during a training, and when the training stops."""

from collections.abc import Sequence

import keras
import numpy as np


def learning_schedule(
    learning_rate: float, epochs: int, steps: int, schedule: str, *, factor: float, patience: int, stop_after: int
) -> tuple[float | keras.optimizers.schedules.LearningRateSchedule, list[keras.callbacks.Callback]]:
    """Return the learning rate of a training and the callbacks that watch its validation loss.

    Parameters
    ----------
    learning_rate : float
        At the first step.
    epochs, steps : int
        Epochs of the training, and batches per epoch.
    schedule : {"cosine", "plateau"}
        The rate falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or by ``factor`` whenever
        the loss has not improved for ``patience`` epochs.
    factor : float
        Of the plateau schedule.
    patience : int
        Of the plateau schedule.
    stop_after : int
        Epochs without improvement after which the training stops and restores the best weights.
    """
    stopping = keras.callbacks.EarlyStopping(patience=stop_after, restore_best_weights=True)
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps), [stopping]
    return learning_rate, [keras.callbacks.ReduceLROnPlateau(factor=factor, patience=patience), stopping]


@keras.saving.register_keras_serializable("skylight")
class CosineSegments(keras.optimizers.schedules.LearningRateSchedule):
    """Values that go from one to the next along half a cosine.

    Parameters
    ----------
    values : sequence of float
        At the first step, at the end of each segment, and ever after.
    steps : sequence of int
        Steps of each segment, one fewer than values.
    """

    def __init__(self, values: Sequence[float], steps: Sequence[int]):
        self.values, self.steps = [float(value) for value in values], [int(count) for count in steps]

    def __call__(self, step):
        """Return the value at a step, counted from 0."""
        here = keras.ops.cast(step, "float32")
        value = keras.ops.cast(self.values[0], "float32")
        for first, last, count in zip(self.values, self.values[1:], self.steps, strict=False):
            share = keras.ops.clip(here / max(count, 1), 0.0, 1.0)
            value = keras.ops.where(here > 0, last + (first - last) * (1 + keras.ops.cos(np.pi * share)) / 2, value)
            here = here - count
        return value

    def get_config(self) -> dict:
        """Return the arguments of the class."""
        return {"values": self.values, "steps": self.steps}


def one_cycle(highest: float, steps: int) -> tuple[CosineSegments, CosineSegments]:
    """Return the learning rate and the momentum of the one-cycle policy (Smith 2018, arXiv:1803.09820).

    The rate rises to ``highest`` in the first quarter of the steps and then falls to almost nothing; the momentum does
    the opposite. Shape and numbers are those of fastai's ``fit_one_cycle``: from highest / 25 to highest to highest /
    1e5, and 0.95, 0.85, 0.95.
    """
    parts = [round(0.25 * steps), steps - round(0.25 * steps)]
    return CosineSegments([highest / 25, highest, highest / 1e5], parts), CosineSegments([0.95, 0.85, 0.95], parts)


def flat_cosine(highest: float, steps: int) -> tuple[CosineSegments, float]:
    """Return a learning rate that stays for three quarters of the steps and then falls to almost nothing.

    It is fastai's ``fit_flat_cos``; the momentum stays at 0.95.
    """
    flat = round(0.75 * steps)
    return CosineSegments([highest, highest, highest / 1e5], [flat, steps - flat]), 0.95


CYCLES = {"one_cycle": one_cycle, "flat_cosine": flat_cosine}
"""Schedules of rate and momentum of params.yaml by name."""
