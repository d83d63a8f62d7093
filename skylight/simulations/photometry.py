"""Simulated photometry of variable stars: which stars a survey detects, when it observes them, and with which errors.

A `SurveyDesign` describes a survey by its bands, each with a `Cadence` and a `Noise`. `observe` simulates the light
curve of one star. `simulate` does so for a whole set, in parallel; the result does not depend on the number of
processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skylight.simulations.stars import AMPLITUDE, BRIGHTNESS, COLOUR, DRAW, Star

Array = np.ndarray

YEAR, MONTH = 365.25, 29.53  # days

# Number of stars of each class in the published set of CRTS (Mahabal et al. 2017, arXiv:1709.06257).
PUBLISHED = {"EW": 30593, "EA": 4658, "RRab": 2420, "RRc": 5433, "RRd": 500, "RS CVn": 1514, "LPV": 512}


@dataclass(frozen=True)
class Cadence:
    """When a survey observes a star: visits on some nights, a few exposures per visit.

    Attributes
    ----------
    days : float
        Length of the survey.
    season : float
        Days of each year in which the star is visible at night.
    dark : float
        Share of each month in which the moonlight allows observations.
    visits : (int, int, int)
        Smallest, median and largest number of visits to a star.
    gap : float
        Shortest time between visits, days.
    exposures : int
        Exposures per visit.
    spacing : float
        Mean time between the exposures of a visit, days.
    lost : float
        Share of the exposures that are lost.
    """

    days: float
    season: float
    dark: float
    visits: tuple[int, int, int]
    gap: float
    exposures: int
    spacing: float
    lost: float

    def times(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the times of the exposures (days since the survey's start, sorted) and the visit (0, 1, ...) of each."""
        fewest, median, most = self.visits
        wanted = int(np.clip(np.round(rng.lognormal(np.log(median), 0.4)), fewest, most))
        dawn, new_moon = rng.uniform(0, YEAR), rng.uniform(0, MONTH)

        available = self.season / YEAR * self.dark
        wait = max(self.days * available / wanted - self.gap, 0.3)
        nights = np.cumsum(self.gap + np.floor(rng.gamma(2.5, wait / 2.5, 4 * wanted + 400)))
        in_season = (nights - dawn) % YEAR < self.season
        moonless = (nights - new_moon) % MONTH < self.dark * MONTH
        nights = nights[(nights < self.days) & in_season & moonless][:most]

        # A star culminates four minutes earlier each night. The season starts with observations before dawn and ends
        # with observations after dusk.
        season_phase = (nights - dawn) % YEAR / self.season
        hour = 0.48 - 0.33 * season_phase + rng.normal(0, 0.035, len(nights))
        spacing = self.spacing * np.clip(rng.lognormal(0, 0.21, len(nights)), 0.1, 2.4)
        step = spacing[:, None] * (1 + rng.normal(0, 0.01, (len(nights), self.exposures)))
        times = (nights + hour)[:, None] + np.cumsum(step, axis=1)
        kept = rng.random(times.shape) >= self.lost
        visit = np.broadcast_to(np.arange(len(nights))[:, None], times.shape)
        return times[kept], visit[kept]


@dataclass(frozen=True)
class Noise:
    """The true errors of a survey's magnitudes, and the errors that the survey reports.

    Attributes
    ----------
    bright, faint : float
        Magnitudes of saturation and of the detection limit.
    floor : float
        Scatter of the brightest stars (mag).
    photon : float
        Magnitude at which the photon noise alone is 0.1 mag; it is proportional to flux^(-1/2).
    sky : float
        Magnitude at which the sky noise alone is 0.1 mag; it is proportional to 1 / flux.
    visit : float
        Scatter of the zero point from visit to visit (mag).
    reported : (float, float)
        Smallest error (mag) that the survey reports, and the factor by which it multiplies the photon and sky noise.
    outliers : float
        Share of outliers.
    """

    bright: float
    faint: float
    floor: float
    photon: float
    sky: float
    visit: float
    reported: tuple[float, float]
    outliers: float

    def scatter(self, mag: Array) -> Array:
        """Return the true scatter (mag) of a single measurement of magnitude ``mag``."""
        return np.hypot(self.floor, self._counting(mag))

    def error(self, mag: Array) -> Array:
        """Return the error (mag) that the survey reports for a measured magnitude ``mag``."""
        floor, factor = self.reported
        return np.hypot(floor, factor * self._counting(mag))

    def _counting(self, mag: Array) -> Array:
        mag = np.asarray(mag, float)
        return 0.1 * np.hypot(10 ** (0.2 * (mag - self.photon)), 10 ** (0.4 * (mag - self.sky)))

    def measure(self, mag: Array, visit: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw the measured magnitudes, the reported errors, and whether each exposure detects the star; (n,) each."""
        zero_points = rng.normal(0, self.visit, visit.max(initial=-1) + 1)
        measured = mag + zero_points[visit] + self.scatter(mag) * rng.standard_normal(len(mag))
        wild = rng.random(len(mag)) < self.outliers
        measured = np.where(wild, measured + rng.laplace(0, 0.5, len(mag)), measured)
        transparency = rng.lognormal(0, 0.03, visit.max(initial=-1) + 1)
        detected = (measured > self.bright) & (measured < self.faint)
        return measured, self.error(measured) * transparency[visit], detected


@dataclass(frozen=True)
class Band:
    """One filter of a survey: its name there, the nearest passband (clear, g, r or i), its cadence and noise."""

    name: str
    passband: str
    cadence: Cadence
    noise: Noise


@dataclass(frozen=True)
class SurveyDesign:
    """A survey of variable stars.

    Attributes
    ----------
    start : float
        MJD of the first night.
    bands : tuple of Band
        The survey finds its variables in the first band.
    fainter : float
        By how many magnitudes its variables are on average fainter than those of CRTS.
    fewest : int
        Smallest number of points, in the first band, of a light curve that it publishes.
    """

    start: float
    bands: tuple[Band, ...]
    fainter: float = 0.0
    fewest: int = 20


@dataclass(frozen=True)
class Photometry:
    """All measurements of one star, sorted by time: arrays (n,). ``band`` indexes the survey's bands."""

    time: Array
    mag: Array
    magerr: Array
    band: Array


def observe(survey: SurveyDesign, name: str, rng: np.random.Generator) -> Photometry:
    """Draw a star of class ``name`` whose variability ``survey`` would detect, and observe it."""
    while True:
        star, mean = draw_variable(survey, name, rng)
        parts = [_observe_band(band, index, name, star, mean, rng) for index, band in enumerate(survey.bands)]
        if len(parts[0][0]) >= survey.fewest:
            break
    time, mag, magerr, band = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(time, kind="stable")
    return Photometry(survey.start + time[order], mag[order], magerr[order], band[order])


def draw_variable(survey: SurveyDesign, name: str, rng: np.random.Generator) -> tuple[Star, float]:
    """Draw a star of class ``name`` and its mean V magnitude, such that the survey would detect its variability.

    The catalogue selects candidates by a variability index weighted with the reported errors (Drake et al. 2014,
    section 2): the rms of a light curve about its mean must be comparable to the error of a point. The catalogue's
    smallest amplitudes are 0.07 mag for bright stars and 0.25 mag at V = 18.5. They correspond to an rms of at least
    0.025 mag and 0.55 errors.
    """
    noise, passband = survey.bands[0].noise, survey.bands[0].passband
    while True:
        star = DRAW[name](rng)
        mean = rng.normal(*BRIGHTNESS[name]) + survey.fainter
        if not noise.bright < mean < noise.faint - 0.3:
            continue
        rms = np.std(star(np.linspace(0, star.period, 60, endpoint=False))) * AMPLITUDE[name][passband]
        if rms > max(0.025, 0.55 * noise.error(mean)):
            return star, mean


def _observe_band(band: Band, index: int, name: str, star: Star, mean: float, rng: np.random.Generator) -> tuple:
    time, visit = band.cadence.times(rng)
    mag = mean + _COLOUR_TERM[band.passband] * COLOUR[name] + AMPLITUDE[name][band.passband] * star(time)
    measured, error, detected = band.noise.measure(mag, visit, rng)
    return time[detected], measured[detected], error[detected], np.full(detected.sum(), index)


# Magnitude in a band minus V, in units of g - r (Jester et al. 2005, AJ 130, 873; r - i is near 0.4 (g - r)).
_COLOUR_TERM = {"clear": 0.0, "g": 0.59, "r": -0.41, "i": -0.81}


def class_counts(total: int) -> dict[str, int]:
    """Return the number of stars of each class in a set of about ``total``: the CRTS fractions, at least one each."""
    share = total / sum(PUBLISHED.values())
    return {name: max(1, round(share * published)) for name, published in PUBLISHED.items()}


def shuffled_classes(total: int, seed: int) -> list[str]:
    """Return the class of each star of a set of about ``total`` (`class_counts`), in random order."""
    stars = class_counts(total)
    return np.random.default_rng(seed).permutation(np.repeat(list(stars), list(stars.values()))).tolist()


def simulate(
    survey: SurveyDesign, names: list[str], write: Callable[[int, str, Photometry], Any], seed: int, workers: int = -1
) -> list[Any]:
    """Observe a star for each class name in ``names``; return what ``write(index, name, photometry)`` returns.

    Each star has its own random numbers, so the result does not depend on the number of processes ``workers`` (-1: one
    per core).
    """
    streams = np.random.SeedSequence(seed).spawn(len(names))
    chunks = np.array_split(np.arange(len(names)), max(1, len(names) // 200))
    done = Parallel(n_jobs=workers)(
        delayed(_simulate_chunk)(survey, [(i, names[i], streams[i]) for i in chunk], write) for chunk in chunks
    )
    return [result for chunk in done for result in chunk]


def _simulate_chunk(survey: SurveyDesign, stars: list[tuple], write: Callable) -> list[Any]:
    return [write(i, name, observe(survey, name, np.random.default_rng(stream))) for i, name, stream in stars]
