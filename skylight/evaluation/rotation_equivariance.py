"""Do the maps of an image and of its quarter turns agree? Turn k is by k times 90 degrees."""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np

from skylight.attribution.orientation import turned, turned_back
from skylight.evaluation.bootstrap import mean_and_error

TURNS = 4


def maps_of_turns(explain: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Explain images in their four quarter turns, and turn the maps back.

    Parameters
    ----------
    explain : callable
        Images (N, S, S, C) -> maps (N, S, S, ...).
    images : array

    Returns
    -------
    array
        (4, N, S, S, ...); all four are equal where the maps turn with the image.
    """
    return np.stack([turned_back(explain(turned(images, turn)), turn) for turn in range(TURNS)])


def rotation_agreement(maps: np.ndarray) -> np.ndarray:
    """Compute how well the maps of an image and of its quarter turns agree: 1 if they are equal, 0 if unrelated.

    This is the mean correlation of the six pairs of maps, (1 / 6) sum_{k < l} corr(R_k, R_l). R_k is the map of the
    image turned by k quarters, turned back; corr is Pearson's correlation over the pixels of all channels together, so
    the channels must keep their shares as well. Reyes et al. (2018, section IV) compare such maps by eye. Unlike a
    difference, a correlation does not depend on the scale of the maps.

    Parameters
    ----------
    maps : array
        (4, N, S, S, ...) of `maps_of_turns`.

    Returns
    -------
    array
        (N,), -1 to 1; NaN where a map is constant.
    """
    flat = maps.reshape(TURNS, maps.shape[1], -1).astype(float)
    flat = flat - flat.mean(axis=2, keepdims=True)
    norm = np.linalg.norm(flat, axis=2, keepdims=True)
    flat = np.where(norm > 0, flat / np.where(norm > 0, norm, 1), np.nan)
    return np.mean([(flat[k] * flat[other]).sum(axis=1) for k, other in combinations(range(TURNS), 2)], axis=0)


def largest_relative_change(maps: np.ndarray) -> float:
    """Compute how far a map changes when its image is turned, relative to the largest pixel of the upright map.

    Parameters
    ----------
    maps : array
        (4, N, S, S, C) of `maps_of_turns`.

    Returns
    -------
    float
        The largest over all images, turns and pixels: max |R_k - R_0| / max |R_0|. Infinite where an upright map is 0
        everywhere and another one is not; NaN where all four are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(maps - maps[0]).max(axis=(0, 2, 3, 4)) / np.abs(maps[0]).max(axis=(1, 2, 3))
    return float(change.max())


def agreement_summary(agreement: Mapping[str, np.ndarray], reference: str) -> dict[str, dict[str, float]]:
    """Compute the mean agreement of each network, and by how much it exceeds that of a reference network.

    Parameters
    ----------
    agreement : mapping
        Network -> `rotation_agreement` (N,) of its maps of N images, the same for all networks.
    reference : str
        One of the networks.

    Returns
    -------
    dict
        Network -> ``mean`` and its ``error``, ``gain_over_<reference>`` (the mean difference, image by image) and its
        ``gain_error``; both errors are standard errors of the mean.
    """
    summary = {}
    for network, values in agreement.items():
        mean, error = mean_and_error(values)
        gain, gain_error = mean_and_error(values - agreement[reference])
        summary[network] = {"mean": mean, "error": error, f"gain_over_{reference}": gain, "gain_error": gain_error}
    return summary


def nearest_to_median(values: np.ndarray) -> int:
    """Return the index of the value that is nearest to the median of (N,) values; NaN are left out."""
    distance = np.abs(values - np.nanmedian(values))
    return int(np.where(np.isnan(distance), np.inf, distance).argmin())


def copies_turned_back(relevance: np.ndarray) -> np.ndarray:
    """Turn the relevances of the four copies of an image inside a network back, and average them.

    Parameters
    ----------
    relevance : array
        (4 N, S, S, ...), of a layer between `skylight.networks.rotation` layers: rows 4 i to 4 i + 3 are the turns
        0 to 3 of input i.

    Returns
    -------
    array
        (N, S, S, ...). Its sum is a quarter of that of ``relevance``.
    """
    return np.mean([turned_back(relevance[turn::TURNS], turn) for turn in range(TURNS)], axis=0)


def relevance_per_input(relevance: np.ndarray, inputs: int) -> np.ndarray:
    """Add up the relevances of the copies of each input inside a network; those of feature maps are turned back first.

    Parameters
    ----------
    relevance : array
        (N, ...) or (4 N, ...), the relevance of a layer (`skylight.attribution.relevance.lrp_layerwise`).
    inputs : int
        N, the number of inputs.

    Returns
    -------
    array
        (N, S, S, F) for a layer of feature maps, else (N, F). Its sum is that of ``relevance``.
    """
    copies = len(relevance) // inputs
    if relevance.ndim != 4:
        return relevance.reshape(inputs, copies, -1).sum(axis=1)
    return copies_turned_back(relevance) * copies if copies > 1 else relevance
