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

from skylight.attribution.scoring import resolve_inputs, resolve_targets, two_at_a_time
from skylight.errors import InputError

SYMMETRIES = 8
"""Of the square: four quarter turns, each with and without reflection."""


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
        Half the distance of the grid's points or more (8, for one of 16 pixels) makes the spots fade. A power of 2
        balances the shifts (`shift_of`).
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

    def map_of(copy: int) -> np.ndarray:
        turns, reflected = divmod(copy % SYMMETRIES, 2)
        down, right = shift_of(copy, copies, shift)
        # Its own noise; the caller's other seeds are not that far.
        own = settings | ({"seed": settings["seed"] + 2**32 * copy} if "seed" in settings else {})
        maps = method(model, turned(shifted(inputs, down, right), turns, reflected), targets, **own)
        return shifted_back(turned_back(maps, turns, reflected), down, right)

    total = sum(two_at_a_time(map_of, ([copy] for copy in range(copies))))
    seen = np.zeros((side, side, 1), np.float32)
    for copy in range(copies):
        seen += shifted_back(np.ones((1, side, side, 1), np.float32), *shift_of(copy, copies, shift))[0]
    return total / np.maximum(seen, 1)


def shift_of(copy: int, copies: int, shift: int) -> tuple[int, int]:
    """By how many pixels down and right a copy is moved, each from ``-shift`` to ``shift - 1``.

    A layer of stride 2 makes a network see odd and even pixels differently, two of them four kinds of pixels, and so
    on. The shifts are Sobol' points (1967) with their binary digits reversed, so that the last digits are the balanced
    ones: of the copies of each orientation 4 have all parities along both axes, 16 all remainders by 4, and so on.
    """
    if not shift:
        return 0, 0
    number = copy % SYMMETRIES * (copies // SYMMETRIES) + copy // SYMMETRIES
    down, right, pascal = number, 0, 1
    while number:
        right ^= pascal * (number & 1)
        pascal ^= pascal << 1  # the next row of Pascal's triangle, modulo 2
        number >>= 1
    return down % (2 * shift) - shift, right % (2 * shift) - shift


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
