"""Sort alerts into the subcategories of real and bogus that class maps are made for.

braXAI names five and sorts by eye: reals with "a central roughly round peak", reals that are "mostly blank other than
the centre (modulo noise)", reals with both, boguses with a blanked part, and boguses without one. Here a rule decides:

- A real has a *central peak* if its difference image has a peak within 3 pixels of the centre with a signal-to-noise
  ratio of at least ``peak_snr``, and the peak is round: the minor over the major axis of the light within 4 pixels is
  at least ``peak_axis_ratio``.
- A real is *blank but for noise* if, farther than ``blank_radius`` pixels from the centre, at most the share
  ``blank_share`` of the pixels of its science image is more than 5 sigma above the sky.
- A bogus is *blanked* if more than the share ``masked_share`` of the pixels of one of its cutouts is masked (0) or
  missing (padded).

A real with neither property has no subcategory (`NONE`). One reason is a candidate that is not at the centre.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from skylight.alerts.packets import SIDE
from skylight.alerts.triplets import FILLING
from skylight.params.realbogus import Heatmaps, Subcategories

REAL = ("real_central", "real_modulo_noise", "real_mixture")
BOGUS = ("bogus_blanked", "bogus_non_blanked")
NAMES = (*REAL, *BOGUS)
NONE = "none"

_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE] - SIDE // 2
_RADIUS = np.hypot(_ROWS, _COLUMNS)


def subcategory(triplet: np.ndarray, is_real: bool, rule: Subcategories) -> str:
    """Return the subcategory of a normalised triplet (63, 63, 3): one of `NAMES`, or `NONE`."""
    if not is_real:
        return BOGUS[0] if masked_share(triplet) > rule.masked_share else BOGUS[1]
    snr, axis_ratio = central_peak(triplet[..., 2])
    peak = snr >= rule.peak_snr and axis_ratio >= rule.peak_axis_ratio
    blank = bright_share(triplet[..., 0], rule.blank_radius) <= rule.blank_share
    return {(True, False): REAL[0], (False, True): REAL[1], (True, True): REAL[2]}.get((peak, blank), NONE)


def masked_share(triplet: np.ndarray) -> float:
    """Return the largest share, over the three cutouts, of pixels that are exactly 0 (masked) or padded."""
    return float(((triplet == 0) | (triplet == FILLING)).mean(axis=(0, 1)).max())


def central_peak(difference: np.ndarray) -> tuple[float, float]:
    """Measure the central peak of a difference image (63, 63).

    Returns
    -------
    snr : float
        Signal-to-noise ratio of the brightest pixel within 3 pixels of the centre.
    axis_ratio : float
        Minor over major axis of the light within 4 pixels of it; 1 is round. 0 where there is too little light.
    """
    level, noise = sky(difference)
    if not noise:
        return 0.0, 0.0
    near = np.where(_RADIUS <= 3, difference, -np.inf)
    row, column = np.unravel_index(near.argmax(), near.shape)
    snr = (difference[row, column] - level) / noise
    inside = np.hypot(_ROWS - _ROWS[row, column], _COLUMNS - _COLUMNS[row, column]) <= 4
    light = np.clip(difference[inside] - level - 2 * noise, 0, None)  # noise has no shape
    if np.count_nonzero(light) < 3:
        return float(snr), 0.0
    spread = np.cov(np.stack([_ROWS[inside], _COLUMNS[inside]]), aweights=light, bias=True)
    minor, major = np.sqrt(np.clip(np.linalg.eigvalsh(spread), 0, None))
    return float(snr), float(minor / major)


def bright_share(science: np.ndarray, radius: float) -> float:
    """Return the share of the pixels beyond ``radius`` from the centre that are more than 5 sigma above the sky."""
    level, noise = sky(science)
    beyond = (radius < _RADIUS) & (science != 0) & (science != FILLING)
    return float((science[beyond] > level + 5 * noise).mean()) if beyond.any() else 0.0


def sky(pixels: np.ndarray) -> tuple[float, float]:
    """Return the level and the noise of the sky: median and scaled median absolute deviation, clipped at 3 sigma."""
    good = pixels[(pixels != 0) & (pixels != FILLING)].astype(np.float64)
    for _ in range(5):
        if not good.size:
            return 0.0, 0.0
        level = np.median(good)
        noise = 1.4826 * np.median(np.abs(good - level))
        good = good[np.abs(good - level) <= 3 * noise]
    return float(level), float(noise)


def select(predictions: pd.DataFrame, settings: Heatmaps) -> pd.DataFrame:
    """Select the alerts to explain.

    Parameters
    ----------
    predictions : DataFrame
        One row per test alert: ``class``, ``predicted``, ``probability`` (of the predicted class), ``subcategory``.
    settings : Heatmaps

    Returns
    -------
    DataFrame
        First the ``max_misclassified`` wrong predictions with the highest probability. Then, in the order of the
        table, the first ``max_objects_per_subcategory`` alerts of each subcategory that were predicted with at least
        ``min_probability``, right or wrong. No alert occurs twice.
    """
    wrong = predictions["class"] != predictions["predicted"]
    worst = predictions[wrong].nlargest(settings.max_misclassified, "probability").index
    confident = predictions[
        (predictions["probability"] >= settings.min_probability) & (predictions["subcategory"] != NONE)
    ]
    examples = confident.groupby("subcategory").head(settings.max_objects_per_subcategory).index
    return predictions.loc[[*worst, *(index for index in examples if index not in worst)]].reset_index(drop=True)


def count(subcategories: Iterable[str]) -> dict[str, int]:
    """Count the alerts of each subcategory, and those of none."""
    found = list(subcategories)
    return {name: found.count(name) for name in (*NAMES, NONE)}
