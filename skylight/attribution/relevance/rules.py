"""The rules of layer-wise relevance propagation: how the relevance of a layer's outputs is distributed over its inputs.

``rule(affine, x, relevance)`` takes the layer as an `Affine` map z = w x + b, its inputs x, and the relevance R of its
outputs. It returns the relevance of the inputs, of the shape of x. In the equations z_jk = x_j w_jk is the contribution
of input j to output k, and z_k is the sum of these contributions and the bias. Conventions are those of the LRP Toolbox
(Lapuschkin et al. 2016, JMLR 17, 114):

- *sign*: ``epsilon * sign(z)``, with sign(0) = +1, is added to denominators to keep them away from zero;
- *bias*: it is part of z_k and keeps its share: the relevance of the inputs sums to that of the outputs minus the share
  of the biases (and of epsilon). With `Flat`, `WSquare` and `ZBox` the bias has no share;
- *max pooling*: the maximum receives all relevance, and several equal maxima receive equal shares (`WinnerTakesAll`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from skylight.errors import InputError

TINY = 1e-12  # avoids 0 / 0 in rules without a stabiliser


@dataclass(frozen=True, eq=False)
class Affine:
    """The map z = transform(x, kernel) + bias, linear in x and in the kernel.

    The kernel of a layer without weights (average pooling, a sum) is the scalar 1.

    Attributes
    ----------
    signed : bool
        False if the inputs are known not to be negative; rules then skip the computation for negative inputs.
    real : tensor or None
        0 for inputs added by padding, 1 for all others; None if no input was added.
    """

    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    kernel: tf.Tensor
    bias: tf.Tensor
    signed: bool = True
    real: tf.Tensor | None = None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return w x + b."""
        return self.linear(x) + self.bias

    def linear(self, x: tf.Tensor) -> tf.Tensor:
        """Return w x."""
        return self.transform(x, self.kernel)

    def transpose(self, x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        """Return the sum over outputs k of w_jk c_k, of the shape of ``x``."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            z = self.linear(x)
        return tape.gradient(z, x, output_gradients=c)

    def reweighted(self, change: Callable[[tf.Tensor], tf.Tensor]) -> "Affine":
        """Return a copy of this map whose kernel and bias are changed by ``change``."""
        return replace(self, kernel=change(self.kernel), bias=change(self.bias))

    def ones(self, x: tf.Tensor) -> tf.Tensor:
        """Return 1 for every input that is not padding, and 0 for padding, of the shape of ``x``."""
        return tf.ones_like(x) if self.real is None else self.real


@dataclass(frozen=True)
class Simple:
    """LRP-0: R_j = sum_k z_jk / z_k R_k (Bach et al. 2015, PLoS ONE 10, e0130140, eq. 56)."""

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        return Epsilon(TINY)(affine, x, relevance)


@dataclass(frozen=True)
class Epsilon:
    """R_j = sum_k z_jk / (z_k + epsilon sign(z_k)) R_k (Bach et al. 2015, eq. 58).

    Attributes
    ----------
    epsilon : float
        Above 0. Small values only keep the division finite; 0.01 to 1 reduce the noise of the map.
    """

    epsilon: float = 1e-6

    def __post_init__(self):
        if not self.epsilon > 0:
            raise InputError(f"epsilon: must be above 0, got {self.epsilon}")

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        return x * affine.transpose(x, relevance / stabilised(affine(x), self.epsilon))


@dataclass(frozen=True)
class Gamma:
    """R_j = sum_k (z_jk + gamma z_jk^s) / (z_k + gamma z_k^s) R_k: contributions with the sign s of z_k count more.

    For inputs that are not negative and z_k > 0 this is x_j (w_jk + gamma w_jk^+) over its sum, the rule of
    Montavon et al. 2019 (LNCS 11700, ch. 10); written for either sign as by Andeol et al. 2021 (arXiv:2106.13346).

    Attributes
    ----------
    gamma : float
        At least 0. 0 is LRP-0, infinity the z-plus rule.
    """

    gamma: float = 0.25

    def __post_init__(self):
        if not self.gamma >= 0:
            raise InputError(f"gamma: must be at least 0, got {self.gamma}")

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        up, down = OneSign.split(affine, lambda w: w + self.gamma * positive(w), lambda w: w + self.gamma * negative(w))
        agrees = affine(x) >= 0
        c = relevance / stabilised(tf.where(agrees, up(x), down(x)), TINY)
        c_up = tf.where(agrees, c, tf.zeros_like(c))
        return up.share(x, c_up) + down.share(x, c - c_up)


@dataclass(frozen=True)
class AlphaBeta:
    """R_j = sum_k (alpha z_jk^+ / z_k^+ - beta z_jk^- / z_k^-) R_k (Bach et al. 2015, eq. 60, its beta negated).

    z_k^+ is the sum of the positive contributions (including a positive bias), z_k^- that of the negative ones; inputs
    may have either sign. If all contributions to an output have one sign, the other term is missing, and the relevance
    of the output is multiplied by alpha (all positive) or by -beta (all negative).

    Attributes
    ----------
    alpha, beta : float
        alpha - beta = 1. 2 and 1 also show evidence against the class; 1 and 0 are the z-plus rule.
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self):
        if abs(self.alpha - self.beta - 1) > 1e-6:
            raise InputError(f"alpha, beta: alpha - beta must be 1, got {self.alpha} and {self.beta}")

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        up, down = OneSign.split(affine, positive, negative)
        result = 0
        if self.alpha:
            result += up.share(x, self.alpha * relevance / stabilised(up(x), TINY))
        if self.beta:
            result -= down.share(x, self.beta * relevance / stabilised(down(x), TINY))
        return result


@dataclass(frozen=True, eq=False)
class OneSign:
    """The contributions z_jk of one sign, selected or amplified: x^+ w + x^- v.

    ``same`` has the weights w, which are changed where they have this sign. ``other`` has the weights v, which are
    changed where they have the opposite sign, because these weights times negative inputs have this sign.
    """

    same: Affine
    other: Affine

    @classmethod
    def split(cls, affine: Affine, plus: Callable, minus: Callable) -> tuple["OneSign", "OneSign"]:
        """Return the positive contributions, with w changed by ``plus``, and the negative ones, with ``minus``."""
        up, down = affine.reweighted(plus), affine.reweighted(minus)
        return cls(up, down), cls(down, up)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return the sum of the contributions over the inputs, plus the bias of ``same``."""
        if not self.same.signed:
            return self.same(x)
        return self.same(positive(x)) + self.other.linear(negative(x))

    def share(self, x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        """Return, for every input j, the sum over outputs k of its contribution to k times c_k."""
        if not self.same.signed:
            return x * self.same.transpose(x, c)
        return positive(x) * self.same.transpose(x, c) + negative(x) * self.other.transpose(x, c)


@dataclass(frozen=True)
class Flat:
    """R_j = sum_k 1 / n_k R_k: every output distributes equal shares over the n_k inputs that it sees.

    Bach et al. 2016 (ICIP, "Controlling explanatory heatmap resolution and semantics via decomposition depth").
    """

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        return _by_weight(affine.reweighted(tf.ones_like), x, relevance)


@dataclass(frozen=True)
class WSquare:
    """R_j = sum_k w_jk^2 / sum_j w_jk^2 R_k, the w-squared rule.

    Montavon et al. 2017 (Pattern Recognition 65, 211).
    """

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        return _by_weight(affine.reweighted(tf.square), x, relevance)


def _by_weight(affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
    """Distribute ``relevance`` in proportion to the weights only: R_j = sum_k w_jk / sum_j w_jk R_k."""
    ones = affine.ones(x)
    return ones * affine.transpose(x, relevance / stabilised(affine.linear(ones), TINY))


@dataclass(frozen=True)
class ZBox:
    """R_j = sum_k (z_jk - l w_jk^+ - h w_jk^-) / sum_j (...) R_k for inputs between l and h.

    The z-box rule of Montavon et al. 2017 (Pattern Recognition 65, 211), for the layer that sees the image.

    Attributes
    ----------
    low, high : float or sequence of float
        Smallest and largest possible value of an input, one for all or one per channel; low <= 0 <= high.
    """

    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 1.0

    def __post_init__(self):
        for name in ("low", "high"):
            bound = np.asarray(getattr(self, name), dtype=float)
            object.__setattr__(self, name, tuple(bound.tolist()) if bound.ndim else float(bound))
        if np.max(self.low) > 0 or np.min(self.high) < 0:
            raise InputError(f"zbox: must have low <= 0 <= high, got {self.low} and {self.high}")

    def __call__(self, affine: Affine, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        low, high = (affine.ones(x) * tf.constant(bound, x.dtype) for bound in (self.low, self.high))
        up, down = affine.reweighted(positive), affine.reweighted(negative)
        z = affine.linear(x) - up.linear(low) - down.linear(high)
        c = relevance / stabilised(z, TINY)
        return x * affine.transpose(x, c) - low * up.transpose(low, c) - high * down.transpose(high, c)


@dataclass(frozen=True)
class WinnerTakesAll:
    """Max pooling: the largest input of a window receives all relevance; equal ones share it equally (LRP Toolbox).

    Its arguments are the windows, (K, ...) for windows of K cells, and the relevance of the outputs.
    """

    def __call__(self, windows: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        winners = tf.cast(windows == tf.reduce_max(windows, axis=0), relevance.dtype)
        return winners * (relevance / tf.reduce_sum(winners, axis=0))


@dataclass(frozen=True)
class SignalTakesAll:
    """Products: signals take all relevance, gates none (Arras et al. 2017, arXiv:1706.07206); several share it equally.

    Its argument says of each factor whether it is a signal; it returns the share of each.
    """

    def __call__(self, signals: list[bool]) -> list[float]:
        return [signal / sum(signals) for signal in signals]


@dataclass(frozen=True)
class Uniform:
    """Products: all factors take equal shares (AttnLRP, Achtibat et al. 2024, arXiv:2402.05602, prop. 3.2)."""

    def __call__(self, signals: list[bool]) -> list[float]:
        return [1 / len(signals)] * len(signals)


Rule = Simple | Epsilon | Gamma | AlphaBeta | Flat | WSquare | ZBox | WinnerTakesAll | SignalTakesAll | Uniform


def stabilised(z: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Return z + epsilon sign(z), with sign(0) = +1."""
    return z + tf.where(z >= 0, tf.constant(epsilon, z.dtype), tf.constant(-epsilon, z.dtype))


def positive(w: tf.Tensor) -> tf.Tensor:
    """Return the positive part: w where w > 0 and 0 elsewhere."""
    return tf.maximum(w, 0)


def negative(w: tf.Tensor) -> tf.Tensor:
    """Return the negative part: w where w < 0 and 0 elsewhere."""
    return tf.minimum(w, 0)
