"""Heatmaps of bars in the files of the paper's programs: one ``.npy`` per galaxy, min-max normalised."""

from pathlib import Path

import numpy as np

from skylight.errors import InputError
from skylight.files import check_file, decoding


def min_max(maps: np.ndarray) -> np.ndarray:
    """Scale each map (..., H, W) to [0, 1]; a constant map becomes 0."""
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def write_heatmap(folder: Path, asset_id: int, heatmap: np.ndarray) -> None:
    """Write one map (H, W), under the published name and with the published leading axis of 1."""
    np.save(_path(folder, asset_id), heatmap[None].astype(np.float32))


def read_heatmaps(folders: list[Path], asset_id: int) -> np.ndarray | None:
    """Return the maps of a galaxy from all networks, (M, H, W) float64; None if its picture was rejected.

    Raises
    ------
    InputError
        Some networks have a map of the galaxy and others have none, or maps of other shapes, or a map is no array or
        not finite.
    """
    paths = [_path(folder, asset_id) for folder in folders]
    found = [path.exists() for path in paths]
    if not any(found):
        return None
    if not all(found):
        raise InputError(f"{paths[found.index(False)]}: no such heatmap, although {paths[found.index(True)]} exists")
    maps = [_read_heatmap(path) for path in paths]
    for path, heatmap in zip(paths, maps, strict=True):
        if heatmap.shape != maps[0].shape:
            raise InputError(f"{path}: heatmap of shape {heatmap.shape}, but {paths[0]} has {maps[0].shape}")
    return np.stack(maps)


def _path(folder: Path, asset_id: int) -> Path:
    return folder / f"{int(asset_id)}.jpg.npy"  # a number cannot lead out of the folder


def _read_heatmap(path: Path) -> np.ndarray:
    check_file(path)
    with decoding(path, "not a heatmap"):
        values = np.load(path, mmap_mode="r", allow_pickle=False)  # the file must be as large as it claims
        if values.ndim != 3 or len(values) != 1 or values.dtype.kind != "f":
            raise InputError(f"{path}: heatmap must be floats of shape (1, H, W), got {values.dtype} {values.shape}")
        heatmap = values[0].astype(float)
    if not np.isfinite(heatmap).all():
        raise InputError(f"{path}: heatmap is not finite")
    return heatmap
