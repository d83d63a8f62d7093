"""Does a map depend on the trained weights? Shuffle the weights, from the output down, and compare the maps.

This is the cascading randomisation test of Adebayo et al. 2018 (arXiv:1810.03292). ``MPRT`` of Quantus 0.6 cannot be
used for Keras. In its top-down order it starts from ``clone_model``, which initialises all weights again, so even its
first step compares with an untrained network. It also shuffles a tensor along its first axis only, which for a 3 x 3
kernel is its three rows.
"""

from collections.abc import Collection, Iterator

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
    positive variances. A tensor of equal elements (such as biases that were never trained) does not change.

    Parameters
    ----------
    model : keras.Model
        Functional model. A copy is shuffled; it is not changed.
    layers : names of layers, or None
        Layers after which the model is yielded. All layers from the output down to the last of these are shuffled.
        ``None`` is every layer with weights.
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
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    weighted = list(_weighted(copy))
    names = [layer.name for layer in weighted]
    wanted = names if layers is None else list(layers)
    for name in wanted:
        if name not in names:
            raise InputError(f"layers: {model.name} has no layer {name} with weights; it has {', '.join(names)}")
    random = np.random.default_rng(seed)
    for layer in reversed(weighted):
        layer.set_weights([random.permuted(weight) for weight in layer.get_weights()])
        if layer.name in wanted:
            yield layer.name, copy


def similarity(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute Spearman's rank correlation of two maps, as Adebayo et al. 2018 do for signed and for absolute values.

    Parameters
    ----------
    maps, others : array
        (N, H, W) relevance of the trained and of the shuffled network. Absolute values test, more strictly, whether
        the same pixels stand out with any sign. On mostly empty images, absolute values of a method that multiplies
        by its input give a correlation near 1, because both maps are 0 in the same pixels.

    Returns
    -------
    array
        (N,), -1 to 1. It should be near 0, which means that the map depends on the weights; it is 1 if the map does
        not depend on them. 0 if only the map of the shuffled network is constant; NaN if that of the trained one is.
    """
    ranks, other = (rankdata(some.reshape(len(some), -1), axis=1) for some in (maps, others))
    alive = ranks.std(axis=1) > 0
    return np.where(alive & (other.std(axis=1) == 0), 0.0, pearson(ranks, other))


def _weighted(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer)
        elif layer.weights:
            yield layer
