"""How real are simulated alerts? Ten quantities of the cutouts, compared with those of real packets.

A network that was trained on a simulation can be right on the sky only if both have the same images. The quantities are
measured on the pixels, with one function for both surveys: the fields of the packets are defined by each pipeline.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from skylight.alerts.packets import SIDE, Alert, image
from skylight.alerts.subcategories import bright_share, central_peak, masked_share, sky
from skylight.alerts.triplets import CLASSES, FILLING
from skylight.rejected import Rejected

QUANTITIES = {
    "background": "background of the\nscience image, DN",
    "noise": "noise of the\ndifference, DN",
    "crowding": "share of the reference\nabove 5 sigma",
    "peak_snr": "peak of the\ndifference, sigma",
    "fwhm": "FWHM of the\ndifference, pixels",
    "axis_ratio": "axis ratio of\nthe difference",
    "hole": "lowest over highest\npixel of the difference",
    "science_snr": "science image at\nthe centre, sigma",
    "reference_snr": "reference at\nthe centre, sigma",
    "masked_share": "share of\nmasked pixels",
}
"""Column -> what it is, with its unit."""
PERCENTILES = (5, 25, 50, 75, 95)
BEYOND = 10.0
"""Crowding is measured beyond this distance from the centre, pixels: closer, it would be that of the candidate."""

_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE] - SIDE // 2
_NEAR = np.hypot(_ROWS, _COLUMNS) <= 3


def measure(alert: Alert) -> dict[str, float]:
    """Measure the `QUANTITIES` of an alert; NaN for a FWHM or a hole of a difference without light at its centre.

    The FWHM is that of a Gaussian with the height of the highest pixel within 3 pixels of the centre, and the light
    within 4 pixels of that one. The hole is the lowest pixel there over the highest, with its sign changed: 0 in a
    clean subtraction, 1 in a dipole.

    Raises
    ------
    ValueError
        A cutout is missing, corrupt or too large.
    """
    if None in alert.cutouts:
        raise ValueError("a cutout is missing")
    science, reference, difference = cutouts = [_padded(image(packed)) for packed in alert.cutouts]
    level, noise = sky(difference)
    light = difference - level
    peak = np.where(_NEAR, light, -np.inf).argmax()
    around = np.hypot(_ROWS - _ROWS.flat[peak], _COLUMNS - _COLUMNS.flat[peak]) <= 4
    height, flux = light.flat[peak], light[around].sum()
    snr, axis_ratio = central_peak(difference)
    return {
        "background": sky(science)[0],
        "noise": noise,
        "crowding": bright_share(reference, BEYOND),
        "peak_snr": snr,
        "fwhm": np.sqrt(4 * np.log(2) / np.pi * flux / height) if height > 0 and flux > 0 else np.nan,
        "axis_ratio": axis_ratio,
        "hole": -light[around].min() / height if height > 0 else np.nan,
        "science_snr": _at_centre(science),
        "reference_snr": _at_centre(reference),
        "masked_share": masked_share(np.stack(cutouts, axis=-1)),
    }


def _padded(pixels: np.ndarray) -> np.ndarray:
    """Return a cutout (63, 63), 0 where masked and padded as in a triplet, but in DN."""
    rows, columns = pixels.shape
    if rows > SIDE or columns > SIDE:
        raise ValueError(f"{rows} x {columns} pixels, more than {SIDE} x {SIDE}")
    result = np.full((SIDE, SIDE), float(FILLING))
    result[:rows, :columns] = np.where(np.isfinite(pixels), pixels, 0)
    return np.where(result == FILLING, FILLING, result)


def _at_centre(pixels: np.ndarray) -> float:
    """Return the signal-to-noise ratio of the brightest pixel within 3 pixels of the centre; NaN without noise."""
    level, noise = sky(pixels)
    return float((pixels[_NEAR].max() - level) / noise) if noise else np.nan


def measured(stream: Iterable[Alert | Rejected], label_of: dict[int, int]) -> pd.DataFrame:
    """Measure the alerts of a stream that have a label: ``candid``, ``class`` and the `QUANTITIES`.

    Alerts whose cutouts cannot be used are left out.
    """
    rows = []
    for alert in stream:
        if isinstance(alert, Rejected) or alert.candid not in label_of:
            continue
        try:
            quantities = measure(alert)
        except ValueError:
            continue
        rows.append({"candid": alert.candid, "class": CLASSES[label_of[alert.candid]], **quantities})
    return pd.DataFrame(rows, columns=["candid", "class", *QUANTITIES])


def compare(own: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Compare the distributions of each quantity, class by class.

    Parameters
    ----------
    own, real : DataFrame
        As `measured` returns them: the alerts of the chapter, and real ones, perhaps none.

    Returns
    -------
    DataFrame
        A row per class and quantity: the `PERCENTILES` of the chapter's alerts (``own_5``, ..., ``own_95``) and of the
        real ones (``real_5``, ...), the number of real alerts, and ``distance``, the largest difference of the two
        cumulative distributions (the statistic of Kolmogorov and Smirnov): 0 if they are equal, 1 if they do not
        overlap. Without real alerts, theirs are NaN.
    """
    rows = []
    for name in CLASSES:
        for quantity in QUANTITIES:
            row = {"class": name, "quantity": quantity}
            both = [table.loc[table["class"] == name, quantity].dropna() for table in (own, real)]
            for survey, values in zip(("own", "real"), both, strict=True):
                row |= {f"{survey}_{p}": np.percentile(values, p) if len(values) else np.nan for p in PERCENTILES}
            distance = stats.ks_2samp(*both).statistic if all(map(len, both)) else np.nan
            rows.append(row | {"real_alerts": len(both[1]), "distance": distance})
    return pd.DataFrame(rows)
