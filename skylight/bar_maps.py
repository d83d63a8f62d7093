"""What a network's answer "there is a bar" depends on (Bhambra, Joachimi & Lahav 2022, section 3.2)."""

import keras
import numpy as np

from skylight.attribution import METHODS
from skylight.attribution.symmetries import symmetrised
from skylight.heatmaps import min_max
from skylight.surveys.volunteers import ANSWERS, BAR


def bar_heatmaps(
    model: keras.Model, images: np.ndarray, samples: int, noise: float, symmetries: bool, shift: int, seed: int
) -> np.ndarray:
    """SmoothGrad of the answer "there is a bar", largest of the colours, min-max normalised.

    Parameters
    ----------
    model : keras.Model
        One of `skylight.networks.galaxy_zoo`.
    images : np.ndarray, shape (N, H, H, 3), uint8
    samples : int
        Noisy copies of each image in all; with ``symmetries`` a multiple of 8.
    noise : float
        Standard deviation of the noise over the range of the image.
    symmetries : bool
        Whether to share the copies out over the quarter turns and reflections of the image.
    shift : int
        With ``symmetries``, by up to how many pixels the copies are shifted as well.
    seed : int

    Returns
    -------
    np.ndarray, shape (N, H, H), float32, in [0, 1]
    """
    inputs, target = images.astype(np.float32) / 255, ANSWERS.index(BAR)
    settings = {"noise": noise, "seed": seed}
    if symmetries:
        moved = {"copies": samples, "shift": shift}
        maps = symmetrised(METHODS["smoothgrad"], model, inputs, target, samples=1, **moved, **settings)
    else:
        maps = METHODS["smoothgrad"](model, inputs, target, samples=samples, **settings)
    return min_max(maps.max(axis=-1))
