"""Explanations averaged over turned, reflected and shifted copies of the image.

A network that was trained on randomly turned and shifted images has nearly the same output for an image and its moved
copies, but not the same gradients. Of two equal ends of a bar, one has most of the relevance, and the orientation of
the image decides which one. A network with several layers of stride 2 is also most sensitive at the points of a grid
that is fixed in the frame, so its maps show spots at these points. The mean over the copies, each map moved back, keeps
what belongs to the image.
"""

from collections.abc import Callable

import keras
import numpy as np

from skylight.attribution.orientation import turned, turned_back
from skylight.attribution.scoring import resolve_inputs, resolve_targets, two_at_a_time
from skylight.attribution.several_inputs import in_order, resolve_several, targets_of
from skylight.errors import InputError

SYMMETRIES = 8
"""Symmetries of the square: four quarter turns, each with and without reflection."""


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
    """Average the maps of a method over moved copies of the image, each map moved back.

    Parameters
    ----------
    method : callable
        A method of `skylight.attribution`.
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, H, C) square images. For a model with several inputs a list or dict; all images are moved alike, and
        inputs that are not images stay as they are.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the class predicted for the unmoved image.
    copies : int
        Number of copies, a multiple of 8. Each symmetry of the square is used equally often.
    shift : int
        Largest shift of a copy in pixels, in both directions along both axes; the edge is filled by reflection. The
        spots disappear if it is at least half of the distance of the grid points (8 for a grid of 16 pixels). A power
        of 2 balances the shifts (`shift_of`).
    **settings
        Options of the method. They hold for each copy: ``samples`` is the number of samples per copy. ``seed`` is the
        seed of the first copy; each other copy has a seed of its own.

    Returns
    -------
    array
        (N, H, H, C) or (N, H, H, 1) float32, as the method returns it. Without shifts, turning or reflecting an input
        turns or reflects its map, up to the random noise of the method.

    Raises
    ------
    InputError
        If the images are not square, copies or shift is out of range, or the method rejects its arguments.
    """
    several = resolve_several(model, inputs) if len(getattr(model, "inputs", None) or ()) > 1 else None
    arrays = several.arrays if several else (resolve_inputs(model, inputs),)
    for images in arrays:
        if (images.ndim == 4 and images.shape[1] != images.shape[2]) or (images.ndim != 4 and not several):
            raise InputError(f"inputs: must be square images, got shape {images.shape}")
    side = min((images.shape[1] for images in arrays if images.ndim == 4), default=0)
    if not side:
        raise InputError("inputs: must have square images (N, H, H, C), got none")
    if copies < 1 or copies % SYMMETRIES:
        raise InputError(f"copies: must be a multiple of {SYMMETRIES}, got {copies}")
    if not 0 <= shift < side:
        raise InputError(f"shift: must be at least 0 and less than the image's {side} pixels, got {shift}")
    targets = targets_of(model, several, targets) if several else resolve_targets(model, arrays[0], targets)

    def maps_of(copy: int) -> list[np.ndarray | None]:
        turns, reflected = divmod(copy % SYMMETRIES, 2)
        down, right = shift_of(copy, copies, shift)
        # Each copy needs its own noise; seeds 2**32 apart are not those of another call.
        own = settings | ({"seed": settings["seed"] + 2**32 * copy} if "seed" in settings else {})
        moved = [
            turned(shifted(array, down, right), turns, reflected) if array.ndim == 4 else array for array in arrays
        ]
        if not several:
            return [shifted_back(turned_back(method(model, moved[0], targets, **own), turns, reflected), down, right)]
        maps = method(model, several.result(moved), targets, **own)
        maps = in_order("maps", several.names, maps)
        return [
            shifted_back(turned_back(each, turns, reflected), down, right)
            if array.ndim == 4 and each is not None
            else each
            for each, array in zip(maps, arrays, strict=True)
        ]

    totals = [0] * len(arrays)
    for maps in two_at_a_time(maps_of, ([copy] for copy in range(copies))):
        totals = [each if each is None else total + each for total, each in zip(totals, maps, strict=True)]
    means = [
        total if total is None else total / (_seen(array.shape[1], copies, shift) if array.ndim == 4 else copies)
        for total, array in zip(totals, arrays, strict=True)
    ]
    return several.result(means) if several else means[0]


def _seen(side: int, copies: int, shift: int) -> np.ndarray:
    """Return in how many copies each pixel was inside the image, at least 1: (side, side, 1)."""
    seen = np.zeros((side, side, 1), np.float32)
    for copy in range(copies):
        seen += shifted_back(np.ones((1, side, side, 1), np.float32), *shift_of(copy, copies, shift))[0]
    return np.maximum(seen, 1)


def shift_of(copy: int, copies: int, shift: int) -> tuple[int, int]:
    """Return by how many pixels a copy is moved down and right, each from ``-shift`` to ``shift - 1``.

    A network with a layer of stride 2 treats odd and even pixels differently; with two such layers there are four kinds
    of pixels along an axis, and so on. The shifts must therefore be balanced in their last binary digits. They are
    Sobol' points (1967) with the order of the binary digits reversed: 4 copies of an orientation have all parities
    along both axes, 16 have all remainders modulo 4, and so on.
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
    """Move (N, H, W, C) images by ``down`` and ``right`` pixels; the edge is filled by reflection."""
    reach = max(abs(down), abs(right))
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "reflect")
    return wide[:, reach - down : reach - down + height, reach - right : reach - right + width]


def shifted_back(maps: np.ndarray, down: int, right: int) -> np.ndarray:
    """Undo `shifted`; pixels that were outside the moved image are 0."""
    back = np.roll(maps, (-down, -right), axis=(1, 2))
    for axis, moved in ((1, down), (2, right)):
        hidden = [slice(None)] * maps.ndim
        hidden[axis] = slice(maps.shape[axis] - moved, None) if moved > 0 else slice(0, -moved)
        back[tuple(hidden)] = 0
    return back
