"""Simulated Galaxy Zoo 2 images and votes, and bar lengths, in the layout that `skylight.galaxies.catalogue` reads.

Two outputs are not in the published data and are for the evaluation only: ``truth.csv`` with the structure of every
galaxy and its vote fractions, and ``masks/<asset_id>.png`` with the pixels of the bars of the catalogue.
"""

import dataclasses
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from astropy.cosmology import FlatLambdaCDM
from PIL import Image
from tqdm import tqdm

from skylight.galaxies.catalogue import (
    CATALOGUE,
    CATALOGUE_COLUMNS,
    CATALOGUE_IMAGES,
    LENGTH_UNIT,
    MAPPING,
    MASKS,
    PIXEL_SCALE,
    PIXELS,
    SAMPLE,
    SOLUTIONS,
    TEST_IMAGES,
    TRAINING_IMAGES,
    TRUTH,
)
from skylight.galaxies.questions import ANSWERS
from skylight.simulations.galaxies import Galaxy, bar_mask, draw_galaxy, render
from skylight.simulations.votes import bar_visibility, votes


@dataclasses.dataclass(frozen=True)
class SurveyPlan:
    """How many galaxies to simulate, and their properties."""

    training: int
    test: int
    catalogue: int
    """Number of galaxies with a measured bar length."""
    median_petror90: float
    """Median Petrosian radius of the training and test galaxies, arcsec."""
    voters: int
    """Mean number of volunteers who classify a galaxy."""
    length_scatter: float
    """Relative scatter of the bar lengths that different people measure on one galaxy."""
    seed: int


COSMOLOGY = FlatLambdaCDM(H0=100, Om0=0.3)
"""Cosmology of the bar catalogue; distances are in Mpc/h."""
DIAMETER, DIAMETER_SCATTER = 18.8, 0.37
"""Median diameter of the galaxies in the published catalogue (``length_avg / length_scaled``) in kpc/h, and the
standard deviation of its natural logarithm. The sizes of the galaxies cause most of the scatter of the bar lengths."""
REDSHIFTS = (0.01, 0.06)
"""The published catalogue is volume-limited: the galaxies fill the volume between these redshifts evenly."""
SMALLEST, LARGEST = 5.5, 34.0
"""Smallest and largest PETROR90_R of the simulated galaxies, arcsec."""
PEOPLE = {3: 989, 4: 1023, 5: 916, 6: 195, 7: 5, 8: 11, 9: 6, 10: 4, 11: 1}
"""Number of galaxies in the published catalogue by the number of people who measured them."""


def simulate(folder: Path, plan: SurveyPlan) -> None:
    """Write a survey to ``folder``. The same plan gives the same files for any number of processes."""
    rng = np.random.default_rng(plan.seed)
    counts = {"training": plan.training, "test": plan.test, "catalogue": plan.catalogue}
    measured, redshift = _draw_measured(rng, plan)
    galaxies = [*_draw_galaxies(rng, plan), *measured]
    total = len(galaxies)
    part = np.repeat(list(counts), list(counts.values()))
    voters = np.maximum(rng.normal(plan.voters, 4, total).astype(int), 20)
    fractions = np.array([votes(g, n, rng) for g, n in zip(galaxies, voters, strict=True)])

    galaxy_id = np.sort(rng.choice(np.arange(100_000, 1_000_000), total, replace=False))
    galaxy_id = galaxy_id[rng.permutation(total)]
    galaxy_id[part == "catalogue"] = rng.permutation(300_000)[: plan.catalogue] + 1
    truth = pd.DataFrame({"GalaxyID": galaxy_id, "part": part})
    truth = pd.concat([truth, pd.DataFrame([dataclasses.asdict(galaxy) for galaxy in galaxies])], axis=1)
    truth["bar_length_arcsec"] = [galaxy.bar_length for galaxy in galaxies]
    truth["bar_length_scaled"] = truth["bar_length_arcsec"] / (LENGTH_UNIT * truth["petror90"])
    truth["bar_visibility"] = [bar_visibility(galaxy) for galaxy in galaxies]
    truth = pd.concat([truth, pd.DataFrame(fractions, columns=ANSWERS)], axis=1)

    folder = folder.resolve()  # the worker processes may run in another folder
    folder.mkdir(parents=True, exist_ok=True)
    training = truth[part == "training"].sort_values("GalaxyID")
    _save(folder / SOLUTIONS, training[["GalaxyID", *ANSWERS]])
    _save(folder / TRUTH, truth)
    _save_catalogue(folder, truth[part == "catalogue"].reset_index(drop=True), redshift, plan, rng)

    folders = {"training": TRAINING_IMAGES, "test": TEST_IMAGES, "catalogue": CATALOGUE_IMAGES}
    for name in (*folders.values(), MASKS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    jobs = (
        joblib.delayed(_render_files)(
            galaxy,
            folder / folders[part[k]] / f"{galaxy_id[k]}.jpg",
            folder / MASKS / f"{galaxy_id[k]}.png" if part[k] == "catalogue" else None,
            [plan.seed, k],
        )
        for k, galaxy in enumerate(galaxies)
    )
    done = joblib.Parallel(n_jobs=-1, batch_size=16, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, total=total, desc="rendering", unit="galaxy"):
        pass


def _draw_galaxies(rng: np.random.Generator, plan: SurveyPlan) -> list[Galaxy]:
    """Draw the training and test galaxies."""
    sizes = plan.median_petror90 * np.exp(0.33 * rng.standard_normal(plan.training + plan.test))
    return [draw_galaxy(rng, float(size)) for size in np.clip(sizes, SMALLEST, LARGEST)]


def _draw_measured(rng: np.random.Generator, plan: SurveyPlan) -> tuple[list[Galaxy], np.ndarray]:
    """Draw the galaxies of the bar catalogue and their redshifts: not edge-on, with a bar that most people see."""
    galaxies, redshifts = [], []
    near, far = REDSHIFTS
    while len(galaxies) < plan.catalogue:
        redshift = float(rng.uniform(near**3, far**3) ** (1 / 3))
        diameter = DIAMETER * np.exp(DIAMETER_SCATTER * rng.standard_normal())
        petror90 = float(diameter / 2 / _kpc_per_arcsec(redshift))
        galaxy = draw_galaxy(rng, petror90)
        if (
            SMALLEST < petror90 < LARGEST
            and galaxy.cos_inclination > 0.45
            and bar_visibility(galaxy) > 0.5
            and not galaxy.artifact
        ):
            galaxies.append(galaxy)
            redshifts.append(redshift)
    return galaxies, np.array(redshifts)


def _kpc_per_arcsec(redshift: float | np.ndarray) -> float | np.ndarray:
    return COSMOLOGY.angular_diameter_distance(redshift).value * 1e3 * np.radians(1 / 3600)


def _render_files(galaxy: Galaxy, path: Path, mask_path: Path | None, seed: list[int]) -> None:
    render(galaxy, PIXELS, PIXEL_SCALE, np.random.default_rng(seed)).save(path, quality=92)
    if mask_path:
        Image.fromarray(bar_mask(galaxy, PIXELS, PIXEL_SCALE)).save(mask_path)


def _save_catalogue(
    folder: Path, truth: pd.DataFrame, redshift: np.ndarray, plan: SurveyPlan, rng: np.random.Generator
) -> None:
    """Write the bar catalogue, and the two tables that connect it with the images and the sizes."""
    count = len(truth)
    objid = 587_722_981_000_000_000 + np.sort(rng.choice(10**15, count, replace=False))
    ra, dec = rng.uniform(110, 260, count), np.degrees(np.arcsin(rng.uniform(-0.05, 0.93, count)))
    kpc_per_arcsec = _kpc_per_arcsec(redshift)

    people = rng.choice(list(PEOPLE), count, p=np.array(list(PEOPLE.values())) / sum(PEOPLE.values()))
    width = truth["bar_length_arcsec"] * truth["bar_axis_ratio"].clip(lower=0.15)
    lengths, widths = (
        [_measured(mean, plan.length_scatter * excess, n, rng) for mean, n in zip(size, people, strict=True)]
        for size, excess in ((truth["bar_length_arcsec"], 1.0), (width, 2.2))
    )
    catalogue = pd.DataFrame({"objid": objid, "ra": ra, "dec": dec})
    for name, values in (("length", lengths), ("width", widths)):
        catalogue[f"{name}_avg"] = [v.mean() for v in values] * kpc_per_arcsec
        catalogue[f"{name}_stdev"] = [v.std(ddof=1) for v in values] * kpc_per_arcsec
    catalogue["length_scaled"] = [v.mean() for v in lengths] / (LENGTH_UNIT * truth["petror90"])
    catalogue["bar_meas"] = people
    _save(folder / CATALOGUE, catalogue[CATALOGUE_COLUMNS])
    mapping = pd.DataFrame({"objid": objid, "sample": "original", "asset_id": truth["GalaxyID"]})
    _save(folder / MAPPING, mapping)
    _save(folder / SAMPLE, _photometry(truth, objid, ra, dec, redshift, kpc_per_arcsec, rng))


def _measured(size: float, scatter: float, people: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the measurements of ``people`` persons of one galaxy; some galaxies are harder to measure than others."""
    return size * np.exp(scatter * np.exp(0.35 * rng.standard_normal()) * rng.standard_normal(people))


def _photometry(truth, objid, ra, dec, redshift, kpc_per_arcsec, rng) -> pd.DataFrame:
    """Return the photometry of the galaxies in the columns of the published table."""
    count = len(truth)
    r_mag, old = truth["r_mag"], 1 - truth["disc_fraction"]
    colours = {
        "U": 2.1 + 0.5 * old,
        "G": 0.65 + 0.2 * old,
        "R": 0.0 * old,
        "I": -0.36 - 0.06 * old,
        "Z": -0.6 - 0.1 * old,
    }
    distance_modulus = COSMOLOGY.distmod(redshift).value
    petror50 = truth["petror90"] / (2.4 + 0.8 * old)
    disc_like = 1 - old
    table = {
        "OBJID": objid,
        "RUN": 752 + rng.integers(0, 4000, count),
        "RERUN": 40,
        "CAMCOL": rng.integers(1, 7, count),
        "FIELD": rng.integers(11, 600, count),
        "OBJ": rng.integers(1, 400, count),
        "RA": ra,
        "DEC": dec,
        "PETROR50_R": petror50,
        "PETROR90_R": truth["petror90"],
    }
    errors = {band: 0.01 * 10 ** (0.2 * (r_mag + colour - 15)) for band, colour in colours.items()}
    table |= {f"PETROMAG_{band}": r_mag + colour for band, colour in colours.items()}
    table |= {f"PETROMAGERR_{band}": error for band, error in errors.items()}
    table |= {
        "PSFMAG_R": r_mag + 2.5 * np.log10(truth["petror90"] / 2),
        "FIBERMAG_R": r_mag + 2.5 * np.log10(1 + petror50 / 1.5),
        "DEVMAG_R": r_mag - 0.15 * disc_like,
        "DEVMAGERR_R": errors["R"],
        "EXPMAG_R": r_mag + 0.2 * old,
        "EXPMAGERR_R": errors["R"],
        "FRACDEV_R": old,
        "MU50_R": r_mag + 2.5 * np.log10(2 * np.pi * petror50**2),
    }
    table |= {
        f"EXTINCTION_{band}": 0.03 * factor for band, factor in zip("UGRIZ", (5.2, 3.8, 2.8, 2.1, 1.5), strict=True)
    }
    for band in "UGRIZ":
        table |= {f"ROWC_{band}": rng.uniform(60, 1430, count), f"COLC_{band}": rng.uniform(60, 1980, count)}
    table |= {"CMODELMAG_R": r_mag, "CMODELMAGERR_R": errors["R"], "REDSHIFT": redshift, "REDSHIFTERR": 1e-4}
    table |= {f"PETROMAG_M{band}": r_mag + colour - distance_modulus for band, colour in colours.items()}
    table |= {f"PETROMAGERR_M{band}": error for band, error in errors.items()}
    r50_kpc, absolute = petror50 * kpc_per_arcsec, r_mag - distance_modulus
    table |= {
        "PETROR50_R_KPC": r50_kpc,
        "PETROR50_R_KPC_SIMPLE_BIN": np.clip(r50_kpc // 0.5, 0, 40).astype(int),
        "PETROMAG_MR_SIMPLE_BIN": np.clip((absolute + 24) // 0.25, 0, 40).astype(int),
        "REDSHIFT_SIMPLE_BIN": np.clip((redshift - 0.01) // 0.01, 0, 40).astype(int),
        "WVT_BIN": rng.integers(1, 200, count),
    }
    return pd.DataFrame(table)


def _save(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
