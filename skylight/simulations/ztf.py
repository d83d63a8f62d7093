"""A simulated set of variables of the Zwicky Transient Facility (Bellm et al. 2019, PASP 131, 018002).

``lightcurves.parquet`` is one table of all stars with the column names of IRSA's light-curve service. As there, each
filter of a star is an object with its own ``oid``. ``classes_<filtercode>.csv`` has one row ``oid,class`` per object;
the classes have the names of the catalogue of Chen et al. 2020 (ApJS 249, 18) where it has them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight.simulations.photometry import Band, Cadence, Noise, Photometry, SurveyDesign, shuffled_classes, simulate

CLASSES = {"EW": "EW", "EA": "EA", "RRab": "RR", "RRc": "RRc", "RRd": "RRd", "RS CVn": "RSCVN", "LPV": "SR"}

_CADENCE = Cadence(days=1700, season=235, dark=0.9, visits=(60, 200, 450), gap=1, exposures=1, spacing=0.001, lost=0.05)
_NOISE = {"bright": 12.5, "floor": 0.010, "visit": 0.008, "reported": (0.012, 1.0), "outliers": 0.003}

DESIGN = SurveyDesign(
    start=58194.0,
    bands=(
        Band("zg", "g", _CADENCE, Noise(faint=20.8, photon=19.9, sky=20.2, **_NOISE)),
        Band("zr", "r", _CADENCE, Noise(faint=20.6, photon=19.8, sky=20.0, **_NOISE)),
    ),
    fainter=1.5,
    fewest=40,
)


def simulate_ztf(folder: Path, stars: int, seed: int, workers: int = -1) -> int:
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
    table = pd.concat(simulate(DESIGN, names, _rows, seed, workers), ignore_index=True)
    folder.mkdir(parents=True, exist_ok=True)
    table.drop(columns="class").to_parquet(folder / "lightcurves.parquet", index=False)
    for filtercode, objects in table.groupby("filtercode"):
        labels = objects.drop_duplicates("oid")[["oid", "class"]]
        labels.to_csv(folder / f"classes_{filtercode}.csv", index=False, lineterminator="\n")
    return len(names)


def _rows(index: int, name: str, light: Photometry) -> pd.DataFrame:
    """Return the rows of one star, and its class."""
    codes = np.array([band.name for band in DESIGN.bands])
    field, star = divmod(index, 400)
    oid = (500 + field) * 10**12 + (light.band + 1) * 10**11 + star  # field, filter, star
    # The positions do not affect the light curves: a spiral distributes the stars over the sky.
    ra, dec = 137.508 * index % 360, np.degrees(np.arcsin((index * 0.618034) % 1)) * 0.9
    return pd.DataFrame(
        {
            "oid": oid,
            "expid": np.round((light.time - DESIGN.start) * 1000).astype(int),
            "mjd": light.time,
            "mag": light.mag.astype(np.float32),
            "magerr": light.magerr.astype(np.float32),
            "catflags": np.zeros(len(light.time), np.int32),
            "filtercode": codes[light.band],
            "ra": ra,
            "dec": dec,
            "field": 500 + field,
            "exptime": np.full(len(light.time), 30, np.int32),
            "class": CLASSES[name],
        }
    )
