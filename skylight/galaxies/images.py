"""Pictures of galaxies: from picture files to the small arrays that the networks see."""

from pathlib import Path

import numpy as np
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.catalogue import MASKS, PIXELS
from skylight.pictures import check_varies, decode_fits, decode_picture, is_fits, read_file

NATIVE_SCALE = 0.396
"""Pixel scale of the survey's camera, arcsec."""
SKY_NOISE = {"g": 0.013, "r": 0.019, "i": 0.028}
"""Standard deviation of the sky of SDSS images, nanomaggies per pixel."""
STRETCH = {"i": 4.9, "r": 5.7, "g": 7.8}
"""Factors on the bands before they become the red, green and blue channel of a picture."""
SOFTENING = 2.25
"""Factor on the sum of the bands inside the asinh of the stretch."""
LARGEST = 1e30
"""Largest brightness in units of the noise, so that the stretch of damaged pixels does not overflow."""


def read_image(path: Path) -> Image.Image:
    """Return the picture of one galaxy: a survey's or a user's, of every format that `skylight.pictures` reads.

    A FITS image has one plane, or g, r and i. It becomes a picture as in the survey: its median is subtracted as the
    sky, and it is scaled to the noise of the survey, before the asinh stretch. Missing pixels are as bright as the sky.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, square.

    Raises
    ------
    InputError
        The file is missing or unreadable (`skylight.pictures`), not square (squeezed into a square, lengths along one
        axis would be wrong), all its pixels are alike, or the FITS image has another number of planes.
    """
    data = read_file(path)
    if is_fits(data):
        picture = Image.fromarray(_stretch(_in_units_of_noise(decode_fits(data, path), path)))
    else:
        picture = decode_picture(data, path)
    if picture.width != picture.height:
        raise InputError(f"{path}: image must be square, got {picture.width} x {picture.height}")
    check_varies(picture, path)
    return picture


def _in_units_of_noise(planes: np.ndarray, path: Path) -> np.ndarray:
    """Subtract the sky of each plane and divide by its noise, in place."""
    if len(planes) not in (1, len(SKY_NOISE)):
        raise InputError(f"{path}: FITS image must have one plane, or g, r and i, got {len(planes)} planes")
    for plane in planes:
        missing = ~np.isfinite(plane)
        values = plane[~missing]
        if not len(values):
            raise InputError(f"{path}: FITS image without a finite pixel")
        with np.errstate(over="ignore", invalid="ignore"):
            sky = np.median(values)
            noise = 1.4826 * np.median(np.abs(values - sky))
            plane -= sky
            plane /= noise if noise > 0 else 1
        if not np.isfinite([sky, noise]).all():
            raise InputError(f"{path}: FITS image with values of 1e308")
        plane[missing] = 0
        np.clip(plane, -LARGEST, LARGEST, out=plane)
    return planes


def _stretch(planes: np.ndarray) -> np.ndarray:
    """Return `colour_picture` of planes in units of their noise; in blocks of rows, which take little memory."""
    noise = np.array(list(SKY_NOISE.values()))[:, None, None]
    blocks = range(0, planes.shape[1], 256)
    return np.concatenate([colour_picture(planes[:, first : first + 256] * noise) for first in blocks])


def shrink(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """Cut out the centre of a picture, ``crop`` of its 424 pixels, and reduce it to (size, size, 3), uint8.

    A picture of other dimensions is cut in proportion.
    """
    half = crop / PIXELS / 2
    box = [image.width * (0.5 - half), image.height * (0.5 - half)]
    box += [image.width * (0.5 + half), image.height * (0.5 + half)]
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


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
    path = Path(folder) / MASKS / f"{asset_id}.png"
    mask = decode_picture(read_file(path), path).convert("L")  # may show nothing: a galaxy without a bar
    return shrink(mask, crop, size) > 127
