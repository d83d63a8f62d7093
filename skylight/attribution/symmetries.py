"""Explanations averaged over turned, reflected and shifted copies of the image.

A network that was trained on images turned and shifted at random answers nearly alike for an image and its moved
copies, but its gradients are not alike. Of two equal ends of a bar one gets most of the map, and which one changes with
the orientation. And a network that halves the image again and again sees best at the points of a grid, some pixels
apart, that stays where it is while the image moves: its maps are spots at these points. The mean over the copies, each
map moved back, keeps what belongs to the image.
"""

from collections.abc import Callable

import keras
import numpy as np

from skylight.attribution.scoring import resolve_inputs, resolve_targets
from skylight.errors import InputError

SYMMETRIES = 8
"""Of the square: four quarter turns, each with and without reflection."""

PLASTIC = 1.324717957244746
"""The real root of x^3 = x + 1: multiples of its inverse and inverse square fill the unit square evenly."""


def symmetrised(
    method: Callable,
    model: keras.Model,
    inputs: np.ndarray,
    targets=None,
    *,
    copies: int = SYMMETRIES,
    shift: int = 0,
    **settings,
) -> np.ndarray:
    """Average a method's maps over moved copies of the image, each map moved back.

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
    copies : int
        A multiple of 8: as many of each symmetry of the square.
    shift : int
        Copies are also shifted, by up to so many pixels either way along both axes; what moves in is the reflection.
        Half the distance of the grid's points or more (8, for one of 16 pixels) makes the spots fade.
    **settings
        Passed on to the method; what it takes samples of, it takes of each copy. A ``seed`` is that of the first copy.

    Returns
    -------
    array
        (N, H, H, C) or (N, H, H, 1) float32, as the method gives. Without shifts, turning or reflecting an input
        turns or reflects its map, but for the method's own noise.

    Raises
    ------
    InputError
        If the images are not square, copies or shift is out of range, or the method finds its arguments at fault.
    """
    inputs = resolve_inputs(model, inputs)
    side = inputs.shape[1]
    if side != inputs.shape[2]:
        raise InputError(f"inputs: must be square images to be turned, got shape {inputs.shape}")
    if copies < 1 or copies % SYMMETRIES:
        raise InputError(f"copies: must be a multiple of {SYMMETRIES}, got {copies}")
    if not 0 <= shift < side:
        raise InputError(f"shift: must be at least 0 and less than the image's {side} pixels, got {shift}")
    targets = resolve_targets(model, inputs, targets)
    total, seen = 0, np.zeros((side, side, 1), np.float32)
    for copy in range(copies):
        turns, reflected = divmod(copy % SYMMETRIES, 2)
        down, right = shift_of(copy, shift)
        if "seed" in settings:
            settings["seed"] += 2**32 * (copy > 0)  # its own noise; the caller's other seeds are not that far
        moved = turned(shifted(inputs, down, right), turns, reflected)
        maps = turned_back(method(model, moved, targets, **settings), turns, reflected)
        total = total + shifted_back(maps, down, right)
        seen += shifted_back(np.ones((1, side, side, 1), np.float32), down, right)[0]
    return total / np.maximum(seen, 1)


def shift_of(copy: int, shift: int) -> tuple[int, int]:
    """By how many pixels down and right a copy is moved: place number ``copy`` of a sequence that fills the square."""
    places = (0.5 + (copy + 1) / PLASTIC ** np.array([1, 2])) % 1
    down, right = np.floor((2 * shift + 1) * places).astype(int) - shift
    return int(down), int(right)


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move (N, H, W, C) images; what moves in is the reflection at the edge."""
    reach = max(abs(down), abs(right))
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "reflect")
    return wide[:, reach - down : reach - down + height, reach - right : reach - right + width]


def shifted_back(maps: np.ndarray, down: int, right: int) -> np.ndarray:
    """Undo `shifted`; 0 where the copy did not see the image."""
    back = np.roll(maps, (-down, -right), axis=(1, 2))
    for axis, moved in ((1, down), (2, right)):
        hidden = [slice(None)] * maps.ndim
        hidden[axis] = slice(maps.shape[axis] - moved, None) if moved > 0 else slice(0, -moved)
        back[tuple(hidden)] = 0
    return back


def turned(images: np.ndarray, turns: int, reflected: bool) -> np.ndarray:
    """Reflect the columns of (N, H, H, C) images or not, then turn them by so many quarter turns."""
    return np.ascontiguousarray(np.rot90(images[:, :, ::-1] if reflected else images, turns, axes=(1, 2)))


def turned_back(images: np.ndarray, turns: int, reflected: bool) -> np.ndarray:
    """Undo `turned`."""
    images = np.rot90(images, -turns, axes=(1, 2))
    return np.ascontiguousarray(images[:, :, ::-1] if reflected else images)
