"""Where the metals of a simulated galaxy are: the truth that maps are compared with, and that no network sees."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from skylight.pictures import decode_picture, read_file

FOLDER = "truth"
TABLE = "truth.csv"
ZERO, STEP = 7.5, 0.01
"""12 + log(O/H) of the value 0, and of a step of 1."""
RADIUS_STEP = 0.02
"""Effective radii of a step of 1."""
PARTS = ("disc", "bulge", "clumps", "neighbours")


@dataclass(frozen=True, eq=False)
class LocalMetallicity:
    """The metals and the parts of one galaxy.

    Attributes
    ----------
    metallicity : np.ndarray, shape (H, W)
        12 + log(O/H) of the gas in each pixel, also where there is hardly any light.
    radius : np.ndarray, shape (H, W)
        Distance from the centre in the plane of the disc, in effective radii; at most 5.1.
    parts : dict of str to np.ndarray, (H, W) bool
        Pixels where the light of this part (`PARTS`) prevails: the bulge over the disc, the star-forming clumps over
        half of the disc, and neighbours over the galaxy; the disc is what is left of the galaxy within its Petrosian
        radius. No pixel is in two parts.
    """

    metallicity: np.ndarray
    radius: np.ndarray
    parts: dict[str, np.ndarray]

    def cut(self, size: int) -> "LocalMetallicity":
        """Return the central ``size`` x ``size`` pixels."""
        margin = (len(self.metallicity) - size) // 2
        inside = (slice(margin, margin + size),) * 2
        parts = {name: mask[inside] for name, mask in self.parts.items()}
        return LocalMetallicity(self.metallicity[inside], self.radius[inside], parts)


def write(path: Path, truth: LocalMetallicity) -> None:
    """Write the truth as a PNG: metallicity in its red, masks in its green and radius in its blue channel."""
    red = np.rint((truth.metallicity - ZERO) / STEP)
    green = sum(truth.parts[name] * 2**bit for bit, name in enumerate(PARTS))
    blue = np.rint(truth.radius / RADIUS_STEP)
    Image.fromarray(np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)).save(path)


def read(folder: str | Path, objid: str) -> LocalMetallicity:
    """Read the truth of one galaxy of a simulated survey.

    Raises
    ------
    InputError
        The file is missing or no picture.
    """
    path = Path(folder) / FOLDER / f"{objid}.png"
    red, green, blue = np.moveaxis(np.asarray(decode_picture(read_file(path), path)), -1, 0)
    parts = {name: (green >> bit) % 2 == 1 for bit, name in enumerate(PARTS)}
    return LocalMetallicity(ZERO + STEP * red.astype(np.float32), RADIUS_STEP * blue.astype(np.float32), parts)
