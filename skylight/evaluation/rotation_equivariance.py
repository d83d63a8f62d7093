"""Do the maps of an image and of its quarter turns agree? Turn k is by k times 90 degrees, counter-clockwise."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

TURNS = 4


def turned(images: np.ndarray, turn: int) -> np.ndarray:
    """Turn images or maps (N, S, S, ...) by ``turn`` quarters."""
    return np.ascontiguousarray(np.rot90(images, turn, axes=(1, 2)))


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
        (4, N, S, S, ...); all four are equal where the explanation follows the image.
    """
    return np.stack([turned(explain(turned(images, turn)), -turn) for turn in range(TURNS)])


def rotation_agreement(maps: np.ndarray) -> np.ndarray:
    """How far the maps of an image and of its quarter turns agree: 1 if they are the same, 0 if unrelated.

    Pearson's correlation of the pixels of two of the maps, turned back, in the mean over the six pairs of the four
    turns: (1 / 6) sum_{k < l} corr(R_k, R_l), where R_k is the map of the image turned by k quarters, turned back.
    All channels of a map are taken together, so it also asks that they keep their shares. Reyes et al. (2018,
    section IV) compare such maps by eye; correlation, unlike a difference, does not depend on the maps' scale.

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
    return np.mean([turned(relevance[turn::TURNS], -turn) for turn in range(TURNS)], axis=0)
