"""How well measured bar lengths follow those that people measured, with bootstrap errors."""

import numpy as np
import pandas as pd

from skylight.evaluation.bootstrap import correlation, correlations
from skylight.galaxies.catalogue import catalogue_arcsec, to_kpc


def scale_factor(measured: np.ndarray, catalogue: pd.DataFrame) -> float:
    """The factor that brings lengths (arcsec) closest to the catalogue's in kpc/h, by least squares."""
    x, y = to_kpc(measured, catalogue), catalogue["length_avg"].to_numpy()
    return float((x * y).sum() / (x**2).sum())


def compare(
    arcsec: np.ndarray, catalogue: pd.DataFrame, true_arcsec: np.ndarray | None, samples: np.ndarray
) -> dict[str, float]:
    """Figures of one estimator.

    Parameters
    ----------
    arcsec : np.ndarray, shape (N,)
        Measured lengths.
    catalogue : pandas.DataFrame
        N rows of `skylight.galaxies.catalogue.read_catalogue`.
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
