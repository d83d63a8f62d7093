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


def correlation(measured: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis; NaN where either is constant."""
    x = measured - measured.mean(axis=-1, keepdims=True)
    y = reference - reference.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))


def rmse(measured: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root of the mean squared difference along the last axis."""
    return np.sqrt(((measured - reference) ** 2).mean(axis=-1))


def scale_factor(measured: np.ndarray, catalogue: pd.DataFrame) -> float:
    """The factor that brings lengths (arcsec) closest to the catalogue's in kpc/h, by least squares."""
    x, y = to_kpc(measured, catalogue), catalogue["length_avg"].to_numpy()
    return float((x * y).sum() / (x**2).sum())


def resamples(count: int, times: int, seed: int) -> np.ndarray:
    """Indices of ``times`` bootstrap samples of ``count`` galaxies, (times, count)."""
    return np.random.default_rng(seed).integers(0, count, (times, count))


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
    samples : np.ndarray of int, shape (B, N)
        Bootstrap samples; an error is the standard deviation over them.

    Returns
    -------
    dict
        ``correlation`` of the lengths in arcsec, as published; ``correlation_scaled`` of the lengths in units of the
        galaxy's size, which sizes alone cannot raise; ``rmse`` in kpc/h; their ``_error``; ``correlation_true``.
    """
    human, kpc = catalogue_arcsec(catalogue), to_kpc(arcsec, catalogue)
    human_kpc, size = catalogue["length_avg"].to_numpy(), catalogue["PETROR90_R"].to_numpy()
    result = {
        "correlation": correlation(arcsec, human),
        "correlation_error": correlation(arcsec[samples], human[samples]).std(),
        "correlation_scaled": correlation(arcsec / size, human / size),
        "correlation_scaled_error": correlation((arcsec / size)[samples], (human / size)[samples]).std(),
        "rmse": rmse(kpc, human_kpc),
        "rmse_error": rmse(kpc[samples], human_kpc[samples]).std(),
    }
    if true_arcsec is not None:
        result["correlation_true"] = correlation(arcsec, true_arcsec)
    return {key: float(value) for key, value in result.items()}


def difference(first: np.ndarray, second: np.ndarray, catalogue: pd.DataFrame, samples: np.ndarray) -> dict[str, float]:
    """By how much the first estimator's correlation exceeds the second's on the same galaxies, and its error."""
    human = catalogue_arcsec(catalogue)
    gains = correlation(first[samples], human[samples]) - correlation(second[samples], human[samples])
    gain = correlation(first, human) - correlation(second, human)
    return {"correlation_gain": float(gain), "correlation_gain_error": float(gains.std())}


def ceiling(catalogue: pd.DataFrame) -> dict[str, float]:
    """What the people's own scatter allows: the RMSE in kpc/h and the correlation of a perfect estimator."""
    noise = (catalogue["length_stdev"] ** 2 / catalogue["bar_meas"]).mean()
    return {"rmse": float(np.sqrt(noise)), "correlation": float(np.sqrt(1 - noise / catalogue["length_avg"].var()))}
