"""How well measured bar lengths agree with those that people measured, with bootstrap errors (section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skylight.evaluation.bootstrap import correlation, correlations
from skylight.galaxies.catalogue import catalogue_arcsec, to_kpc

SETTING = ("corr_threshold", "len_threshold", "xinput")
"""The settings of the threshold scan (`skylight.galaxies.bar_length.measure`)."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Galaxies that measured lengths are compared on.

    Attributes
    ----------
    catalogue : pandas.DataFrame
        N rows of `skylight.galaxies.catalogue.read_catalogue`.
    true_arcsec : np.ndarray, shape (N,), or None
        True lengths of simulated galaxies.
    samples : np.ndarray, shape (B, N)
        Of `skylight.evaluation.bootstrap.sample_counts`.
    """

    catalogue: pd.DataFrame
    true_arcsec: np.ndarray | None
    samples: np.ndarray

    def score(
        self, model: str, arcsec: np.ndarray, setting: dict | None = None, smooth_noise: float | None = None
    ) -> dict:
        """Return one row of the published table for an estimator's lengths, (N,): the published columns come first."""
        scores = compare(np.asarray(arcsec), self.catalogue, self.true_arcsec, self.samples)
        return {"model": model, "smooth_noise": smooth_noise, **(setting or dict.fromkeys(SETTING))} | scores


def score_grid(
    reference: Reference, names: Sequence[str], lengths: np.ndarray, grid: dict[str, list], smooth_noise: float
) -> pd.DataFrame:
    """Compare the lengths of every estimator at every setting.

    Parameters
    ----------
    reference : Reference
    names : sequence of str
        Names of the E estimators.
    lengths : np.ndarray, shape (N, E, C, L, X)
        Measured lengths in arcsec (`skylight.galaxies.bar_length.measure`).
    grid : dict
        The C, L and X values of each key of `SETTING`.
    smooth_noise : float
        Noise of the heatmaps.

    Returns
    -------
    pandas.DataFrame
        One row of `Reference.score` per estimator and setting.
    """
    rows = []
    for e, *place in np.ndindex(lengths.shape[1:]):
        setting = {key: grid[key][i] for key, i in zip(SETTING, place, strict=True)}
        rows.append(reference.score(names[e], lengths[:, e, *place], setting, smooth_noise))
    return pd.DataFrame(rows)


def best_settings(tried: pd.DataFrame, names: Sequence[str]) -> dict[str, dict]:
    """Return the setting of the largest correlation of each estimator, from the rows of `score_grid`."""
    rows = {name: best(tried[tried["model"] == name]) for name in names}
    types = dict(zip(SETTING, (float, int, bool), strict=True))
    return {name: {key: types[key](row[key]) for key in SETTING} for name, row in rows.items()}


def grid_of(settings: dict[str, dict]) -> dict[str, list]:
    """Return the smallest grid that holds the setting of every estimator."""
    return {key: sorted({setting[key] for setting in settings.values()}) for key in SETTING}


def at_settings(
    lengths: np.ndarray, names: Sequence[str], grid: dict[str, list], settings: dict[str, dict]
) -> dict[str, np.ndarray]:
    """Return the lengths of each estimator at its own setting, (N,), out of those at all settings of a grid."""
    chosen = {}
    for e, name in enumerate(names):
        place = [grid[key].index(settings[name][key]) for key in SETTING]
        chosen[name] = lengths[:, e, *place]
    return chosen


def scale_factor(measured: np.ndarray, catalogue: pd.DataFrame) -> float:
    """Return the factor on measured lengths, (N,) arcsec, that best fits those of the catalogue (least squares, kpc/h).

    Maps fade towards the ends of a bar, so that bars are measured too short.
    """
    x, y = to_kpc(measured, catalogue), catalogue["length_avg"].to_numpy()
    return float((x * y).sum() / (x**2).sum())


def compare(
    arcsec: np.ndarray, catalogue: pd.DataFrame, true_arcsec: np.ndarray | None, samples: np.ndarray
) -> dict[str, float]:
    """Compare the lengths of one estimator with those that people measured.

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
        ``correlation`` of the lengths in arcsec, as published; ``correlation_scaled`` of the lengths divided by
        PETROR90_R, which the sizes of the galaxies alone cannot raise; ``rmse`` in kpc/h; the ``_error`` of each; and
        ``correlation_true`` with the true lengths.
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
    """Return the row of the largest correlation: the setting and the estimator to measure with."""
    return tried.loc[tried["correlation"].idxmax()]


def difference(first: np.ndarray, second: np.ndarray, catalogue: pd.DataFrame, samples: np.ndarray) -> dict[str, float]:
    """Return the gain of the first estimator's correlations over the second's on the same galaxies, and its error.

    The parameters and the two correlations are those of `compare`.
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
    """Return the RMSE in kpc/h and the correlation of a perfect estimator.

    They are limited by the scatter between the people who measured a bar.
    """
    noise = (catalogue["length_stdev"] ** 2 / catalogue["bar_meas"]).mean()
    return {"rmse": float(np.sqrt(noise)), "correlation": float(np.sqrt(1 - noise / catalogue["length_avg"].var()))}


def summary(reference: Reference, control: Reference, lengths: pd.DataFrame, rows: pd.DataFrame, name: str) -> dict:
    """Return the numbers of the chapter: an estimator against the control, and the limits of both.

    Parameters
    ----------
    reference, control : Reference
        All test galaxies, and those that tested the control.
    lengths : pandas.DataFrame
        Lengths in arcsec of the galaxies of ``control``: the columns ``name`` and ``control``.
    rows : pandas.DataFrame
        Rows of `Reference.score` of all estimators and of the control.
    name : str
        The estimator that was best on the validation part.
    """
    rows = {row["model"]: row.to_dict() for _, row in rows.iterrows()}
    ours, theirs, table = lengths[name].to_numpy(), lengths["control"].to_numpy(), reference.catalogue
    return {
        "best_on_validation": name,
        "test": rows[name],
        "on_the_control's_galaxies": {
            "galaxies": len(lengths),
            "saliency": control.score(name, ours, smooth_noise=rows[name]["smooth_noise"]),
            "control": rows["control"],
            **difference(ours, theirs, control.catalogue, control.samples),
        },
        "ceiling": ceiling(table),
        # The correlation if every bar had the same share of the size of its galaxy.
        "sizes_alone": correlation(table["PETROR90_R"].to_numpy(), catalogue_arcsec(table)),
        "galaxies": len(table),
    }
