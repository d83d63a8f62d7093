"""Colour, size and brightness of galaxies, measured on their colour pictures (160 x 160 or a part of them)."""

import numpy as np
import pandas as pd

from skylight.galaxies.images import NATIVE_SCALE, SOFTENING, STRETCH

BRIGHTNESS = 0.34
"""Factor on the fluxes before the stretch of `skylight.galaxies.images.colour_picture`: these pictures are darker."""
APERTURE = 40
"""Radius inside which light is summed, pixels."""
BORDER = 4
"""Width of the frame whose median is the sky, pixels."""


def fluxes(pictures: np.ndarray) -> np.ndarray:
    """Return the fluxes behind colour pictures: `skylight.galaxies.images.colour_picture` read backwards.

    The asinh stretch compresses the sum of the three bands and keeps their ratios, so both can be solved for. Where a
    channel overflowed the sum is too low; its colour is still right.

    Parameters
    ----------
    pictures : np.ndarray, shape (..., H, W, 3), uint8

    Returns
    -------
    np.ndarray, shape (..., H, W, 3), float32
        g, r and i in nanomaggies per pixel; the sky is not subtracted.
    """
    rgb = pictures.astype(np.float32) / 255 - np.float32(0.02)
    shown = np.maximum(rgb.sum(axis=-1, keepdims=True), 1e-6)
    true = np.sinh(SOFTENING * shown) / SOFTENING
    weights = BRIGHTNESS * np.array([STRETCH["i"], STRETCH["r"], STRETCH["g"]], np.float32)
    return (rgb * (true / shown) / weights)[..., ::-1]


def measure(pictures: np.ndarray) -> pd.DataFrame:
    """Measure the central galaxy of each picture.

    Parameters
    ----------
    pictures : np.ndarray, shape (N, H, W, 3), uint8

    Returns
    -------
    pandas.DataFrame
        ``g_r`` and ``r_i``, colours inside the half-light radius, mag; ``r50``, radius of half of the r-band light
        inside `APERTURE`, arcsec; ``r``, the magnitude of that light; ``surface``, the mean surface brightness inside
        ``r50``, mag / arcsec^2, which does not depend on the scale of the picture.
    """
    size = pictures.shape[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y)
    inside = radius <= APERTURE
    order = np.argsort(radius[inside], kind="stable")
    edges = radius[inside][order]
    rows = []
    for picture in pictures:
        bands = fluxes(picture)
        frame = np.ones((size, size), bool)
        frame[BORDER:-BORDER, BORDER:-BORDER] = False
        bands = bands - np.median(bands[frame], axis=0)
        light = np.cumsum(bands[..., 1][inside][order])
        total = max(float(light[-1]), 1e-3)
        half = edges[np.argmax(light >= total / 2)]
        g, r, i = np.maximum(bands[radius <= max(half, 2)].sum(axis=0), 1e-3)
        rows.append((2.5 * np.log10(r / g), 2.5 * np.log10(i / r), NATIVE_SCALE * half, 22.5 - 2.5 * np.log10(total)))
    table = pd.DataFrame(rows, columns=["g_r", "r_i", "r50", "r"])
    return table.assign(surface=table["r"] + 2.5 * np.log10(2 * np.pi * table["r50"] ** 2))
