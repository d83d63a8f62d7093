"""Find the period of a light curve, and fold it."""

import numpy as np
from astropy.timeseries import LombScargle

from skylight.light_curves.curve import LightCurve

# These classes have two eclipses per period, so the strongest peak of the periodogram is at half the period.
ECLIPSING = ("EW", "EA")


def best_period(curve: LightCurve, class_name: str, shortest: float = 0.15, longest: float = 1000.0) -> float:
    """Search the period with a Lomb-Scargle periodogram of three harmonics.

    One harmonic is fitted at all frequencies, which is fast (Press & Rybicki 1989). Three harmonics are fitted only
    around the 40 highest peaks: one harmonic alone confuses a period with its daily aliases. For a class with two
    eclipses per period the result is twice the period of the best peak.

    Parameters
    ----------
    curve : LightCurve
    class_name : str
        True or predicted class; it decides whether the period is doubled (`ECLIPSING`).
    shortest, longest : float
        Range of the search, days.

    Returns
    -------
    float
        Period, days.
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
    """Compute the phase of each time, from 0 to 1, with the minimum light at phase 0.

    Parameters
    ----------
    time : (n,) array
        Days.
    period : float
        Days.
    mag : (n,) array
        Magnitudes. Minimum light is the faintest point of a running median of five points.

    Returns
    -------
    (n,) float64
    """
    raw = time / period % 1
    order = np.argsort(raw)
    smooth = np.median(np.stack([np.roll(mag[order], shift) for shift in range(-2, 3)]), axis=0)
    return (raw - raw[order][np.argmax(smooth)]) % 1
