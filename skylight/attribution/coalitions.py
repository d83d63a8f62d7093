"""Kernel SHAP: Shapley values of groups of pixels, channels or features, for any model.

A coalition is a set of groups that stay as they are; all other groups come from a background image. The Shapley value
of a group is the mean, over all orders in which the groups join, of the change of the score when the group joins.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import comb, prod
from typing import Any

import keras
import numpy as np

from skylight.attribution.functions import Model, pairs, resolve_any
from skylight.attribution.scoring import refuse_not_finite, two_at_a_time
from skylight.attribution.several_inputs import Inputs, in_order, jointly, takes_several_inputs
from skylight.errors import InputError

CELLS = 7
"""Cells along each side of an image, or along a sequence, if no groups are given."""

Groups = str | int | tuple[int, ...] | np.ndarray | Mapping[str, Sequence[int]] | None


def of_all_inputs(method: Callable, model: keras.Model, inputs: Inputs, options: dict) -> Any:
    """Compute Kernel SHAP of a network with several inputs: the groups of all inputs are those of one game.

    ``groups`` holds for all inputs, or there is one for each in a list or dict by the names of the inputs.
    """
    groups = inputs.each("groups", options["groups"])
    each = [group_labels(own, array.shape) for own, array in zip(groups, inputs.arrays, strict=True)]
    rows, start = max(len(labels) for labels, _ in each), 0
    numbers = []
    for (labels, counts), shape in zip(each, inputs.shapes, strict=True):
        numbers.append(np.broadcast_to(start + labels, (len(labels), *shape)).reshape(len(labels), prod(shape)))
        start += max(counts, default=0)
    of_rows = np.concatenate([np.broadcast_to(own, (rows, own.shape[1])) for own in numbers], axis=1)
    maps = jointly(method, model, inputs, options | {"groups": of_rows[0] if rows == 1 else of_rows})
    maps = in_order("maps", inputs.names, maps)
    with_channels = [labels.shape[1:] == shape for (labels, _), shape in zip(each, inputs.shapes, strict=True)]
    return inputs.result(
        [own if known else own.sum(axis=-1, keepdims=True) for own, known in zip(maps, with_channels, strict=True)]
    )


@takes_several_inputs(of_all_inputs)
def kernel_shap(
    model: Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    groups: Groups = None,
    background: float | np.ndarray = 0.0,
    samples: int = 2048,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Kernel SHAP (Lundberg & Lee 2017, arXiv:1705.07874, section 4.1): Shapley values of groups by regression.

    The scores of the coalitions are fitted by a sum over the groups, with the Shapley kernel as weights (theorem 2)
    and the constraint that the values of all groups sum to the score minus that of the background. With all coalitions
    the values are exact. Otherwise the coalitions of the sizes with the largest weights are all taken, and the others
    are drawn in pairs, a coalition and its complement (Covert & Lee 2021, arXiv:2012.01536, section 3.3).

    Parameters
    ----------
    model : keras.Model or callable
        Functional model; it is not changed. Or a function ``f(images) -> outputs (N, K)``, see
        `skylight.attribution.functions.resolve_function`.
    inputs : array
        (N, H, W, C) images, (N, L, C) sequences or (N, F) tables of features.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    groups : str, int, tuple of int, array of int, mapping or None
        ``"pixels"``: each pixel with all its channels; each feature of a table. ``"channels"``: each channel.
        A number, or (rows, columns): cells of a grid along each side. An integer label map (H, W), (L,) or (F,), or one
        per image, (N, H, W): for example superpixels. A mapping from names to channels or features,
        ``{"colours": [0, 1], "period": [2]}``, which has each of them once. ``None``: a grid of `CELLS` x `CELLS`
        cells; each feature of a table.
    background : float or array
        What groups outside of a coalition are: a number, an image, or (B, ...) images, over which scores are averaged.
    samples : int
        Largest number of coalitions, besides the empty and the full one; at least twice the number of groups, or that
        of all coalitions. Each costs B forward passes per image.
    seed : int
        Seed of the coalitions. All images have the same ones.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others. Of a function,
        ``None`` is what it returns.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1), (N, L, 1) or (N, F) float32; with groups of channels (N, H, W, C) or (N, L, C). The value of a
        group is divided equally between its pixels, so that a map sums to the score minus the mean score of the
        background.

    Raises
    ------
    InputError
        If groups or background do not fit the inputs, samples is too small, or the model, inputs or targets are
        invalid.
    """
    inputs, classes, ask = resolve_any(model, inputs, targets, score, against, batch_size)
    background = _images("background", background, inputs)
    labels, counts = group_labels(groups, inputs.shape)
    maps = np.zeros((len(inputs), *labels.shape[1:]), np.float32)
    for count in np.unique(counts[: len(inputs)]):  # superpixels: not the same number in each image
        rows = np.flatnonzero(np.broadcast_to(counts, len(inputs)) == count)
        own = labels[rows] if len(labels) > 1 else labels
        members, weights = coalitions(int(count), samples, seed)
        known = np.concatenate([np.zeros((1, count), bool), np.ones((1, count), bool), members])
        scores = _scores(
            two_at_a_time if isinstance(model, keras.Model) else itertools.starmap,
            *(ask, inputs[rows], classes[rows], own, known, background, batch_size),
        )
        values = shapley_values(members, weights, scores[:, 2:], scores[:, 0], scores[:, 1])
        maps[rows] = spread(values, own)
    return maps


def coalitions(groups: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the coalitions whose scores are fitted.

    Parameters
    ----------
    groups : int
    samples : int
        Largest number of coalitions.
    seed : int

    Returns
    -------
    members : array
        (S, groups) bool, True for a group in the coalition; without the empty and the full coalition.
    weights : array
        (S,): the Shapley kernel, up to a factor; of a drawn coalition, its share of the kernel of the sizes drawn from.

    Raises
    ------
    InputError
        If samples is smaller than twice the number of groups and than the number of coalitions.
    """
    if 2**groups - 2 <= samples:
        members = np.arange(1, 2**groups - 1)[:, None] >> np.arange(groups) & 1 == 1
        size = members.sum(axis=1)
        return members, np.array([1 / (comb(groups, k) * k * (groups - k)) for k in size])
    if samples < 2 * groups:
        raise InputError(f"samples: must be at least {2 * groups}, twice the number of groups, got {samples}")

    sizes = np.arange(1, groups)
    kernel = 1 / (sizes * (groups - sizes))  # of all coalitions of a size together
    members, weights, left = [], [], samples
    for size in range(1, groups // 2 + 1):
        both = {size, groups - size}
        number = len(both) * comb(groups, size)
        drawn_from = (sizes >= size) & (sizes <= groups - size)
        share = kernel[size - 1] * len(both) / kernel[drawn_from].sum()
        if number > left * share:  # fewer would be drawn than there are
            break
        for k in both:
            chosen = np.zeros((comb(groups, k), groups), bool)
            for row, of_size in zip(chosen, itertools.combinations(range(groups), k), strict=True):
                row[list(of_size)] = True
            members.append(chosen)
            weights.append(np.full(len(chosen), kernel[k - 1] / len(chosen)))
        left -= number
    rng = np.random.default_rng(seed)
    probability = np.where(drawn_from, kernel, 0)
    size = rng.choice(sizes, 2 * left, p=probability / probability.sum())
    half = rng.random((len(size), groups)).argsort(axis=1).argsort(axis=1) < size[:, None]
    first = np.sort(np.unique(np.where(half[:, :1], half, ~half), axis=0, return_index=True)[1])
    half = half[: first[left // 2]] if len(first) > left // 2 else half  # until so many pairs are different
    drawn, times = np.unique(np.concatenate([half, ~half]), axis=0, return_counts=True)
    members.append(drawn)
    weights.append(probability.sum() * times / times.sum())
    return np.concatenate(members), np.concatenate(weights)


def shapley_values(
    members: np.ndarray, weights: np.ndarray, scores: np.ndarray, empty: np.ndarray, full: np.ndarray
) -> np.ndarray:
    """Fit the scores of coalitions by sums over their groups, with the constraint that all groups sum to full - empty.

    Parameters
    ----------
    members, weights : arrays
        (S, G) bool and (S,), see `coalitions`.
    scores : array
        (N, S) scores of the coalitions.
    empty, full : arrays
        (N,) scores of the empty and the full coalition.

    Returns
    -------
    array
        (N, G). The constraint is met by fitting the deviations from equal shares: the rows of the regression then sum
        to 0, and so does the solution of smallest norm.
    """
    share = members.mean(axis=1)
    root = np.sqrt(weights)
    # One singular value is 0, that of equal values; all others are about equal.
    fit = np.linalg.pinv(root[:, None] * (members - share[:, None]), rcond=1e-10) * root
    total = full - empty
    rest = scores - empty[:, None] - total[:, None] * share
    return total[:, None] / members.shape[1] + rest @ fit.T


def _scores(
    run_all: Callable[[Callable, Iterator], Iterator],
    ask: Callable[[np.ndarray, np.ndarray], np.ndarray],
    inputs: np.ndarray,
    classes: np.ndarray,
    labels: np.ndarray,
    members: np.ndarray,
    background: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Return the mean score over the background of each coalition, (N, S)."""

    def answer(rows: np.ndarray, variants: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        coalition, base = np.divmod(variants, len(background))
        if len(labels) == 1:
            visible = members[coalition][:, labels[0]]
        else:
            visible = members[coalition.reshape(-1, *(1 for _ in labels.shape[1:])), labels[rows]]
        return rows, coalition, ask(np.where(visible, inputs[rows], background[base]), classes[rows])

    sums = np.zeros((len(inputs), len(members)))
    variants = len(members) * len(background)
    jobs = (job for _, *job in pairs(len(inputs), variants, batch_size, "kernel_shap"))
    for rows, coalition, scores in run_all(answer, jobs):
        np.add.at(sums, (rows, coalition), scores)
    return sums / len(background)


def spread(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Divide the values (N, G) of groups equally between their pixels, given as labels (N or 1, ...)."""
    flat = np.broadcast_to(labels.reshape(len(labels), -1), (len(values), labels[0].size))
    sizes = np.stack([np.bincount(row, minlength=values.shape[1]) for row in flat])
    return np.take_along_axis(values / sizes, flat, axis=1).reshape(len(values), *labels.shape[1:])


def _images(name: str, background: float | np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return a background as images (B, ...) of the type of the inputs."""
    images = np.asarray(background, inputs.dtype)
    if images.ndim == 0:
        images = np.full(inputs.shape[1:], images)
    if images.shape == inputs.shape[1:]:
        images = images[None]
    if images.shape[1:] != inputs.shape[1:] or not len(images):
        raise InputError(f"{name}: must be a number, or one or more images {inputs.shape[1:]}, got {images.shape}")
    refuse_not_finite(name, images)
    return images


def group_labels(groups: Groups, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each pixel or channel, counted from 0, and the number of groups.

    Parameters
    ----------
    groups
        See `kernel_shap`.
    shape : tuple
        Of the inputs, (N, ...).

    Returns
    -------
    labels : array
        (1 or N, ...) int, in the shape of the map.
    counts : array
        (1 or N,) int.
    """
    table = len(shape) == 2
    places = shape[1:] if table else shape[1:-1]
    if groups is None:
        groups = "pixels" if table else tuple(min(CELLS, size) for size in places)
    of_channels = isinstance(groups, Mapping) or (isinstance(groups, str) and groups == "channels")
    if isinstance(groups, Mapping):
        labels = _named(groups, shape[-1])
    elif isinstance(groups, str):
        if groups not in ("pixels", "channels"):
            raise InputError(f"groups: must be pixels, channels, a grid, a label map or a mapping, got {groups!r}")
        labels = np.arange(shape[-1]) if of_channels else np.arange(np.prod(places)).reshape(places)
    elif isinstance(groups, tuple) or np.ndim(groups) == 0:
        labels = _grid(groups, places)
    else:
        labels = np.asarray(groups)
        if labels.dtype.kind not in "iu" or labels.shape not in (places, (shape[0], *places)):
            raise InputError(
                f"groups: a label map must be integers {places}, or one per image, got {labels.dtype} {labels.shape}"
            )
    if of_channels:
        labels = np.broadcast_to(labels, (1, *shape[1:]))
    else:
        labels = labels.reshape(-1, *places, *([] if table else [1]))
    counted = [np.unique(of_image, return_inverse=True) for of_image in labels]
    return (
        np.stack([numbers.reshape(labels.shape[1:]) for _, numbers in counted]) if counted else labels,
        np.array([len(names) for names, _ in counted], int),
    )


def _named(groups: Mapping[str, Sequence[int]], channels: int) -> np.ndarray:
    """Return the number of the group of each channel or feature, from name -> channels."""
    members = [channel for of_group in groups.values() for channel in np.atleast_1d(of_group).tolist()]
    if sorted(members) != list(range(channels)):
        raise InputError(f"groups: must have each of 0 to {channels - 1} once, got {members}")
    labels = np.zeros(channels, int)
    for number, of_group in enumerate(groups.values()):
        labels[np.atleast_1d(of_group)] = number
    return labels


def _grid(cells: int | tuple[int, ...], places: tuple[int, ...]) -> np.ndarray:
    """Return the number of the cell of each pixel, for a grid of cells that are equal up to one pixel."""
    cells = (cells,) * len(places) if np.ndim(cells) == 0 else tuple(cells)
    if len(cells) != len(places) or not all(1 <= cell <= size for cell, size in zip(cells, places, strict=True)):
        ranges = " by ".join(f"1 to {size}" for size in places)
        raise InputError(f"groups: a grid must have {ranges} cells, got {cells}")
    numbers = [np.arange(size) * cell // size for cell, size in zip(cells, places, strict=True)]
    return np.ravel_multi_index(np.meshgrid(*numbers, indexing="ij"), cells)
