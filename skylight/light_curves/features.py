"""The 21 summary features of a light curve: the input of the forest baseline.

The definitions are those of Richards et al. 2011 (ApJ 733, 10, table 5), Stetson 1996 (PASP 108, 851) for J and K,
and those of the tables of the Catalina survey for the amplitude and the percentiles. Units are magnitudes, days and
ratios of fluxes.
"""

from collections.abc import Sequence

import numpy as np

from skylight.light_curves.curve import LightCurve

FEATURES = (
    "mean",
    "min",
    "max",
    "amplitude",
    "beyond_1_sigma",
    "flux_percentile_ratio_mid20",
    "flux_percentile_ratio_mid35",
    "flux_percentile_ratio_mid50",
    "flux_percentile_ratio_mid65",
    "flux_percentile_ratio_mid80",
    "linear_trend",
    "max_slope",
    "median_absolute_deviation",
    "median_buffer_range_percentage",
    "pair_slope_trend",
    "percent_difference_flux_percentile",
    "skew",
    "small_kurtosis",
    "std",
    "stetson_j",
    "stetson_k",
)


def features(curves: Sequence[LightCurve]) -> np.ndarray:
    """Compute the features of each light curve: (N, 21) float32, columns in the order of `FEATURES`.

    A feature that is undefined for a light curve is 0: the slope of points at one time, the kurtosis of three
    points, a ratio to a spread of zero.
    """
    table = np.zeros((len(curves), len(FEATURES)))
    for row, curve in zip(table, curves, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            row[:] = _features(curve)
    limit = np.finfo(np.float32).max
    return np.where(np.abs(table) < limit, table, 0).astype(np.float32)


def _features(curve: LightCurve) -> list[float]:
    time, mag, magerr = curve.time, curve.mag, curve.magerr
    n = len(mag)
    mean, median = mag.mean(), np.median(mag)
    deviation = mag - mean
    variance = deviation @ deviation / (n - 1)
    std = np.sqrt(variance)
    amplitude = (mag.max() - mag.min()) / 2

    levels = (5, 10, 17.5, 25, 32.5, 40, 60, 67.5, 75, 82.5, 90, 95)
    flux = dict(zip(levels, np.percentile(10 ** (-0.4 * (mag - median)), levels), strict=True))
    spread = flux[95] - flux[5]
    middles = [(60, 40), (67.5, 32.5), (75, 25), (82.5, 17.5), (90, 10)]

    steps, gaps = np.diff(mag), np.diff(time)
    slopes = np.abs(steps[gaps > 0] / gaps[gaps > 0])
    centred = time - time.mean()
    last = np.sign(np.diff(mag[-30:]))

    return [
        mean,
        mag.min(),
        mag.max(),
        amplitude,
        np.mean(np.abs(deviation) > std),
        *((flux[high] - flux[low]) / spread for high, low in middles),
        centred @ mag / (centred @ centred),
        slopes.max() if len(slopes) else 0,
        np.median(np.abs(mag - median)),
        np.mean(np.abs(mag - median) < amplitude / 10),
        np.mean(last > 0) - np.mean(last < 0),
        spread,
        _skew(deviation, std),
        _small_kurtosis(deviation, std),
        std,
        *_stetson(mag, magerr),
    ]


def _skew(deviation: np.ndarray, std: float) -> float:
    """Adjusted Fisher-Pearson skewness."""
    n = len(deviation)
    return n / ((n - 1) * (n - 2)) * np.sum((deviation / std) ** 3) if n > 2 else 0


def _small_kurtosis(deviation: np.ndarray, std: float) -> float:
    """Excess kurtosis, unbiased for small samples."""
    n = len(deviation)
    if n < 4:
        return 0
    scale = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3))
    return scale * np.sum((deviation / std) ** 4) - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))


def _stetson(mag: np.ndarray, magerr: np.ndarray) -> tuple[float, float]:
    """Compute Stetson's J, with each point paired to the next one, and K.

    A residual is the distance from the weighted mean in units of the error. A point whose error is zero has no weight
    and no residual.
    """
    n = len(mag)
    known = magerr > 0
    if not known.any():
        return 0, 0
    weight = np.where(known, 1 / np.where(known, magerr, 1) ** 2, 0)
    residual = np.sqrt(n / (n - 1)) * (mag - weight @ mag / weight.sum()) * np.sqrt(weight)
    product = residual[:-1] * residual[1:]
    j = np.mean(np.sign(product) * np.sqrt(np.abs(product)))
    k = np.mean(np.abs(residual)) / np.sqrt(np.mean(residual**2))
    return j, k
