"""A simulation of the periodic variables of the Catalina survey (Drake et al. 2014, ApJS 213, 9).

``v0/classes.csv`` has the header ``lcid class`` and one row per star, with columns separated by a space.
``v0/indiv_lc/class<N>/<lcid>.csv`` has a comment and rows ``lcid,mjd,mag,magerr``.
"""

from functools import partial
from pathlib import Path

import numpy as np

from skylight.light_curves.reading import CRTS_CLASSES
from skylight.simulations.photometry import (
    PUBLISHED,
    Band,
    Cadence,
    Noise,
    Photometry,
    SurveyDesign,
    shuffled_classes,
    simulate,
)

NUMBERS = {name: number for number, name in CRTS_CLASSES.items()}

# Cadence and errors as in the light curves of the second data release (Drake et al. 2009, ApJ 696, 870). The reported
# errors are at least 0.05 mag, which is too large for bright stars (Graham et al. 2017, MNRAS 470, 4112).
DESIGN = SurveyDesign(
    start=53470.0,
    bands=(
        Band(
            name="V",
            passband="clear",
            cadence=Cadence(
                days=3120,
                season=245,
                dark=0.8,
                visits=(16, 70, 112),
                gap=3,
                exposures=4,
                spacing=0.0066,
                lost=0.03,
            ),
            noise=Noise(
                bright=11.5,
                faint=20.3,
                floor=0.008,
                photon=19.0,
                sky=19.6,
                visit=0.012,
                reported=(0.05, 1.5),
                outliers=0.006,
            ),
        ),
    ),
    fewest=60,
)


def simulate_crts(folder: Path, scale: float, seed: int, workers: int = -1) -> int:
    """Write a simulated survey, ``v0`` under ``folder``; return its number of stars.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    scale : float
        Number of stars in units of the published set of 45,630 stars.
    seed : int
        The same seed gives the same bytes.
    workers : int
        Number of processes; -1 is one per core.
    """
    names = shuffled_classes(scale * sum(PUBLISHED.values()), seed)
    folders = {name: folder / "v0" / "indiv_lc" / f"class{NUMBERS[name]}" for name in PUBLISHED}
    for path in folders.values():
        path.mkdir(parents=True)
    lcids = simulate(DESIGN, names, partial(_write, folders), seed, workers)
    rows = [f"{lcid} {NUMBERS[name]}\n" for lcid, name in zip(lcids, names, strict=True)]
    (folder / "v0" / "classes.csv").write_text("lcid class\n" + "".join(rows), encoding="utf-8")
    return len(names)


def _write(folders: dict[str, Path], index: int, name: str, light: Photometry) -> int:
    """Write one light curve; return its ``lcid``, 13 digits as in the survey: telescope, field, detection."""
    field, detection = divmod(index, 250)
    lcid = 1_001_001_000_000 + 1_000_000 * field + 137 * detection + 4001
    rows = np.column_stack([np.full(len(light.time), lcid), light.time, light.mag, light.magerr])
    text = "%d,%.6f,%.4f,%.4f\n" * len(rows) % tuple(rows.ravel().tolist())
    (folders[name] / f"{lcid}.csv").write_text("#lcid,mjd,mag,magerr\n" + text, encoding="utf-8")
    return lcid
