"""How well measured bar lengths follow those that people measured, with bootstrap errors."""

import numpy as np
import pandas as pd

LENGTH_UNIT = 2.0
"""The catalogue's ``length_scaled`` of 1 is this many PETROR90_R (see `skylight.surveys.galaxy_zoo`)."""


def catalogue_arcsec(catalogue: pd.DataFrame) -> np.ndarray:
    """The people's lengths in arcsec: what the paper correlates with, but for the factor `LENGTH_UNIT`."""
    return (LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"]).to_numpy()


def to_kpc(arcsec: np.ndarray, catalogue: pd.DataFrame) -> np.ndarray:
    """Lengths in kpc/h, the unit of the catalogue's ``length_avg``, by each galaxy's own scale."""
    scale = catalogue["length_avg"] / (LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"])
    return np.asarray(arcsec) * scale.to_numpy()


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


def scale_factor(measured: np.ndarray, catalogue: pd.DataFrame) -> float:
    """The factor that brings lengths (arcsec) closest to the catalogue's in kpc/h, by least squares."""
    x, y = to_kpc(measured, catalogue), catalogue["length_avg"].to_numpy()
    return float((x * y).sum() / (x**2).sum())


def resamples(count: int, times: int, seed: int) -> np.ndarray:
    """Indices of ``times`` bootstrap samples of ``count`` galaxies, (times, count)."""
    return np.random.default_rng(seed).integers(0, count, (times, count))


def sample_counts(count: int, times: int, seed: int) -> np.ndarray:
    """How often each of the galaxies is in each of these `resamples`, (times, count)."""
    return np.stack([np.bincount(sample, minlength=count) for sample in resamples(count, times, seed)]).astype(float)


def compare(
    arcsec: np.ndarray, catalogue: pd.DataFrame, true_arcsec: np.ndarray | None, samples: np.ndarray
) -> dict[str, float]:
    """Figures of one estimator.

    Parameters
    ----------
    arcsec : np.ndarray, shape (N,)
        Measured lengths.
    catalogue : pandas.DataFrame
        N rows of `skylight.surveys.galaxy_zoo.read_catalogue`.
    true_arcsec : np.ndarray, shape (N,), optional
        Of simulated galaxies.
    samples : np.ndarray, shape (B, N)
        Of `sample_counts`; an error is the standard deviation over them.

    Returns
    -------
    dict
        ``correlation`` of the lengths in arcsec, as published; ``correlation_scaled`` of the lengths in units of the
        galaxy's size, which sizes alone cannot raise; ``rmse`` in kpc/h; their ``_error``; ``correlation_true``.
    """
    human, kpc = catalogue_arcsec(catalogue), to_kpc(arcsec, catalogue)
    size, squares = catalogue["PETROR90_R"].to_numpy(), (kpc - catalogue["length_avg"].to_numpy()) ** 2
    result = {
        "correlation": correlation(arcsec, human),
        "correlation_error": correlations(arcsec, human, samples).std(),
        "correlation_scaled": correlation(arcsec / size, human / size),
        "correlation_scaled_error": correlations(arcsec / size, human / size, samples).std(),
        "rmse": np.sqrt(squares.mean()),
        "rmse_error": np.sqrt(samples @ squares / len(squares)).std(),
    }
    if true_arcsec is not None:
        result["correlation_true"] = correlation(arcsec, true_arcsec)
    return {key: float(value) for key, value in result.items()}


def best(tried: pd.DataFrame) -> pd.Series:
    """The row, of figures of `compare`, of the setting and estimator to measure with: of the largest correlation."""
    return tried.loc[tried["correlation"].idxmax()]


def difference(first: np.ndarray, second: np.ndarray, catalogue: pd.DataFrame, samples: np.ndarray) -> dict[str, float]:
    """By how much the first estimator's correlations exceed the second's on the same galaxies, and the errors.

    Lengths, catalogue and samples are those of `compare`, and so are the two correlations.
    """
    human, size = catalogue_arcsec(catalogue), catalogue["PETROR90_R"].to_numpy()
    result = {}
    for name, unit in (("correlation", 1.0), ("correlation_scaled", size)):
        ours, theirs, people = first / unit, second / unit, human / unit
        gains = correlations(ours, people, samples) - correlations(theirs, people, samples)
        result[f"{name}_gain"] = correlation(ours, people) - correlation(theirs, people)
        result[f"{name}_gain_error"] = float(gains.std())
    return result


def ceiling(catalogue: pd.DataFrame) -> dict[str, float]:
    """What the people's own scatter allows: the RMSE in kpc/h and the correlation of a perfect estimator."""
    noise = (catalogue["length_stdev"] ** 2 / catalogue["bar_meas"]).mean()
    return {"rmse": float(np.sqrt(noise)), "correlation": float(np.sqrt(1 - noise / catalogue["length_avg"].var()))}
