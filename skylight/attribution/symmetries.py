"""Explanations averaged over the quarter turns and reflections of the image.

A network that was trained on images turned at random answers nearly alike for an image and its turned copies, but its
gradients do not: of two equal ends of a bar, one gets most of the map, and which one changes with the orientation. The
mean over the orientations keeps what does not depend on them.
"""

from collections.abc import Callable

import keras
import numpy as np

from skylight.attribution.scoring import resolve_inputs, resolve_targets
from skylight.errors import InputError

SYMMETRIES = 8
"""Of the square: four quarter turns, each with and without reflection."""


def symmetrised(method: Callable, model: keras.Model, inputs: np.ndarray, targets=None, **settings) -> np.ndarray:
    """Average a method's maps over the eight symmetries of the square, each map turned back.

    Parameters
    ----------
    method : callable
        One of `skylight.attribution.METHODS`.
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, H, C) square images.
    targets : int, array of int (N,), or None
        Class to explain, for all or for each; ``None`` for the ones predicted of the images as they are.
    **settings
        Passed on to the method; what it takes samples of, it takes of each orientation.

    Returns
    -------
    array
        (N, H, H, C) or (N, H, H, 1) float32, as the method gives. Turning or reflecting an input turns or reflects
        its map, but for the method's own noise.

    Raises
    ------
    InputError
        If the images are not square, or the method finds its arguments at fault.
    """
    inputs = resolve_inputs(model, inputs)
    if inputs.shape[1] != inputs.shape[2]:
        raise InputError(f"inputs: must be square images to be turned, got shape {inputs.shape}")
    targets = resolve_targets(model, inputs, targets)
    total = None
    for turns, reflected in np.ndindex(SYMMETRIES // 2, 2):
        maps = turned_back(method(model, turned(inputs, turns, reflected), targets, **settings), turns, reflected)
        total = maps if total is None else total + maps
    return total / np.float32(SYMMETRIES)


def turned(images: np.ndarray, turns: int, reflected: bool) -> np.ndarray:
    """Reflect the columns of (N, H, H, C) images or not, then turn them by so many quarter turns."""
    return np.ascontiguousarray(np.rot90(images[:, :, ::-1] if reflected else images, turns, axes=(1, 2)))


def turned_back(images: np.ndarray, turns: int, reflected: bool) -> np.ndarray:
    """Undo `turned`."""
    images = np.rot90(images, -turns, axes=(1, 2))
    return np.ascontiguousarray(images[:, :, ::-1] if reflected else images)
