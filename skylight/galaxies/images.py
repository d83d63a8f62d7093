"""Pictures of galaxies: JPEG, PNG or FITS to the small arrays that the networks see."""

from collections.abc import Iterable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from astropy.io import fits
from PIL import Image
from tqdm import tqdm

from skylight.errors import InputError
from skylight.galaxies.catalogue import MASKS, PIXELS
from skylight.outputs import save_table

SKY_NOISE = {"g": 0.013, "r": 0.019, "i": 0.028}
"""Standard deviation of the sky in nanomaggies a native pixel."""
STRETCH = {"i": 4.9, "r": 5.7, "g": 7.8}
"""Factors of the red, green and blue channel of the survey's pictures; blue is pushed most."""
SOFTENING = 2.25


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


def colour_picture(bands: np.ndarray) -> np.ndarray:
    """Turn g, r, i images in nanomaggies a pixel, (3, H, W), into 8-bit RGB, (H, W, 3).

    The asinh stretch of Lupton et al. 2004 (PASP 116, 133): it compresses the total, so colours survive in bright
    centres; channels that overflow are scaled together.
    """
    rgb = bands[::-1] * np.array([STRETCH["i"], STRETCH["r"], STRETCH["g"]])[:, None, None]
    total = np.clip(rgb.sum(axis=0), 1e-6, None) * SOFTENING
    rgb = np.clip(rgb * (np.arcsinh(total) / total), 0, None)
    rgb = rgb / np.maximum(rgb.max(axis=0), 1) + 0.02
    return np.moveaxis(np.clip(255 * rgb, 0, 255).astype(np.uint8), 0, -1)


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
