"""Optimizers that Keras lacks: RAdam, Lookahead and both together (Ranger); and momenta that change during training."""

import keras
from keras import ops

Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("skylight")
class RAdam(keras.optimizers.Optimizer):
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265, algorithm 2), with decoupled weight decay.

    At the first steps the variance of Adam's adaptive rate is not finite, so the step is that of momentum alone. Later
    it is that of Adam times the rectification r_t.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1 : float or schedule
        Decay of the first moment; a schedule maps the number of the step to it.
    beta_2 : float
        Decay of the second moment.
    epsilon : float
        Is added to the root of the second moment.
    weight_decay : float
        Every weight shrinks by this times the learning rate at each step (Loshchilov & Hutter 2019, arXiv:1711.05101).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float | Schedule = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        name: str = "radam",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        self.beta_1, self.beta_2, self.epsilon, self.decay = beta_1, beta_2, epsilon, weight_decay

    @classmethod
    def from_config(cls, config: dict) -> "RAdam":
        """Return the optimizer of a `get_config`."""
        return super().from_config(_with_schedule(config))

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the two moments of every weight."""
        if self.built:
            return
        super().build(variables)
        self._first, self._second = self.add_optimizer_variables(variables, ["first_moment", "second_moment"])

    def update_step(self, gradient, variable: keras.Variable, learning_rate) -> None:
        """Make one step of algorithm 2; the names are those of the paper."""
        dtype = variable.dtype
        place = self._get_variable_index(variable)
        first, second = self._first[place], self._second[place]
        rate, gradient = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        beta_1, beta_2 = momentum_at(self.beta_1, self.iterations, dtype), self.beta_2
        self.assign(first, beta_1 * first + (1 - beta_1) * gradient)
        self.assign(second, beta_2 * second + (1 - beta_2) * gradient**2)

        # In float64: 1 - beta^t and rho are small differences of large numbers at the first steps.
        t, beta_1 = ops.cast(self.iterations + 1, "float64"), ops.cast(beta_1, "float64")
        rho_inf = 2 / (1 - beta_2) - 1
        rho = rho_inf - 2 * t * beta_2**t / (1 - beta_2**t)
        defined = rho > 4
        safe = ops.where(defined, rho, rho_inf)
        r = ops.sqrt((safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe))
        unbiased = first / ops.cast(1 - beta_1**t, dtype)
        adaptive = ops.sqrt(second / ops.cast(1 - beta_2**t, dtype)) + self.epsilon
        step = ops.where(defined, ops.cast(r, dtype) * unbiased / adaptive, unbiased)
        self.assign(variable, variable * (1 - rate * self.decay) - rate * step)

    def get_config(self) -> dict:
        """Return the arguments of the class."""
        own = {
            "beta_1": _serialised(self.beta_1),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.decay,
        }
        shared = super().get_config()
        return {"learning_rate": shared["learning_rate"], "name": shared["name"]} | own


class Lookahead:
    """Lookahead (Zhang et al. 2019, arXiv:1907.08610, algorithm 1): a mixin that stands before another optimizer.

    The optimizer makes k steps; then the slow weights move the fraction alpha of the way to where it arrived, and it
    goes on from there.

    Parameters
    ----------
    *args, **kwargs
        Of the other optimizer.
    period : int
        k.
    slow_rate : float
        alpha.
    """

    def __init__(self, *args, period: int = 6, slow_rate: float = 0.5, **kwargs):
        super().__init__(*args, **kwargs)
        self.period, self.slow_rate = period, slow_rate

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the slow weights."""
        if self.built:
            return
        super().build(variables)
        (self._slow,) = self.add_optimizer_variables(variables, ["slow_weights"])

    def update_step(self, gradient, variable: keras.Variable, learning_rate) -> None:
        """Make a step of the other optimizer, and after each k-th one a step of the slow weights."""
        slow = self._slow[self._get_variable_index(variable)]
        start = ops.where(self.iterations == 0, variable, slow)  # the slow weights begin as the initial weights
        super().update_step(gradient, variable, learning_rate)
        moved = start + self.slow_rate * (variable - start)
        synchronise = (self.iterations + 1) % self.period == 0
        self.assign(slow, ops.where(synchronise, moved, start))
        self.assign(variable, ops.where(synchronise, moved, variable))

    def get_config(self) -> dict:
        """Return the arguments of both optimizers."""
        return super().get_config() | {"period": self.period, "slow_rate": self.slow_rate}


@keras.saving.register_keras_serializable("skylight")
class Ranger(Lookahead, RAdam):
    """RAdam inside Lookahead: the optimizer of the published classifier, with the defaults of its library (fastai 2).

    Those are beta_1 0.95, beta_2 0.99, epsilon 1e-6, weight decay 0.01, 6 steps and a slow rate of 0.5.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float | Schedule = 0.95,
        beta_2: float = 0.99,
        epsilon: float = 1e-6,
        weight_decay: float = 0.01,
        period: int = 6,
        slow_rate: float = 0.5,
        name: str = "ranger",
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, name, period=period, slow_rate=slow_rate)


@keras.saving.register_keras_serializable("skylight")
class AdamW(keras.optimizers.AdamW):
    """AdamW of Keras (Loshchilov & Hutter 2019, arXiv:1711.05101), whose ``beta_1`` may be a schedule."""

    def update_step(self, gradient, variable: keras.Variable, learning_rate) -> None:
        """Make one step with the momentum of its number."""
        momentum = self.beta_1
        try:
            self.beta_1 = momentum_at(momentum, self.iterations, variable.dtype)
            super().update_step(gradient, variable, learning_rate)
        finally:
            self.beta_1 = momentum

    def get_config(self) -> dict:
        """Return the arguments of the class."""
        return super().get_config() | {"beta_1": _serialised(self.beta_1)}

    @classmethod
    def from_config(cls, config: dict) -> "AdamW":
        """Return the optimizer of a `get_config`."""
        return super().from_config(_with_schedule(config))


OPTIMIZERS = {"ranger": Ranger, "adamw": AdamW}
"""The optimizers of params.yaml by name."""


def momentum_at(momentum: float | Schedule, step: keras.Variable, dtype: str):
    """Return the momentum at a step, counted from 0: a number, or the value of a schedule."""
    return ops.cast(momentum(step) if callable(momentum) else momentum, dtype)


def _serialised(momentum: float | Schedule) -> float | dict:
    return keras.saving.serialize_keras_object(momentum) if callable(momentum) else momentum


def _with_schedule(config: dict) -> dict:
    """Return a configuration in which a serialised schedule of the momentum is a schedule again."""
    momentum = config["beta_1"]
    if not isinstance(momentum, dict):
        return config
    return config | {"beta_1": keras.saving.deserialize_keras_object(momentum)}
