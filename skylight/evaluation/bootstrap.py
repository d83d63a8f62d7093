"""Bootstrap errors: resample the objects many times, and see how much a statistic varies."""

import numpy as np


def resamples(count: int, times: int, seed: int) -> np.ndarray:
    """Indices of ``times`` bootstrap samples of ``count`` galaxies, (times, count)."""
    return np.random.default_rng(seed).integers(0, count, (times, count))


def sample_counts(count: int, times: int, seed: int) -> np.ndarray:
    """How often each of the galaxies is in each of these `resamples`, (times, count)."""
    return np.stack([np.bincount(sample, minlength=count) for sample in resamples(count, times, seed)]).astype(float)


def correlation(measured: np.ndarray, reference: np.ndarray) -> float:
    """Pearson correlation of (N,) lengths; NaN where either is constant."""
    return float(correlations(measured, reference, np.ones((1, len(measured))))[0])


def correlations(measured: np.ndarray, reference: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Pearson correlation of (N,) lengths in each of the bootstrap samples of `sample_counts`, (B,); NaN as above.

    No sample is copied: how often it has each galaxy, times the galaxies' products, gives all of its sums.
    """
    x, y = measured - measured.mean(), reference - reference.mean()
    moments = samples @ np.stack([x, y, x * x, y * y, x * y], axis=1) / samples.sum(axis=1, keepdims=True)
    mx, my, xx, yy, xy = moments.T
    vx, vy = xx - mx**2, yy - my**2
    defined = (vx > 1e-12 * x.var()) & (vy > 1e-12 * y.var())  # less is what rounding leaves of equal lengths
    return (xy - mx * my) / np.sqrt(np.where(defined, vx * vy, np.nan))
