"""Heatmaps of bars in the files of the paper's programs: one ``.npy`` per galaxy, min-max normalised."""

from pathlib import Path

import numpy as np

from skylight.errors import InputError


def min_max(maps: np.ndarray) -> np.ndarray:
    """Scale each map (..., H, W) to [0, 1]; a constant map becomes 0."""
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def write_heatmap(folder: Path, asset_id: int, heatmap: np.ndarray) -> None:
    """Write one map (H, W), under the published name and with the published leading axis of 1."""
    np.save(folder / f"{asset_id}.jpg.npy", heatmap[None].astype(np.float32))


def read_heatmaps(folders: list[Path], asset_id: int) -> np.ndarray | None:
    """Return the maps of a galaxy from all networks, (M, H, W) float64; None if its picture was rejected.

    Raises
    ------
    InputError
        Some networks have a map of the galaxy and others have none, or a map is not finite.
    """
    paths = [folder / f"{asset_id}.jpg.npy" for folder in folders]
    found = [path.exists() for path in paths]
    if not any(found):
        return None
    if not all(found):
        raise InputError(f"{paths[found.index(False)]}: no such heatmap, although {paths[found.index(True)]} exists")
    maps = np.stack([np.load(path)[0] for path in paths]).astype(float)
    for path, heatmap in zip(paths, maps, strict=True):
        if not np.isfinite(heatmap).all():
            raise InputError(f"{path}: heatmap is not finite")
    return maps
