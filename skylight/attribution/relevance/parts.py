"""The kinds of computation that LRP knows. Each Keras layer is made of one or several of these parts:

- `Linear`: an affine map with a kernel; any rule distributes relevance over its inputs;
- `Linearised`: another affine map, or a function that counts as one: the epsilon rule only;
- `Sum`: the sum of several inputs; a rule distributes relevance over them;
- `MaxPool`: max pooling;
- `Elementwise`: each output cell depends on one input cell (activations): relevance is unchanged (Bach et al. 2015);
- `Rearrange`: cells are moved, copied, joined or cut (flatten, padding): relevance returns to the original cell;
- `Product`: the product of several inputs, cell by cell (gates, squeeze-and-excite);
- `Contraction`: a matrix product of two inputs, as in attention;
- `Softmax`: a softmax inside the network.

``part(*xs)`` takes `Activations` xs and returns the output `Activations` and the backward pass, a function
``back(rule, relevance of the output) -> relevances of the xs``. None stands for a relevance of 0 everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.rules import Affine, Rule, WinnerTakesAll, stabilised

EPSILON = 1e-6  # keeps the denominators of a `Contraction` away from zero


@dataclass(frozen=True, eq=False)
class Activations:
    """The values that one part passes to the next, and what is known about them before they are computed.

    Attributes
    ----------
    values : tensor
        (N, ...).
    signed : bool
        Whether some values may be negative.
    real : tensor or None
        0 for cells added by padding, 1 for all others; None if no cell was added.
    bounded : bool
        Whether the values come from a sigmoid, a softmax or a clipped ReLU, so that they may be a gate.
    """

    values: tf.Tensor
    signed: bool = True
    real: tf.Tensor | None = None
    bounded: bool = False


Back = Callable[[Rule, tf.Tensor], list[tf.Tensor | None]]


@dataclass(frozen=True, eq=False)
class Linear:
    """An affine map z = transform(x, kernel) + bias.

    Attributes
    ----------
    transform : callable
        (x, kernel) -> w x, linear in both.
    weights : callable
        dtype -> (kernel, bias). It reads the layer's variables, so it returns the current weights after more training.
    weighted : bool
        Whether the map combines its inputs with trained weights (dense layers and convolutions).
    output_axes : int
        Number of the last axes of a weighted kernel that are output channels; 2 for a depthwise kernel
        (rows, columns, channels, multiplier), 0 if the output channels are not the last axes.
    grouped : bool
        Whether this is a grouped convolution: groups of input channels share an axis of the kernel.
    averages : bool
        Whether the map is an average, so that inputs that are not negative have such outputs.
    """

    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    weights: Callable[[tf.DType], tuple[tf.Tensor, tf.Tensor]]
    weighted: bool = False
    output_axes: int = 1
    grouped: bool = False
    averages: bool = False

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        affine = Affine(self.transform, *self.weights(x.values.dtype), x.signed, x.real)
        outputs = Activations(affine(x.values), x.signed or not self.averages, bounded=x.bounded and not self.weighted)
        return outputs, lambda rule, relevance: [rule(affine, x.values, relevance)]


@dataclass(frozen=True, eq=False)
class Linearised:
    """A function that is affine in its input, if what it wraps in ``tf.stop_gradient`` counts as a constant.

    Its weights are its derivatives at the input. For a function that is not affine this is its first-order Taylor
    expansion, whose offset is a bias (AttnLRP, arXiv:2402.05602, section 3). Only `Epsilon` and `Simple` apply.
    """

    function: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        affine = Affine(lambda x, kernel: kernel * self.function(x), *unit(x.values.dtype))
        return Activations(self.function(x.values)), lambda rule, relevance: [rule(affine, x.values, relevance)]


@dataclass(frozen=True)
class Sum:
    """The sum of several inputs. They are stacked, (N, K, ...), to be the input of one affine map.

    An input that is smaller than the sum is repeated along its axes of size 1; it collects the relevance of the copies.
    """

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        signed = any(x.signed for x in xs)
        originals = [x.values for x in xs]
        values = repeated(*originals)
        affine = Affine(lambda x, kernel: kernel * tf.reduce_sum(x, axis=1), *unit(values[0].dtype), signed)

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor]:
            shares = tf.unstack(rule(affine, tf.stack(values, axis=1), relevance), axis=1)
            return [collected(share, x) for share, x in zip(shares, originals, strict=True)]

        return Activations(tf.add_n(values), signed), back


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Max pooling; ``windows(x, fill)`` returns the K cells of every window, (K, *shape of the output).

    A rule other than `WinnerTakesAll` treats the window as a sum.
    """

    function: Callable[[tf.Tensor], tf.Tensor]
    windows: Callable[[tf.Tensor, float], tf.Tensor]

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        values = x.values

        def cells(x: tf.Tensor) -> tf.Tensor:
            return self.windows(x, 0)

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor]:
            if isinstance(rule, WinnerTakesAll):
                return _moved_back(cells, [values], rule(self.windows(values, values.dtype.min), relevance))
            return [rule(affine, values, relevance)]

        affine = Affine(
            lambda x, kernel: kernel * tf.reduce_sum(cells(x), axis=0), *unit(values.dtype), x.signed, x.real
        )
        return Activations(self.function(values), x.signed), back


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A function of each cell; ``rectifies`` if its values are never negative, ``bounds`` if they may be a gate's."""

    function: Callable[[tf.Tensor], tf.Tensor]
    rectifies: bool = False
    bounds: bool = False

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        outputs = Activations(self.function(x.values), not self.rectifies, x.real, self.bounds)
        return outputs, lambda rule, relevance: [relevance]


@dataclass(frozen=True, eq=False)
class Rearrange:
    """A function of one or several inputs. Each output cell is an input cell or, if the function ``pads``, may be 0."""

    function: Callable[..., tf.Tensor]
    pads: bool = False

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        values = [x.values for x in xs]
        padded = self.pads or any(x.real is not None for x in xs)
        real = [tf.ones_like(x.values) if x.real is None else x.real for x in xs] if padded else None
        outputs = Activations(
            self.function(*values),
            any(x.signed for x in xs),
            self.function(*real) if padded else None,
            all(x.bounded for x in xs),
        )
        return outputs, lambda rule, relevance: _moved_back(self.function, values, relevance)


@dataclass(frozen=True, eq=False)
class Product:
    """The product of several inputs, cell by cell, or a quotient, whose numerator takes all relevance.

    The rule says which share of the relevance each input takes. An input is a signal if it is as large as the product
    and not bounded; the others are gates. If there is no such input, all that are as large as the product are signals.
    """

    function: Callable[..., tf.Tensor]
    divides: bool = False

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        values = [x.values for x in xs]
        outputs = self.function(*values)
        whole = [x.shape[1:].as_list() == outputs.shape[1:].as_list() for x in values]
        signals = [full and not x.bounded for full, x in zip(whole, xs, strict=True)]

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor | None]:
            shares = [1, 0] if self.divides else rule(signals if any(signals) else whole)
            return [collected(share * relevance, x) if share else None for share, x in zip(shares, values, strict=True)]

        return Activations(outputs, any(x.signed for x in xs)), back


@dataclass(frozen=True, eq=False)
class Contraction:
    """A function that is linear in each of its inputs, such as a matrix product of two activations.

    Input j takes the share s_j of the relevance by the epsilon rule, the other inputs being constant. With shares of
    one half this is AttnLRP's rule for matrix products (arXiv:2402.05602, prop. 3.3). Bounded inputs, such as the
    weights of attention, are gates.
    """

    function: Callable[..., tf.Tensor]

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        values = [x.values for x in xs]
        signals = [not x.bounded for x in xs]

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor | None]:
            shares = rule(signals if any(signals) else [True] * len(xs))
            copies = [tf.identity(x) for x in values]  # the same value may be read twice, as in self-attention
            taking = [x for x, share in zip(copies, shares, strict=True) if share]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(taking)
                z = self.function(*copies)
            weights = iter(tape.gradient(z, taking, relevance / stabilised(z, EPSILON)))
            return [share * x * next(weights) if share else None for x, share in zip(values, shares, strict=True)]

        return Activations(self.function(*values), any(x.signed for x in xs)), back


@dataclass(frozen=True, eq=False)
class Softmax:
    """A softmax s inside the network: R_j = x_j (R_j - s_j sum_k R_k) (AttnLRP, arXiv:2402.05602, prop. 3.1).

    This is the epsilon rule for its first-order Taylor expansion, without epsilon; the offset is a bias.
    """

    function: Callable[[tf.Tensor], tf.Tensor]
    axes: tuple[int, ...] = (-1,)

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        s = self.function(x.values)

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor]:
            return [x.values * (relevance - s * tf.reduce_sum(relevance, self.axes, keepdims=True))]

        return Activations(s, signed=False, bounded=True), back


Part = Linear | Linearised | Sum | MaxPool | Elementwise | Rearrange | Product | Contraction | Softmax
IDENTITY = Rearrange(tf.identity)


def unit(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Return kernel 1 and bias 0, for a layer without weights."""
    return tf.ones((), dtype), tf.zeros((), dtype)


def variables(layer: layers.Layer, kernel: str = "kernel") -> Callable:
    """Return a function that reads the kernel and the bias of a layer; the bias is 0 if the layer has none."""

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        bias = tf.zeros((), dtype) if layer.bias is None else tf.cast(layer.bias, dtype)
        return tf.cast(getattr(layer, kernel), dtype), bias

    return weights


def repeated(*xs: tf.Tensor) -> list[tf.Tensor]:
    """Return tensors of one shape: those with fewer axes, or with axes of size 1, are repeated."""
    if len({tuple(x.shape) for x in xs}) == 1:
        return list(xs)
    zero = tf.zeros_like(sum(tf.zeros_like(x) for x in xs))
    return [x + zero for x in xs]


def collected(share: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Sum the relevance of all copies of the cells of ``x`` that `repeated` has made."""
    if share.shape[1:].as_list() == x.shape[1:].as_list():
        return share
    return _moved_back(lambda x: x + tf.zeros_like(share), [x], share)[0]


def _moved_back(function: Callable[..., tf.Tensor], xs: list[tf.Tensor], y: tf.Tensor) -> list[tf.Tensor]:
    """Move the relevance ``y`` of the output cells of a function back to its input cells."""
    xs = [tf.identity(x) for x in xs] if len(xs) > 1 else xs  # the same value may be read twice
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(xs)
        moved = function(*xs)
    return [tf.convert_to_tensor(share) for share in tape.gradient(moved, xs, output_gradients=y)]
