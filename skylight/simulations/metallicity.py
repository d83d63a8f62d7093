"""Simulated SDSS galaxies with gas metallicities, in the layout that `skylight.galaxies.metallicity` reads.

Masses, star formation, metallicities, sizes and colours follow published relations, which the constants cite. Two
outputs are not in the published data and are for the evaluation only: ``truth.csv`` with the properties of every
galaxy, and ``truth/<objID>.png`` with its local metallicity and its parts (`skylight.galaxies.local_metallicity`).
"""

import dataclasses
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from astropy.cosmology import FlatLambdaCDM
from PIL import Image
from tqdm import tqdm

from skylight.galaxies import local_metallicity
from skylight.galaxies.images import NATIVE_SCALE, SKY_NOISE, colour_picture
from skylight.galaxies.local_metallicity import LocalMetallicity
from skylight.galaxies.metallicity import CATALOGUE, IMAGES, PIXELS, class_names
from skylight.galaxies.photometry import BRIGHTNESS
from skylight.simulations.galaxies import (
    COLOURS,
    Galaxy,
    add_sky_noise,
    disc_plane,
    layers,
    sersic_index,
)

PUBLISHED = {"low": 21_403, "medium": 97_097, "high": 15_421}
"""Galaxies of each class in the published catalogue."""
COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
REDSHIFTS = (0.02, 0.18)
FAINTEST = 17.77
"""Petrosian r magnitude of the faintest galaxies of the spectroscopic survey (Strauss et al. 2002, AJ 124, 1810)."""
SUN = 4.65
"""Absolute r magnitude of the Sun."""
KNEE, SLOPE = 10.72, -1.45
"""Schechter function of the masses of blue galaxies: log of the characteristic mass, and slope (Baldry et al. 2012,
MNRAS 421, 621)."""
MEASURED = (9.9, 1.1)
"""Log mass at which half of the galaxies have a metallicity, and the width of the fall towards larger ones, where lines
are weak or those of an active nucleus (Kauffmann et al. 2003, MNRAS 346, 1055). It gives the published class shares."""
MASS_METALLICITY = (-0.08026, 1.847, -1.492)
"""12 + log(O/H) as a polynomial in the log of the stellar mass (Tremonti et al. 2004, ApJ 613, 898, eq. 3)."""
STAR_FORMATION = 0.32
"""Metallicity follows log(mass) - 0.32 log(SFR) (Mannucci et al. 2010, MNRAS 408, 2115)."""
GRADIENT, GRADIENT_SCATTER, FLAT = -0.10, 0.06, 2.0
"""Metallicity gradient of discs, dex per effective radius, its scatter, and the radius beyond which there is none
(Sanchez et al. 2014, A&A 563, A49)."""
CLUMPS = (-0.25, 0.04)
"""Metallicity of the star-forming regions minus that of the disc around them, dex, at log mass 9 and at 10.5: lower in
dwarfs (Sanchez Almeida et al. 2015, ApJ 810, L15), a little higher in arms of massive spirals (Sanchez-Menguiano et al.
2020, MNRAS 492, 4149)."""
METALLICITY_SCATTER = ((8.5, 9.0, 9.5, 10.0, 10.5, 11.0), (0.20, 0.17, 0.13, 0.10, 0.08, 0.07))
"""Scatter of the metallicities, dex, by log mass (Tremonti et al. 2004, table 3)."""
COLOUR, COLOUR_SLOPE = 0.615, 0.20
"""g - r of discs of 1e10 solar masses seen face-on, and its change per dex of mass."""
YOUNG, OLD = 0.30, 0.45
"""How much bluer than the disc the arms are; g - r of the bulge is half that of the disc plus the second number."""
R_I, LINES, R_I_SCATTER = (0.057, 0.33), 0.13, 0.05
"""r - i as a line in g - r, its change per dex of metallicity (metal-poor galaxies have bright emission lines in g and
r), and its scatter; fitted to the 104 low and high galaxies of Wu & Boada 2019 that are public."""
SIZE, SIZE_SCATTER = 1.12, 0.2
"""Factor on the published effective radii, and the scatter of their logarithms."""
DISC_SCALE = 0.26
"""Scale length of the disc in Petrosian radii."""
SHIFT = 0.35
"""Shift of the pictures on the survey's server, pixels."""
FIBRE_RADIUS = 1.0
"""Mean radius of the light in the survey's fibre, 3 arcsec wide, arcsec."""
QUALITY = 92
"""JPEG quality of the pictures."""
BROKEN = 0.003
"""Share of the pictures that are cut off in the middle of the file."""
MASKED = 0.01
"""Share of the pictures with a masked (black) trail of a satellite or a bright star."""


COLUMNS = ["objID", "ra", "dec", "z", "petroMag_r", "petroR50_r", "lgm_tot_p50", "sfr_tot_p50", "oh_p50"]
TRUE_COLUMNS = ["log_mass", "excess", "gradient", "clump_excess"]


@dataclasses.dataclass(frozen=True)
class SurveyPlan:
    """How many galaxies to simulate."""

    scale: float
    """Number of galaxies of the classes low and high, as a share of the published number."""
    medium: float
    """Number of galaxies of the class between, as a share of ``scale`` times the published number."""
    seed: int


def simulate(folder: Path, plan: SurveyPlan) -> None:
    """Write a survey to ``folder``. The same plan gives the same files for any number of processes."""
    rng = np.random.default_rng(plan.seed)
    counts = {name: max(1, round(plan.scale * count)) for name, count in PUBLISHED.items()}
    counts["medium"] = round(plan.medium * counts["medium"])
    table = draw_survey(rng, counts)
    galaxies = [_galaxy(rng, row) for row in table.itertuples()]

    folder = folder.resolve()  # the worker processes may run in another folder
    for name in (Path(CATALOGUE).parent, IMAGES, local_metallicity.FOLDER):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _save(folder / CATALOGUE, table[COLUMNS])
    structure = pd.DataFrame([dataclasses.asdict(galaxy) for galaxy in galaxies])
    _save(folder / local_metallicity.TABLE, table[["objID", *TRUE_COLUMNS]].join(structure))
    jobs = (
        joblib.delayed(_write)(folder, row, galaxy, [plan.seed, k])
        for k, (row, galaxy) in enumerate(zip(table.to_dict("records"), galaxies, strict=True))
    )
    done = joblib.Parallel(n_jobs=-1, batch_size=16, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, total=len(table), desc="rendering", unit="galaxy", disable=None):
        pass


def draw_survey(rng: np.random.Generator, counts: dict[str, int]) -> pd.DataFrame:
    """Draw galaxies as a flux-limited survey sees them, until there are enough of each class.

    Parameters
    ----------
    rng : np.random.Generator
    counts : dict
        Number of galaxies of each class.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS` and `TRUE_COLUMNS` of each galaxy, in random order.
    """
    parts, missing = [], dict(counts)
    while any(missing.values()):
        drawn = _draw(rng, 4 * sum(missing.values()) + 100)
        names = class_names(drawn["oh_p50"].to_numpy())
        for name, count in missing.items():
            found = drawn[names == name][:count]
            parts.append(found)
            missing[name] = count - len(found)
    table = pd.concat(parts, ignore_index=True)
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    objid = 1_237_648_000_000_000_000 + np.sort(rng.choice(10**15, len(table), replace=False))
    return table.assign(objID=objid.astype(str))


def _draw(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Draw galaxies above the flux limit: masses by the mass function times the volume in which they are seen."""
    grid = np.arange(7.6, 11.5, 0.01)
    ratio = 10 ** (grid - KNEE)
    near, far = REDSHIFTS
    seen = np.clip(_redshift_limit(_absolute_magnitude(grid, 0.0)), near, far)
    weights = ratio ** (SLOPE + 1) * np.exp(-ratio) * np.maximum(seen**3 - near**3, 0)
    weights /= 1 + 10 ** ((grid - MEASURED[0]) / MEASURED[1])
    log_mass = rng.choice(grid, count, p=weights / weights.sum()) + rng.uniform(-0.005, 0.005, count)
    excess = 0.3 * rng.standard_normal(count)  # star formation above that of the main sequence, dex
    absolute = _absolute_magnitude(log_mass, excess) + 0.15 * rng.standard_normal(count)
    limit = np.clip(_redshift_limit(absolute), near + 1e-4, far)
    z = rng.uniform(near**3, limit**3) ** (1 / 3)

    mean = np.polyval(MASS_METALLICITY, np.minimum(log_mass - STAR_FORMATION * excess, 11.4))
    scatter = np.interp(log_mass, *METALLICITY_SCATTER)
    kpc = COSMOLOGY.angular_diameter_distance(np.linspace(0.01, 0.2, 200)).value * 1e3 * np.radians(1 / 3600)
    mass = 10**log_mass
    radius = 0.1 * mass**0.14 * (1 + mass / 3.98e10) ** 0.25  # Shen et al. 2003, MNRAS 343, 978, eq. 18
    radius *= SIZE * np.exp(SIZE_SCATTER * rng.standard_normal(count))
    r50 = radius / np.interp(z, np.linspace(0.01, 0.2, 200), kpc)
    r_mag = absolute + COSMOLOGY.distmod(z).value + z  # the last term is the k-correction
    sfr = 0.7 * log_mass - 7.0 + excess  # main sequence, Elbaz et al. 2007, A&A 468, 33
    table = pd.DataFrame(
        {
            "ra": rng.uniform(110, 260, count),
            "dec": np.degrees(np.arcsin(rng.uniform(-0.05, 0.93, count))),
            "z": z,
            "petroMag_r": r_mag,
            "petroR50_r": r50,
            "lgm_tot_p50": log_mass + 0.08 * rng.standard_normal(count),
            "sfr_tot_p50": sfr + 0.2 * rng.standard_normal(count),
            "oh_p50": mean + scatter * rng.standard_normal(count),
            "log_mass": log_mass,
            "excess": excess,
            "gradient": GRADIENT + GRADIENT_SCATTER * rng.standard_normal(count),
            "clump_excess": np.interp(log_mass, [9, 10.5], CLUMPS),
        }
    )
    return table[table["petroMag_r"] <= FAINTEST].reset_index(drop=True)


def _absolute_magnitude(log_mass: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the absolute r magnitude; log(M/L) = 1.097 (g - r) - 0.306 (Bell et al. 2003, ApJS 149, 289)."""
    return SUN - 2.5 * (log_mass - 1.097 * _colour(log_mass, excess) + 0.306 + 0.15)


def _colour(log_mass: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return g - r of a face-on star-forming galaxy: redder with mass, bluer with star formation."""
    return np.clip(COLOUR + COLOUR_SLOPE * (log_mass - 10) - 0.12 * excess, 0.1, 0.9)


def _redshift_limit(absolute: np.ndarray) -> np.ndarray:
    """Return the redshift at which a galaxy has the magnitude `FAINTEST`."""
    z = np.linspace(0.005, 0.25, 500)
    return np.interp(FAINTEST - absolute, COSMOLOGY.distmod(z).value + z, z)


def _galaxy(rng: np.random.Generator, row) -> Galaxy:
    """Draw the structure of a galaxy: bulge, bar and arms by its mass, the rest at random."""
    massive = float(np.clip((row.log_mass - 9) / 1.7, 0, 1))  # 0 is a dwarf, 1 a large spiral
    bulge = float(np.clip(0.25 * massive**1.5 * np.exp(0.6 * rng.standard_normal()), 0, 0.6))
    bar = float(rng.uniform(0.04, 0.15)) if rng.random() < 0.3 else 0.0
    cos_inclination = float(np.sqrt(rng.uniform(0.18**2, 1)))  # galaxies edge-on are dimmed by dust and often missed
    return Galaxy(
        petror90=2.4 * float(row.petroR50_r),
        r_mag=float(row.petroMag_r),
        seeing=float(np.clip(1.32 * np.exp(0.12 * rng.standard_normal()), 0.9, 1.9)),
        cos_inclination=cos_inclination,
        position_angle=float(rng.uniform(0, np.pi)),
        disc_fraction=1 - bulge - bar,
        disc_scale=DISC_SCALE,
        bulge_radius=float(rng.uniform(0.06, 0.14)),
        bulge_index=sersic_index(rng.uniform(1, 3)),
        bar_fraction=bar,
        bar_radius=float(rng.uniform(0.2, 0.5)),
        bar_axis_ratio=float(rng.uniform(0.2, 0.4)),
        bar_angle=float(rng.uniform(0, np.pi)),
        arm_fraction=float(rng.uniform(0.15, 0.45)),
        arm_count=int(rng.choice([1, 2, 3, 4], p=[0.15, 0.55, 0.15, 0.15])),
        pitch=float(np.radians(np.clip(rng.normal(21, 6), 9, 40)) * rng.choice([-1, 1])),
        arm_sharpness=float(rng.uniform(0.3, 1.0) + 2 * massive * rng.random()),
        ring_fraction=0.0,
        clumpiness=float(np.clip(rng.normal(1.0 - 0.6 * massive, 0.2), 0, 1.4)),
        dust_lane=float(rng.uniform(0.2, 0.5)) * massive if cos_inclination < 0.3 else 0.0,
        companion=float(rng.uniform(0.05, 0.4)) if rng.random() < 0.05 else 0.0,
        artifact=False,
    )


def colours_of(row: dict, galaxy: Galaxy, rng: np.random.Generator) -> dict[str, tuple]:
    """Return the fluxes in g, r and i of the stars of one galaxy, for an r-band flux of 1 (as `COLOURS`).

    Mass, star formation, redshift and the dust of an inclined disc redden all of them.
    """
    dust = 0.12 * np.clip(row["log_mass"] - 9, 0, 1.5) * (1 - galaxy.cos_inclination)
    disc = float(_colour(row["log_mass"], row["excess"])) + dust + 0.7 * row["z"] + 0.11 * rng.standard_normal()
    g_r = {"disc": disc, "young": disc - YOUNG, "old": max(disc + 0.05, 0.5 * disc + OLD)}
    redder = LINES * (row["oh_p50"] - 8.9) + R_I_SCATTER * rng.standard_normal()
    r_i = {name: R_I[0] + R_I[1] * colour + redder for name, colour in g_r.items()}
    found = {name: (10 ** (-0.4 * g_r[name]), 1.0, 10 ** (0.4 * r_i[name])) for name in g_r}
    return {**COLOURS, **found}


def _write(folder: Path, row: dict, galaxy: Galaxy, seed: list[int]) -> None:
    """Write the picture and the truth of one galaxy."""
    rng = np.random.default_rng(seed)
    light = dict(layers(galaxy, PIXELS, rng, colours_of(row, galaxy, rng)))
    local_metallicity.write(folder / local_metallicity.FOLDER / f"{row['objID']}.png", true_map(row, galaxy, light))
    bands = sum(light.values())
    add_sky_noise(bands, rng)
    picture = _resampled(Image.fromarray(colour_picture(BRIGHTNESS * bands)), rng)
    if rng.random() < MASKED:
        picture.paste(0, (0, (at := int(rng.integers(PIXELS))), PIXELS, at + int(rng.integers(2, 12))))
    path = folder / IMAGES / f"{row['objID']}.jpg"
    picture.save(path, quality=QUALITY)
    if rng.random() < BROKEN:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])


def _resampled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shift a picture by a part of a pixel, as the image server does, which smooths the noise."""
    x, y = SHIFT * rng.choice([-1, 1], 2)
    shifted = (1, 0, x, 0, 1, y)
    return picture.transform(picture.size, Image.Transform.AFFINE, shifted, Image.Resampling.BILINEAR)


def true_map(row: dict, galaxy: Galaxy, light: dict[str, np.ndarray]) -> LocalMetallicity:
    """Return where the metals and the parts of a galaxy are.

    The metallicity falls with radius from that in the fibre, and differs in the star-forming clumps in proportion to
    their share of the light.

    Parameters
    ----------
    row : dict
        A row of `draw_survey`.
    galaxy : Galaxy
    light : dict of str to np.ndarray, (3, H, W)
        See `skylight.simulations.galaxies.layers`.
    """
    nothing = np.zeros(light["neighbours"].shape[1:])
    smooth, young, bulge, bar = (light.get(name, [0, nothing])[1] for name in ("disc", "arms", "bulge", "bar"))
    x, y = disc_plane(galaxy, PIXELS, NATIVE_SCALE / galaxy.petror90)
    effective = 1.678 * galaxy.disc_scale
    radius = np.hypot(x, y) / effective
    own, other = smooth + young + bulge + bar, light["neighbours"][1]
    metallicity = row["oh_p50"] + row["gradient"] * (np.minimum(radius, FLAT) - _fibre(galaxy) / effective)
    metallicity += row["clump_excess"] * young / np.maximum(young + smooth, 1e-9)

    neighbours = (other > own) & (other > SKY_NOISE["r"])
    in_bulge = ~neighbours & (bulge > smooth + young) & (own > SKY_NOISE["r"])
    clumps = ~neighbours & ~in_bulge & (young > 0.5 * smooth) & (own > SKY_NOISE["r"])
    disc = ~neighbours & ~in_bulge & ~clumps & (np.hypot(x, y) <= 1)
    parts = {"disc": disc, "bulge": in_bulge, "clumps": clumps, "neighbours": neighbours}
    return LocalMetallicity(metallicity, radius, parts)


def _fibre(galaxy: Galaxy) -> float:
    """Return the mean radius of the light in the fibre, in ``petror90``, but no more than an effective radius."""
    return min(FIBRE_RADIUS / galaxy.petror90, 1.678 * galaxy.disc_scale)


def _save(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
