"""The learning rate falls along half a cosine, or whenever the validation loss stops falling."""

import math

import keras
import pytest

from skylight.training.schedules import flat_cosine, learning_schedule, one_cycle

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


def literal_cosine(first, last, share):
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def test_one_cycle_raises_the_rate_while_the_momentum_falls():
    rate, momentum = one_cycle(0.08, 100)
    for step in range(0, 101, 5):
        if step <= 25:
            expected = literal_cosine(0.08 / 25, 0.08, step / 25), literal_cosine(0.95, 0.85, step / 25)
        else:
            expected = literal_cosine(0.08, 0.08e-5, (step - 25) / 75), literal_cosine(0.85, 0.95, (step - 25) / 75)
        assert (float(rate(step)), float(momentum(step))) == pytest.approx(expected, abs=1e-6), step


def test_flat_cosine_is_flat_for_three_quarters():
    rate, momentum = flat_cosine(0.08, 100)
    assert momentum == 0.95
    assert [float(rate(step)) for step in (0, 40, 75)] == pytest.approx([0.08] * 3)
    assert float(rate(87.5)) == pytest.approx(literal_cosine(0.08, 0.08e-5, 0.5), abs=1e-6)
    assert float(rate(100)) == pytest.approx(0.08e-5, abs=1e-7)
    assert float(rate(1000)) == pytest.approx(0.08e-5, abs=1e-7)


def test_a_schedule_of_one_step_has_no_segment_of_length_0():
    rate, _ = one_cycle(0.08, 1)
    assert [float(rate(step)) for step in (0, 1)] == pytest.approx([0.08 / 25, 0.08e-5])
