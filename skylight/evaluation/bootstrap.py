"""Bootstrap errors: resample the objects many times, and take the scatter of a statistic over the samples."""

import numpy as np


def resamples(count: int, times: int, seed: int) -> np.ndarray:
    """Return the indices of ``times`` bootstrap samples of ``count`` objects, (times, count)."""
    return np.random.default_rng(seed).integers(0, count, (times, count))


def sample_counts(count: int, times: int, seed: int) -> np.ndarray:
    """Count how often each object is in each of these `resamples`: (times, count) float."""
    return np.stack([np.bincount(sample, minlength=count) for sample in resamples(count, times, seed)]).astype(float)


def correlation(measured: np.ndarray, reference: np.ndarray) -> float:
    """Return the Pearson correlation of two arrays (N,); NaN where either is constant."""
    return float(correlations(measured, reference, np.ones((1, len(measured))))[0])


def correlations(measured: np.ndarray, reference: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of two arrays (N,) in each sample of `sample_counts`: (B,).

    It is NaN where either array is constant. No sample is copied: its sums are those of the objects' products, weighted
    with the counts of the objects.
    """
    x, y = measured - measured.mean(), reference - reference.mean()
    moments = samples @ np.stack([x, y, x * x, y * y, x * y], axis=1) / samples.sum(axis=1, keepdims=True)
    mx, my, xx, yy, xy = moments.T
    vx, vy = xx - mx**2, yy - my**2
    defined = (vx > 1e-12 * x.var()) & (vy > 1e-12 * y.var())  # less is a rounding error of equal values
    return (xy - mx * my) / np.sqrt(np.where(defined, vx * vy, np.nan))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Compute the mean of (N,) values and its standard error; NaN are left out, fewer than two values give NaN."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
