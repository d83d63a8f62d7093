"""The subcategories of real and bogus that class maps are made for, by a rule.

braXAI names five and sorts by eye: reals with "a central roughly round peak", those that are "mostly blank other than
the centre (modulo noise)", and those with both; boguses with a part that is blanked, and without. Here:

- a real has a *central peak* if its difference image has a peak within 3 pixels of the middle that stands out of the
  noise by ``peak_snr`` and is round (minor over major axis of the light within 4 pixels at least ``peak_axis_ratio``);
- it is *blank but for noise* if of the science image farther than ``blank_radius`` from the middle no more than the
  share ``blank_share`` stands 5 sigma above the sky;
- a bogus is *blanked* if more than the share ``masked_share`` of the pixels of one of its cutouts is masked (0) or
  missing (filled up).

A real with neither belongs to no subcategory, as do cutouts whose candidate is not in the middle, for reals.
"""

import numpy as np

from skylight.alerts.packets import SIDE
from skylight.alerts.triplets import FILLING
from skylight.params.realbogus import Subcategories

REAL = ("real_central", "real_modulo_noise", "real_mixture")
BOGUS = ("bogus_blanked", "bogus_non_blanked")
NAMES = (*REAL, *BOGUS)
NONE = "none"

_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE] - SIDE // 2
_RADIUS = np.hypot(_ROWS, _COLUMNS)


def subcategory(triplet: np.ndarray, is_real: bool, rule: Subcategories) -> str:
    """Give the subcategory of a normalised triplet (63, 63, 3): one of `NAMES`, or `NONE`."""
    if not is_real:
        return BOGUS[0] if masked_share(triplet) > rule.masked_share else BOGUS[1]
    snr, axis_ratio = central_peak(triplet[..., 2])
    peak = snr >= rule.peak_snr and axis_ratio >= rule.peak_axis_ratio
    blank = bright_share(triplet[..., 0], rule.blank_radius) <= rule.blank_share
    return {(True, False): REAL[0], (False, True): REAL[1], (True, True): REAL[2]}.get((peak, blank), NONE)


def masked_share(triplet: np.ndarray) -> float:
    """Largest share, over the three cutouts, of the pixels that are exactly 0 (masked) or filled up."""
    return float(((triplet == 0) | (triplet == FILLING)).mean(axis=(0, 1)).max())


def central_peak(difference: np.ndarray) -> tuple[float, float]:
    """Signal to noise of the brightest pixel within 3 of the middle, and the axis ratio of the light about it."""
    level, noise = sky(difference)
    if not noise:
        return 0.0, 0.0
    near = np.where(_RADIUS <= 3, difference, -np.inf)
    row, column = np.unravel_index(near.argmax(), near.shape)
    snr = (difference[row, column] - level) / noise
    inside = np.hypot(_ROWS - _ROWS[row, column], _COLUMNS - _COLUMNS[row, column]) <= 4
    light = np.clip(difference[inside] - level - 2 * noise, 0, None)  # what is noise has no shape
    if np.count_nonzero(light) < 3:
        return float(snr), 0.0
    spread = np.cov(np.stack([_ROWS[inside], _COLUMNS[inside]]), aweights=light, bias=True)
    minor, major = np.sqrt(np.clip(np.linalg.eigvalsh(spread), 0, None))
    return float(snr), float(minor / major)


def bright_share(science: np.ndarray, radius: float) -> float:
    """Share of the pixels beyond ``radius`` from the middle that stand 5 sigma above the sky."""
    level, noise = sky(science)
    beyond = (radius < _RADIUS) & (science != 0) & (science != FILLING)
    return float((science[beyond] > level + 5 * noise).mean()) if beyond.any() else 0.0


def sky(pixels: np.ndarray) -> tuple[float, float]:
    """Level and noise of an image's sky: median and scaled median absolute deviation, 3 sigma cut."""
    good = pixels[(pixels != 0) & (pixels != FILLING)].astype(np.float64)
    for _ in range(5):
        if not good.size:
            return 0.0, 0.0
        level = np.median(good)
        noise = 1.4826 * np.median(np.abs(good - level))
        good = good[np.abs(good - level) <= 3 * noise]
    return float(level), float(noise)
