"""Does a map depend on what the network has learnt? Shuffle its weights from the top, and see whether the map changes.

The cascading randomisation test of Adebayo et al. 2018 (arXiv:1810.03292). ``MPRT`` of Quantus 0.6 does not serve for
Keras: in its top-down order it starts from ``clone_model``, which draws all weights anew, so that already its first
step compares with a network that has learnt nothing; and it shuffles a tensor along its first axis only, which is the
three rows of a 3 x 3 kernel.
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
    """Shuffle the weights of the layers from the output down, each time keeping what is shuffled already.

    Shuffling the elements of each weight tensor keeps their distribution, and with it the scale of the activations
    and positive variances. A tensor of equal elements (the biases of a layer never trained) stays as it is.

    Parameters
    ----------
    model : keras.Model
        Functional model. A copy is shuffled; it is not changed.
    layers : names of layers, or None
        Where to stop and look; all layers down to the last of them are shuffled. ``None`` is every layer with weights.
    seed : int
        Seed of the shuffling.

    Yields
    ------
    str
        Name of the lowest layer that is shuffled.
    keras.Model
        The copy. It is the same object every time, with other weights: methods compile for it once.

    Raises
    ------
    InputError
        If a name in ``layers`` is not that of a layer with weights.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    weighted = list(_weighted(copy))
    names = [layer.name for layer in weighted]
    wanted = names if layers is None else list(layers)
    for name in wanted:
        if name not in names:
            raise InputError(f"layers: no layer {name} with weights in {model.name}, which has {', '.join(names)}")
    random = np.random.default_rng(seed)
    for layer in reversed(weighted):
        layer.set_weights([random.permuted(weight) for weight in layer.get_weights()])
        if layer.name in wanted:
            yield layer.name, copy


def similarity(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation, which Adebayo et al. 2018 measure with signs and with absolute values.

    Parameters
    ----------
    maps, others : array
        (N, H, W) relevance of the trained and of the shuffled network. Give absolute values for the stricter
        question whether the same pixels stand out, of whatever sign. There, a method that multiplies by its input
        is near 1 on images that are mostly empty: both maps are 0 in the same pixels.

    Returns
    -------
    array
        (N,), -1 to 1. Near 0 where the map depends on the weights, as it should; 1 where it never looked at them.
        0 where only the other map is constant (it lost all order); NaN where the trained network's own is.
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
