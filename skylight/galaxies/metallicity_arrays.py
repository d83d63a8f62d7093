"""The arrays of galaxies that the stage `transform` of the metallicity chapter writes and the others read."""

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.errors import InputError
from skylight.galaxies.metallicity import ANSWERS, IMAGES, central_pixels, read_catalogue, validation_part
from skylight.galaxies.photometry import measure
from skylight.outputs import save_json, save_table
from skylight.params.metallicity import Transform
from skylight.rejected import Rejected, RejectionLog

CHUNK = 256  # pictures whose photometry is measured together


@dataclass(frozen=True, eq=False)
class Galaxies:
    """The galaxies of a survey, as the networks see them.

    Attributes
    ----------
    images : np.ndarray, shape (N, size, size, 3), uint8
        On disk until they are used (a memory map).
    table : pandas.DataFrame
        ``objID`` (text), ``z``, ``oh_p50``, ``class``, ``part`` (train or validation), and the columns of
        `skylight.galaxies.photometry.measure`; one row per image.
    mean, deviation : list of float
        Of the colours of the low and high training images, in [0, 1].
    """

    images: np.ndarray
    table: pd.DataFrame
    mean: list[float]
    deviation: list[float]

    @property
    def labels(self) -> np.ndarray:
        """Index of the class of each galaxy in `ANSWERS`, (N,) int32; -1 for the medium ones."""
        names = self.table["class"].to_numpy()
        return np.select([names == name for name in ANSWERS], range(len(ANSWERS)), -1).astype(np.int32)

    def rows(self, part: str, *, medium: bool = False) -> np.ndarray:
        """Return the rows of a part: low and high galaxies, and with ``medium`` all."""
        return np.flatnonzero((self.table["part"] == part) & (medium | (self.table["class"] != "medium")))

    def places(self, ids: Iterable[str]) -> np.ndarray:
        """Return the row of each objID."""
        return pd.Index(self.table["objID"]).get_indexer(pd.Index(ids))


def load(folder: str | Path) -> Galaxies:
    """Read what `write_arrays` wrote."""
    folder = Path(folder)
    statistics = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
    table = pd.read_csv(folder / "galaxies.csv", dtype={"objID": str})
    return Galaxies(np.load(folder / "images.npy", mmap_mode="r"), table, **statistics)


def write_arrays(
    survey: Path, pixel_scale: float, settings: Transform, folder: Path, log: RejectionLog
) -> dict[str, dict[str, int]]:
    """Decode the pictures of a survey, measure them and split them into parts.

    Galaxies outside of all classes are left out; pictures that are missing or unusable are rejected. Memory does not
    grow with the number of galaxies.

    Parameters
    ----------
    survey : Path
        In the layout of `skylight.galaxies.metallicity`.
    pixel_scale : float
        Of its pictures, arcsec.
    settings : section ``metallicity.transform`` of params.yaml
    folder : Path
        Where ``images.npy``, ``galaxies.csv`` and ``statistics.json`` are written.
    log : RejectionLog

    Returns
    -------
    dict
        Part -> class -> number of galaxies.

    Raises
    ------
    InputError
        The catalogue is faulty, too many pictures are unusable, or a part has no galaxy of a class.
    """
    table = read_catalogue(survey)
    table = table[table["class"] != ""].reset_index(drop=True)
    with NpyAppendArray(folder / "images.npy") as images:
        images.append(np.empty((0, settings.size, settings.size, 3), np.uint8))
        kept, measured = [], []
        for chunk, pictures in _decoded(survey, table["objID"], settings.size, pixel_scale):
            good = [place for place, picture in enumerate(pictures) if not isinstance(picture, str)]
            for place, picture in enumerate(pictures):
                if isinstance(picture, str):
                    objid = table["objID"][chunk[place]]
                    log.add(Rejected(f"{IMAGES}/{objid}.jpg", objid, picture))
            if good:
                stacked = np.stack([pictures[place] for place in good])
                images.append(stacked)
                kept += [chunk[place] for place in good]
                measured.append(measure(stacked))
    log.check(len(table), settings.max_rejected, "metallicity.transform.max_rejected", "pictures")
    table = table.loc[kept].reset_index(drop=True).join(pd.concat(measured, ignore_index=True))
    table["part"] = np.where(validation_part(table, settings.validation_fraction, settings.seed), "validation", "train")
    save_table(folder / "galaxies.csv", table)

    training = (table["part"] == "train") & (table["class"] != "medium")
    statistics = _statistics(np.load(folder / "images.npy", mmap_mode="r"), np.flatnonzero(training))
    save_json(folder / "statistics.json", statistics, digits=8)
    counts = table.groupby(["part", "class"]).size()
    return {part: counts[part].to_dict() for part in ("train", "validation")}


def read_cutouts(folder: str | Path, size: int, pixel_scale: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a small survey whole: the low and high galaxies, with photometry, and their images (N, size, size, 3) uint8.

    Raises
    ------
    InputError
        The catalogue or a picture is unusable.
    """
    table = read_catalogue(folder)
    table = table[table["class"].isin(ANSWERS)].reset_index(drop=True)
    images = np.stack([central_pixels(Path(folder) / IMAGES / f"{o}.jpg", size, pixel_scale) for o in table["objID"]])
    return table.join(measure(images)), images


def _decoded(survey: Path, ids: pd.Series, size: int, pixel_scale: float) -> Iterable[tuple[range, list]]:
    """Yield the rows of each chunk and its pictures; instead of one that is unusable, what is wrong with it."""
    progress = tqdm(total=len(ids), desc="pictures", unit="picture", disable=None)
    with warnings.catch_warnings(), joblib.Parallel(n_jobs=-1, prefer="threads") as parallel, progress:
        warnings.simplefilter("ignore")  # what decoders say about damaged files; the log has it in one line
        for first in range(0, len(ids), CHUNK):
            chunk = range(first, min(first + CHUNK, len(ids)))
            paths = [survey / IMAGES / f"{ids[row]}.jpg" for row in chunk]
            yield chunk, parallel(joblib.delayed(_picture)(path, size, pixel_scale) for path in paths)
            progress.update(len(chunk))


def _picture(path: Path, size: int, pixel_scale: float) -> np.ndarray | str:
    try:
        return central_pixels(path, size, pixel_scale)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")


def _statistics(images: np.ndarray, rows: np.ndarray) -> dict[str, list[float]]:
    """Return mean and standard deviation of each colour over some images, in [0, 1]."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for first in range(0, len(rows), CHUNK):
        values = images[rows[first : first + CHUNK]].reshape(-1, 3) / 255
        total, squares, count = total + values.sum(axis=0), squares + (values**2).sum(axis=0), count + len(values)
    mean = total / count
    return {"mean": mean.tolist(), "deviation": np.sqrt(squares / count - mean**2).tolist()}
