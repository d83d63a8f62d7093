"""Does a map depend on the trained weights, and on the class? Shuffle the weights, or ask for another class.

`cascade` is the cascading randomisation test of Adebayo et al. 2018 (arXiv:1810.03292): shuffle the weights, from the
output down, and compare the maps. ``MPRT`` of Quantus 0.6 cannot be used for Keras. In its top-down order it starts
from ``clone_model``, which initialises all weights again, so even its first step compares with an untrained network. It
also shuffles a tensor along its first axis only, which for a 3 x 3 kernel is its three rows.
"""

from collections.abc import Callable, Collection, Iterator

import keras
import numpy as np
from scipy.stats import rankdata

from skylight.errors import InputError
from skylight.evaluation.faithfulness import pearson


def cascade(
    model: keras.Model, layers: Collection[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, keras.Model]]:
    """Shuffle the weights of the layers one by one, from the output down; shuffled layers stay shuffled.

    The elements of each weight tensor are shuffled. This keeps their distribution, the scale of the activations and
    positive variances. A tensor of equal elements (such as biases that were never trained) or of one element does not
    change. The statistics of a ``Normalization`` layer describe the data and are kept.

    Parameters
    ----------
    model : keras.Model
        Functional model. A copy is shuffled; it is not changed.
    layers : names of layers, or None
        Layers after which the model is yielded. All layers from the output down to the last of these are shuffled.
        ``None`` is every layer with weights. A layer of a nested model has a name like ``backbone/block5``, at any
        depth.
    seed : int
        Seed of the shuffling.

    Yields
    ------
    str
        Name of the lowest layer that is shuffled so far.
    keras.Model
        The copy. It is the same object every time, with other weights, so methods compile their functions only once.

    Raises
    ------
    InputError
        If a name in ``layers`` is not the name of a layer with weights.
    """
    copy = keras.models.clone_model(model, clone_function=_new, recursive=True)
    copy.set_weights(model.get_weights())
    for layer in copy._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights, which set_weights leaves as they were
    weighted = dict(_weighted(copy))
    names = list(weighted)
    wanted = names if layers is None else list(layers)
    for name in wanted:
        if name not in names:
            raise InputError(f"layers: {model.name} has no layer {name} with weights; it has {', '.join(names)}")
    random = np.random.default_rng(seed)
    for name, layer in reversed(weighted.items()):
        layer.set_weights([random.permuted(weight) if weight.ndim else weight for weight in layer.get_weights()])
        if name in wanted:
            yield name, copy


def random_logit(
    explain: Callable[[np.ndarray], np.ndarray], targets: np.ndarray, classes: int, maps: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Compare a map with that of another class (Sixt et al. 2020, arXiv:1912.09818, section 4).

    The tests compare it with ``RandomLogit`` of Quantus for the same other classes.

    Parameters
    ----------
    explain : callable
        Function from targets (N,) to maps (N, H, W) or (N, L) of the same images.
    targets : array
        (N,) int, the explained classes.
    classes : int
        Number of classes, at least 2.
    maps : array
        The result of ``explain(targets)``.
    seed : int
        Seed of the other classes, which all methods with the same seed share.

    Returns
    -------
    array
        (N,) rank correlation (`similarity`) with the map of a random other class. Near 1 the map does not say what the
        class is. With two classes, maps of the log-odds of one are minus those of the other, so they have -1.

    Raises
    ------
    InputError
        If there is no other class.
    """
    if classes < 2:
        raise InputError(f"random_logit: needs at least 2 classes, got {classes}")
    others = np.random.default_rng(seed).integers(classes - 1, size=len(targets)).astype(np.int32)
    return similarity(maps, explain(others + (others >= targets)))


def similarity(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute Spearman's rank correlation of two maps, as Adebayo et al. 2018 do for signed and for absolute values.

    Parameters
    ----------
    maps, others : array
        (N, H, W) or (N, L) relevance of the trained and of the shuffled network. Absolute values test, more strictly,
        whether the same pixels stand out with any sign. On mostly empty images, absolute values of a method that
        multiplies by its input give a correlation near 1, because both maps are 0 in the same pixels.

    Returns
    -------
    array
        (N,), -1 to 1. It should be near 0, which means that the map depends on the weights; it is 1 if the map does
        not depend on them. 0 if only the map of the shuffled network is constant; NaN if that of the trained one is.
    """
    ranks, other = (rankdata(some.reshape(len(some), -1), axis=1) for some in (maps, others))
    alive = ranks.std(axis=1) > 0
    return np.where(alive & (other.std(axis=1) == 0), 0.0, pearson(ranks, other))


def _new(layer: keras.Layer) -> keras.Layer:
    """Make a layer with the same configuration and weights of its own."""
    if isinstance(layer, keras.layers.Lambda):  # Keras refuses to read its function from a configuration
        options = {"output_shape": layer._output_shape, "mask": layer.mask, "arguments": layer.arguments}
        return keras.layers.Lambda(layer.function, **options, name=layer.name, dtype=layer.dtype_policy)
    return type(layer).from_config(layer.get_config())


def _weighted(model: keras.Model, path: str = "") -> Iterator[tuple[str, keras.Layer]]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer, f"{path}{layer.name}/")
        elif layer.weights and not isinstance(layer, keras.layers.Normalization):
            yield path + layer.name, layer
