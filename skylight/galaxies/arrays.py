"""The arrays of pictures that the stage `transform` writes and the other stages of the bars read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PARTS = ("training", "test", "catalogue")
"""The pictures with votes, those whose votes the networks predict, and those with a measured bar."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one part of the survey, as the networks see them.

    Attributes
    ----------
    images : np.ndarray, shape (N, size, size, 3), uint8
        On disk until they are used (a memory map).
    ids : np.ndarray of int, shape (N,)
        ``GalaxyID`` of the training and test part, ``asset_id`` of the catalogue.
    """

    images: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Iterable[int]) -> np.ndarray:
        """Return the rows of galaxies, in the order of ``ids``; galaxies whose picture was rejected are left out."""
        found = pd.Index(self.ids).get_indexer(np.asarray(ids))
        return found[found >= 0]


def load(folder: str | Path, part: str) -> Pictures:
    """Read the pictures of a part (`PARTS`), as `skylight.galaxies.transform.write_part` wrote them."""
    folder = Path(folder)
    return Pictures(np.load(folder / f"{part}.npy", mmap_mode="r"), np.load(folder / f"{part}_ids.npy"))


def grey(image: np.ndarray) -> np.ndarray:
    """Return the luminance of an 8-bit RGB image (H, W, 3), in [0, 1] (ITU-R BT.601, weights as in TensorFlow)."""
    return image @ np.array([0.2989, 0.5870, 0.1140]) / 255
