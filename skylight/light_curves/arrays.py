"""The arrays of a survey: dmdt images, features, labels and ids, as `skylight.light_curves.transform` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skylight.errors import InputError


@dataclass(frozen=True)
class Arrays:
    """One row per light curve; the copies of an oversampled object follow one another and share its id.

    Attributes
    ----------
    images : (N, dm, dt, 1) float32
        dmdt images, 255 times the share of all pairs.
    features : (N, 21) float32
        Columns as in `skylight.light_curves.features.FEATURES`.
    labels : (N,) int64
        Class index, -1 where the survey has no labels.
    ids : (N,) str
    """

    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: np.ndarray) -> "Arrays":
        """Return some rows, chosen by a mask or by their numbers."""
        return Arrays(self.images[rows], self.features[rows], self.labels[rows], self.ids[rows])

    def objects(self) -> "Arrays":
        """Return each object once: the first row of each id, which is the light curve without added noise."""
        return self[np.sort(self._first_rows())]

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Return the row of each id, its first one where the object has copies: (len(ids),) int.

        Raises
        ------
        InputError
            An id is not in the arrays.
        """
        first, ids = self._first_rows(), np.asarray(ids)
        found = pd.Index(self.ids[first]).get_indexer(ids)
        if (found < 0).any():
            raise InputError(f"object {ids[np.argmin(found)]} is not among the {len(first)} transformed objects")
        return first[found]

    def _first_rows(self) -> np.ndarray:
        return np.unique(self.ids, return_index=True)[1]


def load(folder: str | Path) -> Arrays:
    """Read the arrays in ``folder``. Images stay on disk until they are used (a memory map).

    Parameters
    ----------
    folder : path
        ``X_2d.npy``, ``X_features.npy``, ``y.npy`` and ``lcid.npy`` (`skylight.light_curves.transform.write_arrays`).
    """
    folder = Path(folder)
    return Arrays(
        np.load(folder / "X_2d.npy", mmap_mode="r"),
        *(np.load(folder / f"{name}.npy") for name in ("X_features", "y", "lcid")),
    )
