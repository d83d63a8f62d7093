"""The learning rate falls along half a cosine, or whenever the validation loss stops falling."""

import math

import keras
import pytest

from skylight.training.schedules import learning_schedule

SETTINGS = {"factor": 0.5, "patience": 3, "stop_after": 7}


def test_the_cosine_falls_to_0_at_the_last_step():
    rate, callbacks = learning_schedule(0.2, 5, 10, "cosine", **SETTINGS)
    for step in (0, 10, 25, 40, 50):
        assert float(rate(step)) == pytest.approx(0.1 * (1 + math.cos(math.pi * step / 50)), abs=1e-7)
    (stopping,) = callbacks
    assert isinstance(stopping, keras.callbacks.EarlyStopping)
    assert (stopping.patience, stopping.restore_best_weights) == (7, True)


def test_the_plateau_schedule_keeps_its_rate_until_the_loss_does_not_improve():
    rate, callbacks = learning_schedule(0.2, 5, 10, "plateau", **SETTINGS)
    reduction, stopping = callbacks
    assert rate == 0.2 and isinstance(reduction, keras.callbacks.ReduceLROnPlateau)
    assert (reduction.factor, reduction.patience, stopping.patience) == (0.5, 3, 7)
