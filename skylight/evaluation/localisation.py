"""Is a map high where the object is? Maps (H, W) or (N, H, W) are compared with boolean masks of the same shape.

Every function returns one number per map. It is NaN for an empty mask and for a map without contrast, in which all
pixels are equal; `roc_auc` is NaN for a full mask as well.
"""

import numpy as np
from scipy.stats import rankdata


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return 1 if the highest pixel of the map is in the mask, else 0 (Zhang et al. 2018, IJCV 126, 1084).

    If several pixels are the highest, it is the share of them that is in the mask.
    """
    maps, masks = _flat(maps, masks)
    highest = maps == maps.max(axis=1, keepdims=True)
    hits = (highest & masks).sum(axis=1) / highest.sum(axis=1)
    return np.where(masks.any(axis=1) & _has_contrast(maps), hits, np.nan)


def relevance_mass(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Compute the share of the sum of a map that is in the mask (Arras et al. 2022, Inf. Fusion 81, 14).

    No pixel of the maps may be negative.
    """
    maps, masks = _flat(maps, masks)
    total = maps.sum(axis=1)
    inside = (maps * masks).sum(axis=1)
    return np.where(
        masks.any(axis=1) & (total > 0) & _has_contrast(maps), inside / np.where(total > 0, total, 1), np.nan
    )


def rank_accuracy(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Compute the share of the K highest pixels that are in the mask of K pixels (Arras et al. 2022).

    If several pixels are equal to the K-th highest, each counts in part.
    """
    maps, masks = _flat(maps, masks)
    result = np.full(len(maps), np.nan)
    for i, (values, mask, alive) in enumerate(zip(maps, masks, _has_contrast(maps), strict=True)):
        size = int(mask.sum())
        if size and alive:
            limit = np.partition(values, -size)[-size]
            above, at = values > limit, values == limit
            result[i] = (mask[above].sum() + (size - above.sum()) * mask[at].mean()) / size
    return result


def roc_auc(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Compute the probability that a pixel in the mask is higher than one outside it (Mann & Whitney 1947).

    Equal pixels count half.
    """
    maps, masks = _flat(maps, masks)
    ranks = rankdata(maps, axis=1)
    inside = masks.sum(axis=1)
    outside = masks.shape[1] - inside
    wins = (ranks * masks).sum(axis=1) - inside * (inside + 1) / 2
    pairs = inside * outside
    return np.where((pairs > 0) & _has_contrast(maps), wins / np.where(pairs > 0, pairs, 1), np.nan)


def _has_contrast(maps: np.ndarray) -> np.ndarray:
    """Return for each map (N, pixels) whether its pixels differ."""
    return np.ptp(maps, axis=1) > 0


def _flat(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps, masks = np.asarray(maps, dtype=float), np.asarray(masks, dtype=bool)
    pixels = maps.shape[-2] * maps.shape[-1]
    return maps.reshape(-1, pixels), masks.reshape(-1, pixels)
