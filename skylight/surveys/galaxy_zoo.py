"""Galaxy Zoo 2 and the bar lengths of Hoyle et al. 2011, in their published layout.

::

    training_solutions_rev1.csv         GalaxyID and 37 vote fractions
    images_training_rev1/<GalaxyID>.jpg
    images_test_rev1/images/<GalaxyID>.jpg
    gz2_filename_mapping.csv            objid, sample, asset_id
    gz2sample.csv                       OBJID, PETROR90_R and many more
    hoyle_barlengths.csv                objid, ..., length_avg, length_stdev, ..., length_scaled, bar_meas
    images_gz2/images/<asset_id>.jpg

A picture has 424 x 424 pixels of 0.02 PETROR90_R arcsec. ``length_avg`` is the bar from end to end in kpc/h, the mean
of ``bar_meas`` people's; ``length_scaled`` is the same over the diameter of the galaxy. That diameter is not in the
file, but ``length_avg / length_scaled`` is it: its median over the published catalogue, 19.5 kpc/h, is two PETROR90_R
of a typical galaxy there. So a bar of ``length_scaled`` is ``2 length_scaled PETROR90_R`` arcsec long and covers
``100 length_scaled`` pixels of the picture.
"""

from collections.abc import Iterable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from astropy.io import fits
from PIL import Image
from tqdm import tqdm

from skylight.errors import InputError
from skylight.outputs import save_table
from skylight.surveys.galaxies import SKY_NOISE, colour_picture
from skylight.surveys.volunteers import ANSWERS

PIXELS = 424
PIXEL_SCALE = 0.02
"""Of the pictures, in units of PETROR90_R."""
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
        The file or a column is missing, an id appears twice, or a fraction is not a number in [0, 1].
    """
    table = _read_csv(path, ["GalaxyID", *ANSWERS])
    _check_unique(path, table, "GalaxyID")
    fractions = table[ANSWERS].apply(pd.to_numeric, errors="coerce")
    wrong = ~fractions.ge(0) | ~fractions.le(1)
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        value = table[ANSWERS].iloc[row, column]
        raise InputError(f"{path} row {row + 2}: {ANSWERS[column]} must be a fraction in [0, 1], got {value}")
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
        A file or a column is missing, an id appears twice, a length is not positive, or an ``objid`` of the
        catalogue is not in the other two files.
    """
    folder = Path(folder)
    catalogue = _read_csv(folder / CATALOGUE, CATALOGUE_COLUMNS)
    _check_unique(folder / CATALOGUE, catalogue, "objid")
    _check_positive(folder / CATALOGUE, catalogue, ["length_avg", "length_scaled"])
    for name, key, column in ((MAPPING, "objid", "asset_id"), (SAMPLE, "OBJID", "PETROR90_R")):
        other = _read_csv(folder / name, [key, column])
        other = other[other[key].isin(catalogue["objid"])]
        _check_unique(folder / name, other, key)
        catalogue = catalogue.merge(other, how="left", left_on="objid", right_on=key)
        absent = catalogue[column].isna()
        if absent.any():
            row = int(absent.to_numpy().argmax())
            raise InputError(f"{folder / CATALOGUE} row {row + 2}: objid {catalogue.objid[row]} is not in {name}")
    _check_positive(folder / SAMPLE, catalogue, ["PETROR90_R"])
    return catalogue[[*CATALOGUE_COLUMNS, "asset_id", "PETROR90_R"]].astype({"asset_id": "int64"})


def split(table: pd.DataFrame, fraction: float, seed: int, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shuffle a table and cut it after ``fraction`` of its rows, as published.

    Raises
    ------
    InputError
        A part is empty; ``name`` is the parameter that says so.
    """
    shuffled = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    count = int(len(table) * fraction)
    if not 0 < count < len(table):
        part = "first" if not count else "second"
        raise InputError(f"{name}: {fraction} of {len(table)} galaxies leaves the {part} part empty")
    return shuffled[:count], shuffled[count:].reset_index(drop=True)


def small_images(
    paths: Iterable[Path], crop: int, size: int, store: Path
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Decode pictures, cut out their centres and shrink them, into a file that is read as an array.

    The array lives in the file ``store``, so that memory does not grow with the survey.

    Parameters
    ----------
    paths : iterable of Path
        JPEG files.
    crop : int
        Rows and columns of the central part that is kept, of the 424 x 424 (published: all).
    size : int
        Rows and columns that it is reduced to (published: 224).
    store : Path
        New ``.npy`` file.

    Returns
    -------
    images : np.ndarray, shape (N, size, size, 3), uint8
        Of the pictures that could be read.
    kept : np.ndarray of int, shape (N,)
        Their places in ``paths``.
    rejected : pandas.DataFrame
        ``file`` and ``reason`` of the others.
    """
    paths = list(paths)
    images = np.lib.format.open_memmap(store, "w+", np.uint8, (len(paths), size, size, 3))
    read = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        joblib.delayed(_small_image)(path, crop, size) for path in paths
    )
    kept, rejected = [], []
    for place, result in enumerate(tqdm(read, total=len(paths), desc="images", unit="image", leave=False)):
        if isinstance(result, str):
            rejected.append({"file": paths[place].name, "reason": result})
        else:
            images[len(kept)] = result
            kept.append(place)
    return images[: len(kept)], np.array(kept, dtype=int), pd.DataFrame(rejected, columns=["file", "reason"])


def read_image(path: Path) -> Image.Image:
    """Open a colour picture; `InputError` says what is wrong with it."""
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except OSError as error:
        raise InputError(f"{path}: not a readable image ({error})") from None
    if image.mode != "RGB":
        raise InputError(f"{path}: not an RGB image but {image.mode}")
    return image


def read_any_image(path: Path) -> Image.Image:
    """Open a JPEG or PNG picture in colour or grey, or a FITS image of one plane or of g, r and i.

    A FITS image is made a picture as the survey does: its sky, the median, is taken off, and its noise set to that of
    the survey, before the asinh stretch.

    Raises
    ------
    InputError
        The file is missing or unreadable, not square, or of another shape.
    """
    if path.suffix.lower() not in (".fits", ".fit", ".fts"):
        try:
            with Image.open(path) as image:
                picture = image.convert("RGB")
        except FileNotFoundError:
            raise InputError(f"{path}: no such image") from None
        except OSError as error:
            raise InputError(f"{path}: not a readable image ({error})") from None
    else:
        picture = Image.fromarray(colour_picture(_read_fits(path)))
    if picture.width != picture.height:
        raise InputError(f"{path}: image must be square, got {picture.width} x {picture.height}")
    return picture


def _read_fits(path: Path) -> np.ndarray:
    try:
        values = np.asarray(fits.getdata(path), dtype=float)
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable FITS image ({error})") from None
    if values.ndim == 2:
        values = np.stack([values] * 3)
    if values.ndim != 3 or len(values) != 3 or not values.size:
        raise InputError(f"{path}: FITS image must have one plane, or g, r and i, got shape {values.shape}")
    values = np.nan_to_num(values, posinf=0, neginf=0)[:, ::-1]  # the first row of a FITS image is the lowest
    sky = np.median(values, axis=(1, 2), keepdims=True)
    noise = 1.4826 * np.median(np.abs(values - sky), axis=(1, 2), keepdims=True)
    return (values - sky) / np.where(noise > 0, noise, 1) * np.array(list(SKY_NOISE.values()))[:, None, None]


def shrink(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """The central part of a picture, ``crop`` of its 424 pixels, at ``size`` pixels: (size, size, 3), uint8.

    A picture of other dimensions is cut in the same proportion.
    """
    half = crop / PIXELS / 2
    box = [image.width * (0.5 - half), image.height * (0.5 - half)]
    box += [image.width * (0.5 + half), image.height * (0.5 + half)]
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def grey(image: np.ndarray) -> np.ndarray:
    """The luminance of an 8-bit RGB image (H, W, 3), in [0, 1] (ITU-R BT.601, as TensorFlow rounds its weights)."""
    return image @ np.array([0.2989, 0.5870, 0.1140]) / 255


def read_test_solutions(folder: str | Path) -> pd.DataFrame:
    """The vote fractions of the simulated test images, which no published file has, for evaluation only."""
    truth = _read_csv(Path(folder) / TRUTH, ["GalaxyID", "part", *ANSWERS])
    return truth.loc[truth["part"] == "test", ["GalaxyID", *ANSWERS]].reset_index(drop=True)


def true_lengths(folder: str | Path, asset_ids: pd.Series) -> np.ndarray:
    """The true lengths of simulated bars in arcsec, for evaluation only."""
    truth = _read_csv(Path(folder) / TRUTH, ["GalaxyID", "part", "bar_length_arcsec"])
    truth = truth[truth["part"] == "catalogue"].set_index("GalaxyID")["bar_length_arcsec"]
    return truth.reindex(asset_ids).to_numpy()


def read_mask(folder: str | Path, asset_id: int, crop: int, size: int) -> np.ndarray:
    """Where the true bar is on an image reduced as by `shrink`, for evaluation only: boolean, (size, size)."""
    with Image.open(Path(folder) / MASKS / f"{asset_id}.png") as mask:
        return shrink(mask.convert("L"), crop, size) > 127


def unlisted(folder: Path, ids: pd.Series) -> pd.DataFrame:
    """The images of ``folder`` that no row of a table speaks of: ``file`` and ``reason``."""
    known = set(ids.astype(str))
    files = sorted(path.name for path in folder.glob("*.jpg") if path.stem not in known)
    return pd.DataFrame({"file": files, "reason": "no row for this image"}, columns=["file", "reason"])


def save_rejected(path: Path, rejected: pd.DataFrame, max_rejected: int) -> None:
    """Write the images left out and say how many; `InputError` if there are more than ``max_rejected``."""
    save_table(path, rejected)
    if len(rejected):
        print(f"left out {len(rejected)} images, listed in {path}")
    if len(rejected) > max_rejected:
        first = rejected.iloc[0]
        raise InputError(f"{len(rejected)} images rejected, more than max_rejected = {max_rejected}; "
                         f"the first is {first.file}: {first.reason}")  # fmt: skip


def _small_image(path: Path, crop: int, size: int) -> np.ndarray | str:
    try:
        return shrink(read_image(path), crop, size)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")


def _read_csv(path: str | Path, columns: list[str]) -> pd.DataFrame:
    try:
        header = pd.read_csv(path, nrows=0).columns
        missing = [column for column in columns if column not in header]
        if missing:
            raise InputError(f"{path}: no column {', '.join(missing)}")
        return pd.read_csv(path, usecols=columns)[columns]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table ({error})") from None


def _check_unique(path: str | Path, table: pd.DataFrame, column: str) -> None:
    again = table[column].duplicated()
    if again.any():
        row = int(again.to_numpy().argmax())
        raise InputError(f"{path} row {table.index[row] + 2}: {column} {table[column].iloc[row]} appears twice")


def _check_positive(path: str | Path, table: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        values = pd.to_numeric(table[column], errors="coerce")
        wrong = ~(values > 0) | ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{path} (objid {table.objid[row]}): {column} must be a positive number, got {table[column][row]}"
            )
