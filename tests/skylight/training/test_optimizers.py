"""RAdam and Lookahead are held to the equations of their papers, and Ranger to both together."""

import json

import keras
import numpy as np
import pytest

from skylight.training.fit import deterministic
from skylight.training.optimizers import OPTIMIZERS, AdamW, Lookahead, RAdam, Ranger
from skylight.training.schedules import CosineSegments, one_cycle

STEPS = 40
START = np.array([1.0, -2.0, 0.5])


def gradients(weights: np.ndarray, step: int) -> np.ndarray:
    """A gradient that depends on the weights and the step."""
    return np.array([3.0, 0.5, -1.0]) * weights + np.sin(step + np.arange(3.0))


def run(optimizer: keras.optimizers.Optimizer, steps: int = STEPS) -> np.ndarray:
    """Return the weights after each step, (steps, 3)."""
    weights = keras.Variable(START, dtype="float32")
    optimizer.build([weights])
    path = []
    for step in range(steps):
        optimizer.apply([keras.ops.cast(gradients(weights.numpy().astype(float), step), "float32")], [weights])
        path.append(weights.numpy())
    return np.array(path)


class LiteralRAdam:
    """Algorithm 2 of Liu et al. 2020, line by line."""

    def __init__(self, rate, beta_1, beta_2, epsilon, decay):
        self.rate, self.beta_1, self.beta_2, self.epsilon, self.decay = rate, beta_1, beta_2, epsilon, decay
        self.m, self.v, self.t = 0, 0, 0

    def step(self, theta, g):
        self.t += 1
        t, beta_1, beta_2 = self.t, self.beta_1(self.t - 1), self.beta_2
        rho_inf = 2 / (1 - beta_2) - 1
        self.v = beta_2 * self.v + (1 - beta_2) * g**2
        self.m = beta_1 * self.m + (1 - beta_1) * g
        m_hat = self.m / (1 - beta_1**t)
        rho_t = rho_inf - 2 * t * beta_2**t / (1 - beta_2**t)
        theta = theta - self.rate * self.decay * theta
        if rho_t > 4:
            l_t = 1 / (np.sqrt(self.v / (1 - beta_2**t)) + self.epsilon)
            r_t = np.sqrt((rho_t - 4) * (rho_t - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho_t))
            return theta - self.rate * r_t * m_hat * l_t
        return theta - self.rate * m_hat


def literal(inner, steps=STEPS, k=None, alpha=None) -> np.ndarray:
    """Return the weights after each step of ``inner``, inside Lookahead (algorithm 1 of Zhang et al. 2019) if k."""
    fast = slow = START
    path = []
    for step in range(steps):
        fast = inner(fast, gradients(fast, step))
        if k and (step + 1) % k == 0:
            slow = slow + alpha * (fast - slow)
            fast = slow
        path.append(fast)
    return np.array(path)


@pytest.mark.parametrize("beta_2", [0.9, 0.99, 0.999])
def test_radam_is_algorithm_2(beta_2):
    expected = literal(LiteralRAdam(0.05, lambda step: 0.9, beta_2, 1e-8, 0.01).step)
    assert np.allclose(run(RAdam(0.05, 0.9, beta_2, 1e-8, 0.01)), expected, atol=2e-5)


def test_radam_takes_steps_of_momentum_until_the_variance_is_finite():
    """rho_t exceeds 4 at the fifth step for the usual beta_2, whatever the size of the gradients."""
    path = np.vstack([START, run(RAdam(0.01, 0.0, 0.999))])
    moves = -np.diff(path, axis=0) / 0.01
    expected = [gradients(path[step].astype(float), step) for step in range(4)]
    assert np.allclose(moves[:4], expected, atol=1e-3)
    assert np.abs(moves[4]).max() < 0.1


def test_lookahead_is_algorithm_1_around_any_optimizer():
    class LookaheadSGD(Lookahead, keras.optimizers.SGD):
        pass

    expected = literal(lambda theta, g: theta - 0.05 * g, k=5, alpha=0.8)
    assert np.allclose(run(LookaheadSGD(0.05, period=5, slow_rate=0.8)), expected, atol=1e-5)


def test_ranger_is_radam_inside_lookahead():
    expected = literal(LiteralRAdam(0.08, lambda step: 0.95, 0.99, 1e-6, 0.01).step, k=6, alpha=0.5)
    assert np.allclose(run(Ranger(0.08)), expected, atol=2e-5)


def test_the_momentum_may_be_a_schedule():
    _, momentum = one_cycle(0.1, STEPS)
    expected = literal(LiteralRAdam(0.02, lambda step: float(momentum(step)), 0.99, 1e-8, 0.0).step)
    assert np.allclose(run(RAdam(0.02, momentum, 0.99)), expected, atol=2e-5)
    assert not np.allclose(run(RAdam(0.02, 0.95, 0.99)), expected, atol=1e-3)
    assert np.allclose(run(AdamW(0.02, beta_1=CosineSegments([0.9, 0.9], [1]))), run(AdamW(0.02, beta_1=0.9)))
    assert not np.allclose(run(AdamW(0.02, beta_1=momentum)), run(AdamW(0.02, beta_1=0.95)), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_training_in_a_graph_gives_the_steps_of_one_outside(name):
    deterministic(0)
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [-1.0]], np.float32)
    weights = []
    for eager in (False, True):
        rate, momentum = one_cycle(0.1, 16)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(OPTIMIZERS[name](rate, beta_1=momentum), loss="mse", run_eagerly=eager)
        model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0)
        weights.append(model.get_weights()[0])
        config = json.loads(json.dumps(model.optimizer.get_config()))
        again = type(model.optimizer).from_config(config)
        assert json.dumps(again.get_config()) == json.dumps(config)
    assert np.allclose(*weights, atol=1e-5)
    assert not np.allclose(weights[0], 1, atol=0.1)
