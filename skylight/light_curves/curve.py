"""One light curve: the times, magnitudes and errors of one object in one band."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

MAX_POINTS = 20_000
"""Largest number of points of a light curve. A dmdt image counts all pairs: those of 20,000 points take about 2 s."""
COARSE = 1e-4
"""Largest step between neighbouring times, days, that the type of the times may have: nine seconds."""


class BadLightCurve(Exception):
    """A light curve that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Ranges:
    """The values that are measurements. A row with a value outside is dropped.

    Attributes
    ----------
    time, mag, magerr : (float, float) or None
        Smallest and largest value, both included; None: any value.
    """

    time: tuple[float, float] | None = None
    mag: tuple[float, float] | None = None
    magerr: tuple[float, float] | None = None


EVERYTHING = Ranges()


@dataclass(frozen=True)
class LightCurve:
    """A light curve, sorted by time.

    Attributes
    ----------
    time : (n,) float64
        Times of observation, days.
    mag : (n,) float64
        Magnitudes.
    magerr : (n,) float64
        Errors of the magnitudes, one sigma.
    dropped : mapping
        Number of rows that were left out, by reason: ``time_range``, ``mag_range``, ``magerr_range``, ``limits``
        (magnitudes like ``>17.5``) and ``duplicates``.
    """

    time: np.ndarray
    mag: np.ndarray
    magerr: np.ndarray
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)


def light_curve(
    time: np.ndarray, mag: np.ndarray, magerr: np.ndarray, ranges: Ranges = EVERYTHING, limits: int = 0
) -> LightCurve:
    """Sort three columns to a light curve, without the rows that are no measurements.

    Rows outside of ``ranges`` and exact copies of another row are dropped and counted. Rows of equal time are sorted by
    magnitude. So nothing that is computed from the light curve depends on the order of the rows.

    Parameters
    ----------
    time, mag, magerr : (n,) array
        Days, magnitudes, magnitudes.
    ranges : Ranges
    limits : int
        Number of rows with an upper limit that are not among the rows.

    Raises
    ------
    BadLightCurve
        Fewer than two or more than `MAX_POINTS` rows are left, a value is not finite (the reason names the row), or
        the type of the times is too coarse for them.
    """
    check_time_type(np.asarray(time))
    columns = np.array([np.asarray(column, dtype=np.float64) for column in (time, mag, magerr)])
    columns, dropped = _drop_outside(columns, ranges)
    dropped |= {"limits": limits} if limits else {}
    if columns.shape[1] > MAX_POINTS:
        raise BadLightCurve(f"more than {MAX_POINTS:,} points ({columns.shape[1]:,}); time_range can choose a part")
    columns = columns[:, np.lexsort((columns[2], columns[1], columns[0]))]
    copies = np.r_[False, (columns[:, 1:] == columns[:, :-1]).all(axis=0)] if columns.size else np.zeros(0, bool)
    if copies.any():
        dropped["duplicates"] = int(copies.sum())
    columns = columns[:, ~copies]
    if columns.shape[1] < 2:
        why = "".join(f"; {count} dropped: {reason}" for reason, count in dropped.items())
        raise BadLightCurve(f"fewer than two points ({columns.shape[1]}{why})")
    return LightCurve(*columns, dropped)


def _drop_outside(columns: np.ndarray, ranges: Ranges) -> tuple[np.ndarray, dict[str, int]]:
    """Return the (3, n) columns without the rows outside of ``ranges``, and their number by range."""
    kept, dropped = np.ones(columns.shape[1], dtype=bool), {}
    for name, values in zip(("time", "mag", "magerr"), columns, strict=True):
        limits = getattr(ranges, name)
        if limits is not None:
            outside = kept & ((values < limits[0]) | (values > limits[1])) & np.isfinite(values)
            kept &= ~outside
            if outside.any():
                dropped[f"{name}_range"] = int(outside.sum())
    for name, values in zip(("time", "mag", "magerr"), columns, strict=True):
        wrong = np.flatnonzero(kept & ~np.isfinite(values))
        if len(wrong) and kept.sum() > 1:
            raise BadLightCurve(f"{name} is not finite in row {wrong[0] + 1}")
    return columns[:, kept], dropped


def check_time_type(time: np.ndarray) -> None:
    """Check that the type of the times tells neighbouring times apart: 32 bits have steps of 6 minutes at MJD 58000.

    Raises
    ------
    BadLightCurve
        The step of the type at the largest time is more than `COARSE`.
    """
    if time.dtype.kind != "f" or time.dtype.itemsize >= 8 or not time.size:
        return
    largest = np.nanmax(np.abs(np.where(np.isfinite(time), time, 0)))
    step = float(np.spacing(largest))
    if step > COARSE:
        raise BadLightCurve(
            f"time has type {time.dtype}, whose steps at {largest:g} are {step * 86400:.3g} s; use 64 bits"
        )


def with_noise(curve: LightCurve, rng: np.random.Generator, fraction: float) -> LightCurve:
    """Return a copy with normal noise added to each magnitude; its sigma is ``fraction`` of the error."""
    noise = rng.normal(0, fraction * np.abs(curve.magerr))
    return LightCurve(curve.time, curve.mag + noise, curve.magerr)
