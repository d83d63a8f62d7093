"""Explanations of the answer "there is a bar" (Bhambra, Joachimi & Lahav 2022, section 3.2)."""

from collections.abc import Sequence

import keras
import numpy as np

from skylight.attribution import smoothgrad, symmetrised
from skylight.galaxies.arrays import grey
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.heatmaps import min_max
from skylight.galaxies.questions import ANSWERS, BAR
from skylight.params.bars import Heatmaps


def bar_heatmaps(model: keras.Model, images: np.ndarray, crop: int, settings: Heatmaps, first: int = 0) -> np.ndarray:
    """Compute SmoothGrad of the answer "there is a bar", one value for the three colours, min-max normalised.

    Parameters
    ----------
    model : keras.Model
        One of `skylight.networks.galaxy_zoo`.
    images : np.ndarray, shape (N, H, H, 3), uint8
    crop : int
        Pixels of the survey's pictures that the images show.
    settings : section ``bars.heatmaps`` of params.yaml
        With ``symmetries`` the noisy copies are shared among the rotations by 90 degrees and the reflections of the
        image, and shifted by up to ``shift`` pixels.
    first : int
        Number of the first image in the survey, so that every image gets noise of its own.

    Returns
    -------
    np.ndarray, shape (N, H, H), float32, in [0, 1]
    """
    if settings.brightness is not None:
        images = equally_bright(images, crop, settings.brightness)
    inputs, target = images.astype(np.float32) / 255, ANSWERS.index(BAR)
    noise = {"noise": settings.smooth_noise, "seed": settings.seed + first, "score": settings.score}
    if settings.symmetries:
        moved = {"copies": settings.smooth_samples, "shift": settings.shift}
        maps = symmetrised(smoothgrad, model, inputs, target, samples=1, **moved, **noise)
    else:
        maps = smoothgrad(model, inputs, target, samples=settings.smooth_samples, **noise)
    return min_max(getattr(maps, settings.colours)(axis=-1))


def explain_galaxy(
    models: Sequence[keras.Model], image: np.ndarray, crop: int, settings: Heatmaps
) -> tuple[float, np.ndarray]:
    """Compute the mean answer of several networks about one galaxy, and the mean of their maps.

    Parameters
    ----------
    models : sequence of keras.Model
    image : np.ndarray, shape (H, H, 3), uint8
    crop, settings
        See `bar_heatmaps`.

    Returns
    -------
    float
        Predicted fraction of the volunteers who see a bar.
    np.ndarray, shape (H, H), in [0, 1]
        The map; its noise does not depend on other galaxies.
    """
    inputs = image[None].astype(np.float32) / 255
    fractions = [model.predict(inputs, verbose=0)[0, ANSWERS.index(BAR)] for model in models]
    heatmaps = [bar_heatmaps(model, image[None], crop, settings)[0] for model in models]
    return float(np.mean(fractions)), np.mean(heatmaps, axis=0)


def equally_bright(images: np.ndarray, crop: int, level: float) -> np.ndarray:
    """Scale images so that their galaxies are equally bright.

    A network sees less of the ends of the bar in a faint galaxy, so the bar would be measured too short.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, H, 3), uint8
    crop : int
        Pixels of the survey's pictures that the images show.
    level : float
        Luminance in [0, 1] that the brightest tenth of the pixels within PETROR90_R of the centre gets.

    Returns
    -------
    np.ndarray, shape (N, H, H, 3), uint8
        Values above 255 become 255. An image that is black there is not changed.
    """
    size = images.shape[1]
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * crop / size * PIXEL_SCALE
    found = np.array([np.quantile(grey(image)[np.hypot(x, y) <= 1], 0.9) for image in images])
    factor = np.divide(level, found, out=np.ones(len(images)), where=found > 0)
    return np.stack([np.clip(np.rint(f * image), 0, 255) for f, image in zip(factor, images, strict=True)]).astype(
        np.uint8
    )
