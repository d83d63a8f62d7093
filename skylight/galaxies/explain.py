"""What a network's answer "there is a bar" depends on (Bhambra, Joachimi & Lahav 2022, section 3.2)."""

import keras
import numpy as np

from skylight.attribution import smoothgrad, symmetrised
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.heatmaps import min_max
from skylight.galaxies.images import grey
from skylight.galaxies.questions import ANSWERS, BAR
from skylight.params.bars import Smoothgrad


def bar_heatmaps(model: keras.Model, images: np.ndarray, crop: int, settings: Smoothgrad, first: int = 0) -> np.ndarray:
    """SmoothGrad of the answer "there is a bar", one value for the three colours, min-max normalised.

    Parameters
    ----------
    model : keras.Model
        One of `skylight.networks.galaxy_zoo`.
    images : np.ndarray, shape (N, H, H, 3), uint8
    crop : int
        Of how many pixels of the survey's pictures the images were made.
    settings : section ``bars.xai.smoothgrad`` of params.yaml
        With ``symmetries`` the noisy copies are shared out over the quarter turns and reflections of the image, and
        shifted by up to ``shift`` pixels as well.
    first : int
        Place of the first image in the survey: every image has noise of its own.

    Returns
    -------
    np.ndarray, shape (N, H, H), float32, in [0, 1]
    """
    if settings.brightness is not None:
        images = equally_bright(images, crop, settings.brightness)
    inputs, target = images.astype(np.float32) / 255, ANSWERS.index(BAR)
    noise = {"noise": settings.smooth_noise, "seed": settings.seed + first}
    if settings.symmetries:
        moved = {"copies": settings.smooth_samples, "shift": settings.shift}
        maps = symmetrised(smoothgrad, model, inputs, target, samples=1, **moved, **noise)
    else:
        maps = smoothgrad(model, inputs, target, samples=settings.smooth_samples, **noise)
    return min_max(getattr(maps, settings.colours)(axis=-1))


def equally_bright(images: np.ndarray, crop: int, level: float) -> np.ndarray:
    """Scale images so that their galaxies are equally bright.

    In a faint galaxy a network sees less of the ends of the bar, and the bar would be measured shorter.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, H, 3), uint8
    crop : int
        Of how many pixels of the survey's pictures the images were made.
    level : float
        Luminance, of 1, that the brightest tenth of the pixels within PETROR90_R of the centre is brought to.

    Returns
    -------
    np.ndarray, shape (N, H, H, 3), uint8
        What would be brighter than 255 is 255. An image that is black there is not changed.
    """
    size = images.shape[1]
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * crop / size * PIXEL_SCALE
    found = np.array([np.quantile(grey(image)[np.hypot(x, y) <= 1], 0.9) for image in images])
    factor = np.divide(level, found, out=np.ones(len(images)), where=found > 0)
    return np.stack([np.clip(np.rint(f * image), 0, 255) for f, image in zip(factor, images, strict=True)]).astype(
        np.uint8
    )
