"""Pictures of galaxies: from JPEG, PNG or FITS files to the small arrays that the networks see."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.catalogue import MASKS, PIXELS

SKY_NOISE = {"g": 0.013, "r": 0.019, "i": 0.028}
"""Standard deviation of the sky of SDSS images, nanomaggies per pixel."""
STRETCH = {"i": 4.9, "r": 5.7, "g": 7.8}
"""Factors on the bands before they become the red, green and blue channel of a picture."""
SOFTENING = 2.25
"""Factor on the sum of the bands inside the asinh of the stretch."""


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


def read_image(path: Path) -> Image.Image:
    """Return a colour picture; `InputError` says what is wrong with it."""
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
    """Return a JPEG or PNG picture in colour or grey, or a FITS image of one plane or of g, r and i.

    A FITS image becomes a picture as in the survey: its median is subtracted as the sky, and it is scaled to the noise
    of the survey, before the asinh stretch.

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
        except Exception as error:  # a damaged file leads to errors of any type
            raise InputError(f"{path}: not a readable image ({_first_line(error)})") from None
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
    except Exception as error:  # a damaged file leads to errors of any type
        raise InputError(f"{path}: not a readable FITS image ({_first_line(error)})") from None
    if values.ndim == 2:
        values = np.stack([values] * 3)
    if values.ndim != 3 or len(values) != 3 or not values.size:
        raise InputError(f"{path}: FITS image must have one plane, or g, r and i, got shape {values.shape}")
    values = np.nan_to_num(values, posinf=0, neginf=0)[:, ::-1]  # the first row of a FITS image is at the bottom
    sky = np.median(values, axis=(1, 2), keepdims=True)
    noise = 1.4826 * np.median(np.abs(values - sky), axis=(1, 2), keepdims=True)
    return (values - sky) / np.where(noise > 0, noise, 1) * np.array(list(SKY_NOISE.values()))[:, None, None]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def shrink(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """Cut out the centre of a picture, ``crop`` of its 424 pixels, and reduce it to (size, size, 3), uint8.

    A picture of other dimensions is cut in proportion.
    """
    half = crop / PIXELS / 2
    box = [image.width * (0.5 - half), image.height * (0.5 - half)]
    box += [image.width * (0.5 + half), image.height * (0.5 + half)]
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def grey(image: np.ndarray) -> np.ndarray:
    """Return the luminance of an 8-bit RGB image (H, W, 3), in [0, 1] (ITU-R BT.601, weights as in TensorFlow)."""
    return image @ np.array([0.2989, 0.5870, 0.1140]) / 255


def colour_picture(bands: np.ndarray) -> np.ndarray:
    """Convert g, r, i images in nanomaggies per pixel, (3, H, W), to 8-bit RGB, (H, W, 3).

    This is the asinh stretch of Lupton et al. 2004 (PASP 116, 133). It compresses the sum of the bands, so that bright
    centres keep their colours. Where a channel overflows, all three are scaled down.
    """
    rgb = bands[::-1] * np.array([STRETCH["i"], STRETCH["r"], STRETCH["g"]])[:, None, None]
    total = np.clip(rgb.sum(axis=0), 1e-6, None) * SOFTENING
    rgb = np.clip(rgb * (np.arcsinh(total) / total), 0, None)
    rgb = rgb / np.maximum(rgb.max(axis=0), 1) + 0.02
    return np.moveaxis(np.clip(255 * rgb, 0, 255).astype(np.uint8), 0, -1)


def read_mask(folder: str | Path, asset_id: int, crop: int, size: int) -> np.ndarray:
    """Return the pixels of the true bar on an image reduced by `shrink`, for evaluation only: boolean, (size, size)."""
    with Image.open(Path(folder) / MASKS / f"{asset_id}.png") as mask:
        return shrink(mask.convert("L"), crop, size) > 127
