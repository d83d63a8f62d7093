"""The period of a light curve."""

import numpy as np
from astropy.timeseries import LombScargle

from skylight.light_curves.curve import LightCurve

# Two minima a cycle: the strongest harmonic of these classes is half of the period.
ECLIPSING = ("EW", "EA")


def best_period(curve: LightCurve, class_name: str, shortest: float = 0.15, longest: float = 1000.0) -> float:
    """The period in days at which three harmonics fit best, by a Lomb-Scargle search.

    One harmonic is fitted at all frequencies (fast, Press & Rybicki 1989), three at its highest peaks, because one
    cannot tell a period from its alias by the day. Of a class with two eclipses a cycle it is the peak at half the
    period that is looked for, and doubled.

    Parameters
    ----------
    curve : LightCurve
    class_name : str
    shortest, longest : float
        Range of the periods tried, days.
    """
    factor = 2 if class_name in ECLIPSING else 1
    columns = curve.time, curve.mag, np.maximum(curve.magerr, 1e-3)
    span = np.ptp(curve.time)
    step = 0.2 / span
    grid = np.arange(1 / min(longest, span), factor / shortest, step)
    power = LombScargle(*columns).power(grid, method="fast", assume_regular_frequency=True)
    peaks = grid[np.argsort(power)[-40:]]
    around = np.unique(np.concatenate([peaks + shift * step for shift in np.linspace(-0.5, 0.5, 7)]))
    fine = LombScargle(*columns, nterms=3).power(around, method="chi2")
    return factor / around[np.argmax(fine)]


def phase(time: np.ndarray, period: float, mag: np.ndarray) -> np.ndarray:
    """Phase of each time, 0 to 1, with the faintest point (by a running median of five) at phase 0."""
    raw = time / period % 1
    order = np.argsort(raw)
    smooth = np.median(np.stack([np.roll(mag[order], shift) for shift in range(-2, 3)]), axis=0)
    return (raw - raw[order][np.argmax(smooth)]) % 1
