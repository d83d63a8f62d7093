"""SDSS galaxies with gas metallicities, in the layout of Wu 2020 (after Wu & Boada 2019, MNRAS 484, 4683).

::

    data/master.csv          objID, z, oh_p50 and other columns
    images/<objID>.jpg       gri composites, 160 x 160

``oh_p50`` is 12 + log(O/H) of the gas in the survey's fibre.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.images import NATIVE_SCALE, read_image
from skylight.galaxies.tables import check_unique, header, numbers, read_csv, shown

PIXELS = 160
CATALOGUE = "data/master.csv"
IMAGES = "images"
OPTIONAL = ("lgm_tot_p50",)
"""The log of the stellar mass, which only the regression is compared with."""
BINS = {"low": (8.1, 8.7), "medium": (8.7, 9.1), "high": (9.1, 9.3)}
"""12 + log(O/H) of each class: above the first number, up to the second."""
ANSWERS = ("high", "low")
"""The classes of the network, in the published order of its outputs."""


def read_catalogue(folder: str | Path) -> pd.DataFrame:
    """Read the catalogue.

    Returns
    -------
    pandas.DataFrame
        ``objID`` (text), ``z`` (redshift), ``oh_p50`` (12 + log(O/H)) and ``class`` (a key of `BINS`, empty outside
        of them), in the order of the file; and `OPTIONAL` columns that the file has, NaN where there is no positive
        number (SDSS writes -9999).

    Raises
    ------
    InputError
        The file or a column is missing, an id appears twice or is no whole number, or a redshift or metallicity is not
        a number.
    """
    path = Path(folder) / CATALOGUE
    optional = [column for column in OPTIONAL if column in header(path)] if path.is_file() else []
    table = read_csv(path, ["objID", "z", "oh_p50", *optional], ["objID"])
    check_unique(path, table, "objID")
    for column in ("z", "oh_p50"):
        values = numbers(table[column])
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            got = shown(table[column].iloc[row])
            raise InputError(f"{path} row {row + 2}: {column} must be a number, got {got}")
        table[column] = values.astype(float)
    for column in optional:
        table[column] = numbers(table[column]).astype(float).where(lambda value: np.isfinite(value) & (value > 0))
    table["objID"] = table["objID"].astype(str)
    return table.assign(**{"class": class_names(table["oh_p50"].to_numpy())})


def class_names(metallicity: np.ndarray) -> np.ndarray:
    """Return the class of each 12 + log(O/H), a key of `BINS`; empty outside of them."""
    names = np.full(len(metallicity), "", dtype="<U6")
    for name, (above, most) in BINS.items():
        names[(metallicity > above) & (metallicity <= most)] = name
    return names


def validation_part(table: pd.DataFrame, fraction: float, seed: int) -> np.ndarray:
    """Choose the galaxies of the validation part at random: the same share of the medium and of the other ones.

    Parameters
    ----------
    table : pandas.DataFrame
        With a column ``class``.
    fraction : float
    seed : int

    Returns
    -------
    np.ndarray of bool, shape (N,)

    Raises
    ------
    InputError
        The low and high galaxies are too few for two parts.
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(table), bool)
    medium = (table["class"] == "medium").to_numpy()
    for group in (~medium, medium):
        rows = rng.permutation(np.flatnonzero(group))
        chosen[rows[: round(fraction * len(rows))]] = True
    for name in ANSWERS:
        for part in (chosen, ~chosen):
            if not (part & (table["class"] == name).to_numpy()).any():
                raise InputError(
                    f"metallicity.transform.validation_fraction: {fraction} of {int((~medium).sum())} galaxies leaves "
                    f"a part without the class {name}"
                )
    return chosen


def central_pixels(path: Path, size: int, pixel_scale: float = NATIVE_SCALE) -> np.ndarray:
    """Read a picture and cut out its central ``size`` x ``size`` pixels, or pad it with black to that size.

    A picture of another pixel scale is first resampled to that of the survey; else no pixel is changed.

    Parameters
    ----------
    path : Path
    size : int
    pixel_scale : float
        Of the picture, arcsec per pixel.

    Returns
    -------
    np.ndarray, shape (size, size, 3), uint8

    Raises
    ------
    InputError
        See `skylight.galaxies.images.read_image`.
    """
    picture = read_image(path)
    if pixel_scale != NATIVE_SCALE:
        width = max(1, round(picture.width * pixel_scale / NATIVE_SCALE))
        picture = picture.resize((width, width), Image.Resampling.BICUBIC)
    margin = (picture.width - size) // 2
    return np.asarray(picture.crop((margin, margin, margin + size, margin + size)))
