"""A simulated set of variables of the Palomar Transient Factory (Law et al. 2009, PASP 121, 1395).

``lightcurves/<id>.csv`` is one file per star with the column names of IRSA's PTF light-curve table: ``fid`` 1 is g, 2
is Mould R, and each filter of a star has its own ``oid``. ``classes.csv`` has one row ``id,class`` per star; the
classes have the names of the International Variable Star Index.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from skylight.simulations.photometry import Band, Cadence, Noise, Photometry, SurveyDesign, shuffled_classes, simulate

CLASSES = {"EW": "EW", "EA": "EA", "RRab": "RRAB", "RRc": "RRC", "RRd": "RRD", "RS CVn": "RS", "LPV": "SR"}

_NOISE = {"bright": 13.5, "floor": 0.010, "visit": 0.010, "reported": (0.015, 1.0), "outliers": 0.005}

# R is the survey's main filter, in which it finds the variables. Two exposures a night, about an hour apart.
DESIGN = SurveyDesign(
    start=54900.0,
    bands=(
        Band(
            name="2",
            passband="r",
            cadence=Cadence(
                days=2100, season=190, dark=0.6, visits=(15, 55, 200), gap=1, exposures=2, spacing=0.042, lost=0.1
            ),
            noise=Noise(faint=20.8, photon=19.9, sky=20.2, **_NOISE),
        ),
        Band(
            name="1",
            passband="g",
            cadence=Cadence(
                days=2100, season=190, dark=0.4, visits=(3, 15, 80), gap=1, exposures=2, spacing=0.042, lost=0.1
            ),
            noise=Noise(faint=21.2, photon=20.1, sky=20.6, **_NOISE),
        ),
    ),
    fainter=1.0,
    fewest=25,
)


def simulate_ptf(folder: Path, stars: int, seed: int, workers: int = -1) -> int:
    """Write a simulated set of about ``stars`` stars to ``folder``; return their number.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    stars : int
        Approximate number of stars; classes have the fractions of CRTS, with at least one star each.
    seed : int
        The same seed gives the same bytes.
    workers : int
        Number of processes; -1 is one per core.
    """
    names = shuffled_classes(stars, seed)
    (folder / "lightcurves").mkdir(parents=True)
    ids = simulate(DESIGN, names, partial(_write, folder / "lightcurves"), seed, workers)
    labels = pd.DataFrame({"id": ids, "class": [CLASSES[name] for name in names]})
    labels.to_csv(folder / "classes.csv", index=False, lineterminator="\n")
    return len(names)


def _write(folder: Path, index: int, name: str, light: Photometry) -> int:
    """Write one light curve; return the star's id."""
    star = 220_010_001 + index
    fid = np.array([int(band.name) for band in DESIGN.bands])[light.band]
    oid = 10**13 * fid + 44_000_000 + star
    rows = np.column_stack([oid, fid, light.time, light.mag, light.magerr])
    text = "%d,%d,%.6f,%.4f,%.4f\n" * len(rows) % tuple(rows.ravel().tolist())
    (folder / f"{star}.csv").write_text("oid,fid,obsmjd,mag_autocorr,magerr_auto\n" + text, encoding="utf-8")
    return star
