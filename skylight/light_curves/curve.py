"""One light curve: the times, magnitudes and errors of one object in one band."""

from dataclasses import dataclass

import numpy as np


class BadLightCurve(Exception):
    """A light curve that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class LightCurve:
    """A light curve, sorted by time.

    Attributes
    ----------
    time : (n,) float64
        Times of observation, days.
    mag : (n,) float64
        Magnitudes.
    magerr : (n,) float64
        Errors of the magnitudes, one sigma.
    """

    time: np.ndarray
    mag: np.ndarray
    magerr: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


def light_curve(time: np.ndarray, mag: np.ndarray, magerr: np.ndarray) -> LightCurve:
    """Sort three columns to a light curve.

    Rows of equal time are sorted by magnitude. So nothing that is computed from the light curve depends on the order
    of the rows.

    Parameters
    ----------
    time, mag, magerr : (n,) array
        Days, magnitudes, magnitudes.

    Raises
    ------
    BadLightCurve
        There are fewer than two rows, or a value is not finite (the reason names the row).
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (time, mag, magerr)]
    if len(columns[0]) < 2:
        raise BadLightCurve(f"fewer than two points ({len(columns[0])})")
    for name, column in zip(("time", "mag", "magerr"), columns, strict=True):
        if not np.isfinite(column).all():
            raise BadLightCurve(f"{name} is not finite in row {np.flatnonzero(~np.isfinite(column))[0] + 1}")
    order = np.lexsort((columns[1], columns[0]))
    return LightCurve(*(column[order] for column in columns))


def with_noise(curve: LightCurve, rng: np.random.Generator, fraction: float) -> LightCurve:
    """Return a copy with normal noise added to each magnitude; its sigma is ``fraction`` of the error."""
    noise = rng.normal(0, fraction * np.abs(curve.magerr))
    return LightCurve(curve.time, curve.mag + noise, curve.magerr)
