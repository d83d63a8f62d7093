"""Galaxy Zoo 2 and the bar lengths of Hoyle et al. 2011, in their published layout.

::

    training_solutions_rev1.csv         GalaxyID and 37 vote fractions
    images_training_rev1/<GalaxyID>.jpg
    images_test_rev1/images/<GalaxyID>.jpg
    gz2_filename_mapping.csv            objid, sample, asset_id
    gz2sample.csv                       OBJID, PETROR90_R and many more
    hoyle_barlengths.csv                objid, ..., length_avg, length_stdev, ..., length_scaled, bar_meas
    images_gz2/images/<asset_id>.jpg

A picture has 424 x 424 pixels of 0.02 PETROR90_R arcsec. ``length_avg`` is the length of the bar from end to end in
kpc/h, the mean of ``bar_meas`` people's measurements. ``length_scaled`` is this length divided by the diameter of the
galaxy. The file does not hold the diameter, but it is ``length_avg / length_scaled``: its median over the published
catalogue, 19.5 kpc/h, is two PETROR90_R of a typical galaxy there. So a bar is ``2 length_scaled PETROR90_R`` arcsec
long and covers ``100 length_scaled`` pixels of the picture.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight.errors import InputError
from skylight.galaxies.questions import ANSWERS
from skylight.galaxies.tables import check_unique, numbers, read_csv, shown

PIXELS = 424
PIXEL_SCALE = 0.02
"""Size of a pixel of the pictures, in units of PETROR90_R."""
LENGTH_UNIT = 2.0
"""PETROR90_R per unit of ``length_scaled``."""
SOLUTIONS = "training_solutions_rev1.csv"
TRAINING_IMAGES = "images_training_rev1"
TEST_IMAGES = "images_test_rev1/images"
MAPPING = "gz2_filename_mapping.csv"
SAMPLE = "gz2sample.csv"
CATALOGUE = "hoyle_barlengths.csv"
CATALOGUE_IMAGES = "images_gz2/images"
TRUTH = "truth.csv"
MASKS = "masks"

CATALOGUE_COLUMNS = [
    "objid",
    "ra",
    "dec",
    "length_avg",
    "length_stdev",
    "width_avg",
    "width_stdev",
    "length_scaled",
    "bar_meas",
]


def read_solutions(path: str | Path) -> pd.DataFrame:
    """Read a table of vote fractions.

    Returns
    -------
    pandas.DataFrame
        ``GalaxyID`` and the 37 answers in the decision tree's order, whatever their order in the file.

    Raises
    ------
    InputError
        The file or a column is missing, an id appears twice or is no whole number, or a fraction is not a number in
        [0, 1].
    """
    table = read_csv(path, ["GalaxyID", *ANSWERS], ["GalaxyID"])
    check_unique(path, table, "GalaxyID")
    fractions = table[ANSWERS].apply(numbers)
    wrong = ~fractions.ge(0) | ~fractions.le(1)
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        value = table[ANSWERS].iloc[row, column]
        raise InputError(f"{path} row {row + 2}: {ANSWERS[column]} must be a fraction in [0, 1], got {shown(value)}")
    return pd.concat([table[["GalaxyID"]], fractions], axis=1)


def read_catalogue(folder: str | Path) -> pd.DataFrame:
    """Read the bar-length catalogue and join it with the pictures' names and the galaxies' sizes.

    Returns
    -------
    pandas.DataFrame
        The columns of the catalogue, then ``asset_id`` and ``PETROR90_R``, in the catalogue's order.

    Raises
    ------
    InputError
        A file or a column is missing, an id appears twice or is no whole number, a length is not positive, or an
        ``objid`` of the catalogue is not in the other two files.
    """
    folder = Path(folder)
    catalogue = read_csv(folder / CATALOGUE, CATALOGUE_COLUMNS, ["objid"])
    check_unique(folder / CATALOGUE, catalogue, "objid")
    _check_positive(folder / CATALOGUE, catalogue, ["length_avg", "length_scaled"])
    for name, ids, column in ((MAPPING, ["objid", "asset_id"], "asset_id"), (SAMPLE, ["OBJID"], "PETROR90_R")):
        key = ids[0]
        other = read_csv(folder / name, [key, column], ids)
        other = other[other[key].isin(catalogue["objid"])]
        for id_ in ids:
            check_unique(folder / name, other, id_)
        catalogue = catalogue.merge(other, how="left", left_on="objid", right_on=key)
        absent = catalogue[column].isna()
        if absent.any():
            row = int(absent.to_numpy().argmax())
            raise InputError(f"{folder / CATALOGUE} row {row + 2}: objid {catalogue.objid[row]} is not in {name}")
    _check_positive(folder / SAMPLE, catalogue, ["PETROR90_R"])
    return catalogue[[*CATALOGUE_COLUMNS, "asset_id", "PETROR90_R"]]


def catalogue_arcsec(catalogue: pd.DataFrame) -> np.ndarray:
    """Return the lengths that people measured in arcsec; the paper correlates with these, divided by `LENGTH_UNIT`."""
    return (LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"]).to_numpy()


def to_kpc(arcsec: np.ndarray, catalogue: pd.DataFrame) -> np.ndarray:
    """Convert lengths to kpc/h, the unit of ``length_avg``, with the scale of each galaxy."""
    scale = catalogue["length_avg"] / (LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"])
    return np.asarray(arcsec) * scale.to_numpy()


def shuffle_split(table: pd.DataFrame, fraction: float, seed: int, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shuffle a table and cut it after ``fraction`` of its rows, as published.

    Raises
    ------
    InputError
        A part is empty; the message begins with ``name``, the parameter that holds the fraction.
    """
    shuffled = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    count = int(len(table) * fraction)
    if not 0 < count < len(table):
        part = "first" if not count else "second"
        raise InputError(f"{name}: {fraction} of {len(table)} galaxies leaves the {part} part empty")
    return shuffled[:count], shuffled[count:].reset_index(drop=True)


def read_test_solutions(folder: str | Path) -> pd.DataFrame:
    """Read the vote fractions of the simulated test images, for evaluation only; no published file holds them."""
    truth = read_csv(Path(folder) / TRUTH, ["GalaxyID", "part", *ANSWERS], ["GalaxyID"])
    return truth.loc[truth["part"] == "test", ["GalaxyID", *ANSWERS]].reset_index(drop=True)


def true_lengths(folder: str | Path, asset_ids: pd.Series) -> np.ndarray:
    """Read the true lengths of simulated bars in arcsec, for evaluation only."""
    truth = read_csv(Path(folder) / TRUTH, ["GalaxyID", "part", "bar_length_arcsec"], ["GalaxyID"])
    truth = truth[truth["part"] == "catalogue"].set_index("GalaxyID")["bar_length_arcsec"]
    return truth.reindex(asset_ids).to_numpy()


def _check_positive(path: str | Path, table: pd.DataFrame, columns: list[str]) -> None:
    """Check these columns and make them numbers: one cell of text, of any galaxy, makes a whole column text."""
    for column in columns:
        values = numbers(table[column])
        wrong = ~(values > 0) | ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{path} (objid {table.objid[row]}): {column} must be a positive number, "
                f"got {shown(table[column][row])}"
            )
        table[column] = values
