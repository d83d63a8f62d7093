"""How well metallicities are predicted, and how well the mass alone predicts them."""

import numpy as np
import pandas as pd

DEGREE = 2
"""Of the polynomial in the log of the mass, as in Tremonti et al. 2004 (ApJ 613, 898, eq. 3)."""


def residuals(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return ``rmse``, ``bias`` and ``scatter`` (1.4826 times the median absolute deviation) of predictions, dex."""
    difference = predicted - true
    middle = np.median(difference)
    return {
        "rmse": float(np.sqrt((difference**2).mean())),
        "bias": float(difference.mean()),
        "scatter": float(1.4826 * np.median(np.abs(difference - middle))),
    }


def mass_relation(training: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Fit the mass-metallicity relation to some galaxies, and return what it predicts for others, (N,).

    Both tables have ``lgm_tot_p50`` (log of the stellar mass); the first one also ``oh_p50``. Galaxies without a mass
    are left out of the fit and get the mean metallicity.
    """
    known = np.isfinite(training["lgm_tot_p50"])
    fit = np.polynomial.Polynomial.fit(training["lgm_tot_p50"][known], training["oh_p50"][known], DEGREE)
    predicted = fit(others["lgm_tot_p50"].to_numpy())
    return np.where(np.isfinite(predicted), predicted, training["oh_p50"].mean())
