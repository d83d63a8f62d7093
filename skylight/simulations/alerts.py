"""Simulated ZTF alerts, real and bogus, in the packets and the label table that the survey publishes.

An exposure and a reference image of the same sky are drawn, each with its own seeing, depth and noise. The difference
is the exposure minus the reference convolved to the exposure's seeing, with the small errors of position, gain and
width that real image subtraction has. The cutouts are centred on the highest peak of the difference: a source whose
brightness has changed (real), or an artifact of the subtraction or of the detector (bogus). One model makes both
classes. A supernova on a bright galaxy therefore lies among the galaxy's residuals, and a badly subtracted star can
look like a star that has brightened.

Sky level, noise, seeing, zero point and limiting magnitude are those of the survey's own packets (Bellm et al. 2019,
PASP 131, 018002; Masci et al. 2019, PASP 131, 018003). Seeing, noise, crowding, and the brightness of variable stars
and of host galaxies follow 262 real packets (`skylight.alerts.realism`). For a candidate that has faded, the difference
is reference minus science, so that the candidate is positive, as braai expects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import galsim
import joblib
import numpy as np
import pandas as pd
from scipy import ndimage
from tqdm import tqdm

from skylight.alerts.packets import CANDIDATE_COLUMNS, CUTOUTS, LABELS, SIDE, TRUTH, packed, write

Array = np.ndarray
Rng = np.random.Generator

PUBLISHED = {"real": 7992, "bogus": 3564}
"""Number of alerts of each class in the published set (Duev et al. 2019)."""
FIELD = 96
"""Rows and columns of the simulated images, in pixels of 1 arcsec; the cutouts come from the middle."""
FINE = 2
"""Samples per pixel along each axis. With one sample the seeing would be undersampled, and bright stars would ring."""
_SAMPLES = FINE * FIELD
_UP = 2 * np.pi * FINE * np.fft.fftfreq(_SAMPLES)
_ALONG = 2 * np.pi * FINE * np.fft.rfftfreq(_SAMPLES)
_FREQUENCIES = (len(_UP), len(_ALONG))
GAIN = 6.2
"""Electrons per data number (DN)."""
READ_NOISE = 1.7
"""Read noise of one exposure, DN."""
FULL_WELL = 45_000.0
"""Level at which a pixel saturates and bleeds along its column, DN."""
THRESHOLD = 5.0
"""Smallest signal-to-noise ratio of a candidate, in the difference filtered with the point spread function."""


@dataclass
class Sky:
    """A small field of the sky and how the survey observes it; the functions that make a candidate change it.

    Brightness is in DN of the exposure. Positions are x, y in pixels from the middle of the field.
    """

    band: int
    zero_point: float
    level: float
    """Sky background in the published image, DN."""
    removed: float
    """Background that the survey has taken off the image before, whose noise stays, DN."""
    seeing: float
    """Full width at half maximum in the exposure, pixels."""
    beta: float
    """Moffat index beta of the point spread function: how steep its wings are."""
    shear: tuple[float, float]
    reference_seeing: float
    frames: int
    """Number of exposures in the reference."""
    offset: tuple[float, float]
    """Registration error of the reference in the subtraction, pixels."""
    gain_error: float
    width_error: float
    """Relative errors of the flux scale and of the seeing to which the reference is matched."""
    shear_error: tuple[float, float]
    now: Array = field(default_factory=lambda: np.zeros(_FREQUENCIES, complex), repr=False)
    before: Array = field(default_factory=lambda: np.zeros(_FREQUENCIES, complex), repr=False)
    """Fourier transforms of the sky at the time of the exposure, and at the time of the reference."""
    detector: Array = field(default_factory=lambda: np.zeros((FIELD, FIELD)), repr=False)
    """Signal that the detector adds to the exposure, DN."""
    masked: Array = field(default_factory=lambda: np.zeros((FIELD, FIELD), bool), repr=False)
    """Pixels of the difference that the survey's pipeline has masked."""
    uncovered: Array = field(default_factory=lambda: np.zeros((FIELD, FIELD), bool), repr=False)
    """Pixels that the reference does not cover."""
    edges: list[int] = field(default_factory=lambda: [FIELD] * 4)
    """Distances from the middle to the lower, upper, left and right edge of the detector, pixels."""
    sources: list[tuple[float, float, float]] = field(default_factory=list, repr=False)
    """Position and flux of each source in the reference: x, y, flux."""

    def flux(self, magnitude: float) -> float:
        """Return the flux (DN) of a source of a magnitude."""
        return 10 ** (0.4 * (self.zero_point - magnitude))

    @property
    def limit(self) -> float:
        """Magnitude of a point source whose signal-to-noise ratio in the difference is 5."""
        noise = np.hypot(np.sqrt((self.level + self.removed) / GAIN), READ_NOISE) * np.sqrt(1 + 1 / self.frames)
        return self.zero_point - 2.5 * np.log10(THRESHOLD * noise * 1.5 * self.seeing)

    def star(self, x: float, y: float, before: float, now: float | None = None) -> None:
        """Add a point source of flux ``before`` in the reference and ``now`` in the exposure (default: ``before``)."""
        wave = _point(x, y)
        self.before += before * wave
        self.now += (before if now is None else now) * wave
        self._note(x, y, before)

    def galaxy(self, x: float, y: float, flux: float, radius: float, index: float, axis_ratio: float, angle: float):
        """Add a Sersic profile; ``radius`` is the half-light radius in pixels, ``angle`` is in radians."""
        shape = galsim.Sersic(index, half_light_radius=radius, flux=flux, gsparams=_COARSE)
        wave = _point(x, y) * _shape(shape.shear(q=axis_ratio, beta=angle * galsim.radians))
        self.before += wave
        self.now += wave
        self._note(x, y, flux)

    def _note(self, x: float, y: float, flux: float) -> None:
        if flux > 0:
            self.sources.append((x, y, flux))


_COARSE = galsim.GSParams(folding_threshold=0.02, kvalue_accuracy=1e-3, maximum_fft_size=8192)


def _point(x: float, y: float) -> Array:
    """Return the Fourier transform of a point source of flux 1 at ``x``, ``y`` from the middle of the field."""
    return np.outer(np.exp(-1j * _UP * (y + FIELD // 2)), np.exp(-1j * _ALONG * (x + FIELD // 2)))


def _shape(shape: galsim.GSObject) -> Array:
    """Return the Fourier transform of a shape centred on the origin."""
    drawn = shape.drawKImage(nx=_SAMPLES, ny=_SAMPLES, scale=2 * np.pi / FIELD)
    return np.fft.ifftshift(drawn.array)[:, : len(_ALONG)]


def _moffat(width: float, beta: float, shear: tuple[float, float]) -> Array:
    """Return the Fourier transform of a Moffat point spread function of flux 1, centred on the origin."""
    y, x = (np.mgrid[:_SAMPLES, :_SAMPLES] - _SAMPLES // 2) / FINE
    g1, g2 = shear
    squared = (1 - 2 * g1) * x**2 + (1 + 2 * g1) * y**2 - 4 * g2 * x * y  # to first order in the shear
    profile = (1 + squared * (4 * (2 ** (1 / beta) - 1) / width**2)) ** -beta
    return np.fft.rfft2(np.fft.ifftshift(profile / profile.sum()))


def _pixels(transform: Array) -> Array:
    """Return the image of a Fourier transform, sampled at the centre of each pixel."""
    return FINE**2 * np.fft.irfft2(transform)[::FINE, ::FINE]


def draw_sky(rng: Rng) -> Sky:
    """Draw an exposure, its reference, and the stars and galaxies of the field."""
    seeing = float(np.clip(2.35 * np.exp(0.22 * rng.standard_normal()), 1.6, 4.5))
    sky = Sky(
        band=int(rng.integers(1, 3)),
        zero_point=float(rng.normal(26.22, 0.1)),
        level=float(np.clip(160 * np.exp(0.45 * rng.standard_normal()), 80, 900)),
        removed=float(rng.exponential(700)) if rng.random() < 0.6 else 0.0,
        seeing=seeing,
        beta=float(rng.uniform(2.8, 4.5)),
        shear=tuple(rng.normal(0, 0.02, 2)),
        reference_seeing=float(np.clip(seeing / rng.normal(1.15, 0.12), 1.6, 3.6)),
        frames=int(rng.integers(15, 41)),
        offset=tuple(rng.normal(0, 0.05, 2)),
        gain_error=float(rng.normal(0, 0.008)),
        width_error=float(rng.normal(0, 0.012)),
        shear_error=tuple(rng.normal(0, 0.004, 2)),
    )
    crowding = np.exp(1.1 * rng.standard_normal())
    for _ in range(min(rng.poisson(12 * crowding), 250)):
        # The number of stars grows with magnitude as 10^(0.25 m).
        magnitude = 22.3 + np.log10(1 - rng.random()) / 0.25
        sky.star(*_anywhere(rng), sky.flux(max(magnitude, 12.5)))
    for _ in range(rng.poisson(3)):
        magnitude = 22.3 + np.log10(1 - rng.random()) / 0.45
        _add_galaxy(sky, *_anywhere(rng), max(magnitude, 16), rng)
    return sky


def _anywhere(rng: Rng) -> Array:
    return rng.uniform(-46, 46, 2)


def _radius(magnitude: float) -> float:
    """Return the typical half-light radius of a galaxy, pixels."""
    return float(np.clip(1.6 * 10 ** (0.13 * (20.5 - magnitude)), 0.5, 12))


def _add_galaxy(sky: Sky, x: float, y: float, magnitude: float, rng: Rng) -> None:
    """Add a galaxy with a core, and with clumps if it is a large disc."""
    radius = _radius(magnitude) * np.exp(0.3 * rng.standard_normal())
    disc = rng.random() < 0.65
    index = float(rng.choice([1.0, 1.5]) if disc else rng.choice([2.5, 3.0, 4.0]))
    axis_ratio, angle = rng.uniform(0.3 if disc else 0.6, 1), rng.uniform(0, np.pi)
    flux = sky.flux(magnitude)
    clumps = rng.integers(10, 40) if disc and radius > 3 else 0
    share = rng.uniform(0.05, 0.3) if clumps else 0.0
    core = rng.uniform(0, 0.2)  # a nucleus that the survey does not resolve
    sky.star(x, y, flux * core)
    sky.galaxy(x, y, flux * (1 - share - core), radius, index, axis_ratio, angle)
    for _ in range(clumps):
        distance, turn = radius * rng.gamma(2, 0.6), rng.uniform(0, 2 * np.pi)
        u, v = distance * np.cos(turn), axis_ratio * distance * np.sin(turn)
        cos, sin = np.cos(angle), np.sin(angle)
        sky.star(x + cos * u - sin * v, y + sin * u + cos * v, flux * share / clumps)


def _transient_flux(sky: Sky, rng: Rng) -> float:
    """Draw the flux of a change; most are less than two magnitudes above the detection limit, as in the survey."""
    return sky.flux(sky.limit - 0.2 - rng.gamma(1.4, 1.3))


def _empty_sky(sky: Sky, rng: Rng) -> None:
    sky.star(*rng.uniform(-0.5, 0.5, 2), 0.0, _transient_flux(sky, rng))


def _variable_star(sky: Sky, rng: Rng) -> None:
    """Add a star that has changed: magnitudes in the reference, and of the change, as in the survey's own packets."""
    before = sky.flux(np.clip(rng.normal(16.8, 1.9), 12.3, 21))
    change = before * 10 ** (-0.4 * rng.normal(1.5, 0.75))
    sign = 1 if rng.random() < 0.5 or change > before else -1
    sky.star(*rng.uniform(-0.5, 0.5, 2), before, before + sign * change)


def _in_galaxy(sky: Sky, rng: Rng) -> None:
    magnitude = rng.triangular(14, 17.5, 21)
    _near_galaxy(sky, rng, magnitude, _radius(magnitude) * rng.uniform(0.1, 1))


def _in_core(sky: Sky, rng: Rng) -> None:
    """Add a change of an active nucleus, or a transient within a pixel or so of the core of its galaxy."""
    _near_galaxy(sky, rng, rng.triangular(14, 16.5, 20), rng.exponential(0.3))


def _beside_galaxy(sky: Sky, rng: Rng) -> None:
    magnitude = rng.triangular(14, 17.5, 21)
    _near_galaxy(sky, rng, magnitude, _radius(magnitude) * rng.uniform(1, 3.5))


def _near_galaxy(sky: Sky, rng: Rng, magnitude: float, distance: float) -> None:
    x, y = rng.uniform(-0.5, 0.5, 2)
    turn = rng.uniform(0, 2 * np.pi)
    _add_galaxy(sky, x + distance * np.cos(turn), y + distance * np.sin(turn), magnitude, rng)
    sky.star(x, y, 0.0, _transient_flux(sky, rng))


def _dipole(sky: Sky, rng: Rng) -> None:
    shift, turn = rng.uniform(0.15, 0.6), rng.uniform(0, 2 * np.pi)
    sky.offset = (shift * np.cos(turn), shift * np.sin(turn))
    x, y = rng.uniform(-0.5, 0.5, 2)
    if rng.random() < 0.75:
        sky.star(x, y, sky.flux(rng.triangular(13, 16.5, 19)))
    else:
        _add_galaxy(sky, x, y, rng.uniform(14.5, 18.5), rng)


def _residual(sky: Sky, rng: Rng) -> None:
    sky.width_error = float(rng.choice([-1, 1]) * rng.uniform(0.02, 0.08))
    sky.gain_error = float(rng.normal(0, 0.01))
    sky.shear_error = tuple(rng.normal(0, 0.02, 2))
    x, y = rng.uniform(-0.5, 0.5, 2)
    if rng.random() < 0.85:
        sky.star(x, y, sky.flux(rng.uniform(11.5, 16.5)))
    else:
        _add_galaxy(sky, x, y, rng.uniform(14, 17), rng)


def _cosmic_ray(sky: Sky, rng: Rng) -> None:
    """Add a straight track of charge; a particle that arrives vertically leaves a point."""
    length, turn = min(rng.exponential(2.5), 20), rng.uniform(0, np.pi)
    charge = 10 ** rng.uniform(1.9, 3.6) * (1 + length / 2)
    steps = np.linspace(-0.5, 0.5, 40) * length
    x, y = rng.uniform(-0.5, 0.5, 2)
    track = _deposit(x + steps * np.cos(turn), y + steps * np.sin(turn), charge / 40)
    sky.detector += ndimage.gaussian_filter(track, rng.uniform(0.25, 0.55))


def _hot_pixel(sky: Sky, rng: Rng) -> None:
    charge = _deposit(np.zeros(1), np.zeros(1), 10 ** rng.uniform(1.8, 3.8))
    spill = rng.uniform(0, 0.15) * rng.random((3, 3))
    spill[1, 1] = 1
    sky.detector += ndimage.convolve(charge, spill)


def _deposit(x: Array, y: Array, charge: float) -> Array:
    """Return an image (FIELD, FIELD) with ``charge`` added at each point."""
    pixels = np.zeros((FIELD, FIELD))
    np.add.at(pixels, (np.rint(y).astype(int) + FIELD // 2, np.rint(x).astype(int) + FIELD // 2), charge)
    return pixels


def _bad_column(sky: Sky, rng: Rng) -> None:
    width = int(rng.integers(1, 4))
    column = FIELD // 2 + int(rng.integers(-1, 2))
    start = 0 if rng.random() < 0.5 else FIELD // 2 - int(rng.integers(0, 25))
    level = float(rng.choice([-1, 1], p=[0.35, 0.65])) * 10 ** rng.uniform(1.0, 2.6)
    rows = np.s_[start:] if rng.random() < 0.5 else np.s_[: FIELD - start]
    sky.detector[rows, column : column + width] += max(level, -0.8 * sky.level)
    if rng.random() < 0.25:
        sky.masked[rows, column : column + width] = rng.random() < 0.7


def _bleed(sky: Sky, rng: Rng) -> None:
    """Add a saturated star in the same column, whose charge has bled to the middle."""
    distance = float(rng.choice([-1, 1]) * rng.uniform(0, 34))
    sky.star(rng.uniform(-1, 1), distance, sky.flux(rng.uniform(9.0, 11.8)))
    if rng.random() < 0.5:
        sky.width_error = float(rng.normal(0, 0.04))


def _edge(sky: Sky, rng: Rng) -> None:
    """Put the detector's edge near the middle; the uneven signal of its last rows makes the candidate."""
    side, distance = int(rng.integers(4)), int(rng.integers(1, 20))
    sky.edges[side] = distance
    depth = np.arange(FIELD) - (FIELD // 2 - distance)
    glow = 10 ** rng.uniform(1.0, 2.5) * np.exp(-np.clip(depth, 0, None) / rng.uniform(0.5, 3))
    glow = glow * np.where(depth >= 0, 1, 0) * rng.choice([-1, 1], p=[0.3, 0.7])
    ragged = 1 + 0.7 * rng.standard_normal(FIELD)
    strip = np.outer(np.maximum(glow, -0.8 * sky.level), np.clip(ragged, 0, 3))
    sky.detector += (strip, strip[::-1], strip.T, strip.T[:, ::-1])[side]
    if rng.random() < 0.5:
        _residual(sky, rng)


def _blanked(sky: Sky, rng: Rng) -> None:
    """Mask part of the image, around a star or where the reference ends; the candidate lies at the border."""
    y, x = np.mgrid[:FIELD, :FIELD] - FIELD // 2
    turn = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.6:
        radius = rng.uniform(3, 14)
        distance = radius + rng.uniform(0.5, 3)
        centre = distance * np.cos(turn), distance * np.sin(turn)
        sky.star(*centre, sky.flux(rng.uniform(10, 13.5)))
        sky.masked |= np.hypot(x - centre[0], y - centre[1]) < radius
    else:
        side = np.rint(2 * turn / np.pi) * np.pi / 2
        sky.uncovered |= x * np.cos(side) + y * np.sin(side) > rng.uniform(2, 20)
    (_residual if rng.random() < 0.6 else _dipole)(sky, rng)


REAL: dict[str, tuple[float, Callable[[Sky, Rng], None]]] = {
    "empty sky": (0.20, _empty_sky),
    "variable star": (0.40, _variable_star),
    "in a core": (0.12, _in_core),
    "in a galaxy": (0.14, _in_galaxy),
    "beside a galaxy": (0.14, _beside_galaxy),
}
BOGUS: dict[str, tuple[float, Callable[[Sky, Rng], None]]] = {
    "dipole": (0.20, _dipole),
    "bright star residual": (0.26, _residual),
    "cosmic ray": (0.14, _cosmic_ray),
    "hot pixel": (0.06, _hot_pixel),
    "bad column": (0.09, _bad_column),
    "saturation bleed": (0.09, _bleed),
    "edge": (0.06, _edge),
    "blanked": (0.10, _blanked),
}
"""Kinds of candidates: the share of each in its class, and the function that makes it."""


@dataclass(frozen=True)
class Candidate:
    """The cutouts and measurements that the survey publishes for a detection."""

    cutouts: tuple[Array, Array, Array]
    """Science, reference and difference: at most `SIDE` rows and columns, NaN where masked."""
    measured: dict[str, object]
    """Fields of the ``candidate`` block."""


def draw_candidate(label: str, rng: Rng) -> tuple[str, Candidate]:
    """Draw a candidate of class ``real`` or ``bogus`` that the survey would detect; return its kind and itself."""
    kinds = {"real": REAL, "bogus": BOGUS}[label]
    names, shares = list(kinds), np.array([share for share, _ in kinds.values()])
    name = str(rng.choice(names, p=shares / shares.sum()))
    while True:
        sky = draw_sky(rng)
        kinds[name][1](sky, rng)
        if name != "edge" and rng.random() < 0.03:  # any source can lie near the detector's edge
            sky.edges[rng.integers(4)] = int(rng.integers(8, SIDE // 2))
        found = observe(sky, 1 if label == "real" else 6, rng)
        # A person would not label an alert as real if its source is masked.
        if found is not None and (label == "bogus" or not found.measured["nbad"]):
            return name, found


def observe(sky: Sky, search: int, rng: Rng) -> Candidate | None:
    """Expose, subtract, and detect the highest peak at most ``search`` pixels from the middle; None if it is low."""
    science, reference, difference = images(sky, rng)
    gap = np.isnan(difference)
    noise = 1.4826 * np.median(np.abs(difference[~gap] - np.median(difference[~gap])))
    width = sky.seeing / 2.355
    filtered = ndimage.gaussian_filter(np.where(gap, 0, difference), width)
    effective = 4 * np.pi * width**2  # number of noise pixels under the filter
    significance = filtered * np.sqrt(effective) / noise
    middle = np.s_[FIELD // 2 - search : FIELD // 2 + search + 1]
    near = np.where(gap, 0, np.abs(significance))[middle, middle]
    row, column = np.unravel_index(near.argmax(), near.shape)
    row, column = row + FIELD // 2 - search, column + FIELD // 2 - search
    peak = significance[row, column]
    inside = [FIELD // 2 + sign * edge for sign, edge in zip((-1, 1, -1, 1), sky.edges, strict=True)]
    if not (abs(peak) >= THRESHOLD and inside[0] <= row < inside[1] and inside[2] <= column < inside[3]):
        return None
    half = SIDE // 2
    rows = slice(max(row - half, inside[0]), min(row + half + 1, inside[1]))
    columns = slice(max(column - half, inside[2]), min(column + half + 1, inside[3]))
    sign = 1 if peak > 0 else -1
    cutouts = tuple(image[rows, columns] for image in (science, reference, sign * difference))
    flux = abs(filtered[row, column]) * effective
    return Candidate(cutouts, _measure(sky, (row, column), sign * difference, sign, flux, abs(peak), noise))


def images(sky: Sky, rng: Rng) -> tuple[Array, Array, Array]:
    """Draw the exposure, the reference and the difference of a sky: (FIELD, FIELD) each, in DN."""
    seen = _moffat(sky.seeing, sky.beta, sky.shear)
    matched_shear = tuple(a + b for a, b in zip(sky.shear, sky.shear_error, strict=True))
    matched = _moffat(sky.seeing * (1 + sky.width_error), sky.beta, matched_shear)
    stacked = _moffat(sky.reference_seeing, sky.beta, (0.0, 0.0))
    shift = np.outer(np.exp(-1j * _UP * sky.offset[1]), np.exp(-1j * _ALONG * sky.offset[0]))
    light = _pixels(sky.now * seen)
    model = _pixels(sky.before * matched * shift) * (1 + sky.gain_error)
    static = _pixels(sky.before * stacked)

    charge, saturated = _saturate(light + sky.level + sky.detector)
    photons = np.maximum(charge + sky.removed, 1)
    science = charge + rng.standard_normal(light.shape) * np.sqrt(photons / GAIN + READ_NOISE**2)
    # Resampling and stacking smooth the noise of the reference.
    depth = np.sqrt((np.maximum(static, 0) + sky.level) / GAIN + READ_NOISE**2) / np.sqrt(sky.frames)
    grain = ndimage.gaussian_filter(rng.standard_normal(light.shape), 0.6)
    grain *= depth / grain.std()
    full, reference_saturated = _saturate(static + sky.level)
    reference = full + grain
    difference = science - sky.level - model - ndimage.gaussian_filter(grain, 0.5)
    difference[saturated | reference_saturated | sky.masked | sky.uncovered] = np.nan
    reference[sky.uncovered] = np.nan
    return science, reference, difference


def _saturate(charge: Array) -> tuple[Array, Array]:
    """Move charge above the full well along its column; return the image and a mask of the saturated pixels."""
    if charge.max() <= FULL_WELL:
        return charge, np.zeros(charge.shape, bool)
    result = charge.copy()
    for column in np.flatnonzero((charge > FULL_WELL).any(axis=0)):
        line = result[:, column]
        excess, middle = np.clip(line - FULL_WELL, 0, None).sum(), int(line.argmax())
        np.minimum(line, FULL_WELL, out=line)
        for distance in range(1, FIELD):
            for row in (middle - distance, middle + distance):
                if 0 <= row < FIELD and excess > 0:
                    taken = min(excess, FULL_WELL - line[row])
                    line[row] += taken
                    excess -= taken
    return result, ndimage.binary_dilation(result >= 0.95 * FULL_WELL)


def _measure(
    sky: Sky, pixel: tuple[int, int], difference: Array, sign: int, flux: float, peak: float, noise: float
) -> dict:
    """Return the fields of the ``candidate`` block that are measured on the images."""
    row, column = pixel
    box = difference[row - 2 : row + 3, column - 2 : column + 3]
    good = np.where(np.isfinite(box), box, 0.0)
    y, x = np.mgrid[-2:3, -2:3]
    weight = np.clip(good, 0, None) + 1e-9
    spread = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=weight.ravel(), bias=True)
    minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 1e-3))
    x0, y0 = column - FIELD // 2, row - FIELD // 2
    distances = [np.hypot(x - x0, y - y0) for x, y, _ in sky.sources] or [np.inf]
    nearest = int(np.argmin(distances))
    block = {
        "diffmaglim": sky.limit,
        "fid": sky.band,
        "isdiffpos": "t" if sign > 0 else "f",
        "magpsf": sky.zero_point - 2.5 * np.log10(flux),
        "sigmapsf": 1.0857 / peak,
        "sky": float(np.nanmedian(difference)),
        "fwhm": 2.355 * np.sqrt(major * minor),
        "aimage": major,
        "bimage": minor,
        "aimagerat": major / sky.seeing,
        "bimagerat": minor / sky.seeing,
        "elong": major / minor,
        "nneg": int((good < 0).sum()),
        "nbad": int(np.isnan(box).sum()),
        "sumrat": float(good.sum() / np.abs(good).sum()) if good.any() else None,
        "seeratio": sky.seeing / sky.reference_seeing,
        "scorr": peak,
        "magzpsci": sky.zero_point,
        "nframesref": sky.frames,
        "dsnrms": float(np.nanstd(difference) / noise),
    }
    block["magfromlim"] = sky.limit - block["magpsf"]
    if distances[nearest] < 30:
        block["distnr"] = distances[nearest]
        block["magnr"] = sky.zero_point - 2.5 * np.log10(sky.sources[nearest][2])
    return block


def simulate(folder: Path, count: int, seed: int, workers: int = -1) -> dict[str, int]:
    """Write a set of ``count`` alerts with the published ratio of the classes.

    The set has one packet per alert (``packets/<candid>.avro``); ``candidates.csv``, the ``candidate`` blocks with a
    column ``label`` (0 bogus, 1 real) in the layout of the published table; and ``truth.csv`` (``candid,kind``), which
    no network uses.

    Parameters
    ----------
    folder : Path
        Must not exist yet.
    count : int
        At least 2.
    seed : int
        The same seed gives the same bytes for any number of processes.
    workers : int
        Number of processes; -1 is one per core.

    Returns
    -------
    dict
        Number of alerts of each class.
    """
    real = min(max(1, round(count * PUBLISHED["real"] / sum(PUBLISHED.values()))), count - 1)
    labels = np.random.default_rng(seed).permutation(["real"] * real + ["bogus"] * (count - real))
    folder = folder.resolve()  # the worker processes may run in another folder
    (folder / "packets").mkdir(parents=True)
    chunks = np.array_split(np.arange(count), -(-count // 50))
    jobs = (joblib.delayed(_write_chunk)(folder, chunk, labels[chunk].tolist(), seed) for chunk in chunks)
    rows = []
    with tqdm(total=count, desc="alerts", unit=" alerts", disable=None) as bar:
        for done in joblib.Parallel(n_jobs=workers, return_as="generator")(jobs):
            rows += done
            bar.update(len(done))
    table = pd.DataFrame([block for block, _ in rows], columns=sorted(CANDIDATE_COLUMNS))
    table["label"] = (labels == "real").astype(int)
    table.to_csv(folder / LABELS, float_format="%.12g", lineterminator="\n")
    truth = pd.DataFrame({"candid": table["candid"], "kind": [kind for _, kind in rows]})
    truth.to_csv(folder / TRUTH, index=False, lineterminator="\n")
    return {"real": real, "bogus": count - real}


def _write_chunk(folder: Path, indices: Array, labels: list[str], seed: int) -> list[tuple[dict, str]]:
    rows = []
    for index, label in zip(indices.tolist(), labels, strict=True):
        rng = np.random.default_rng([seed, index])
        kind, found = draw_candidate(label, rng)
        block = _block(index, found.measured, rng)
        packet = {"objectId": _object_name(index), "candid": block["candid"], "candidate": block}
        packet |= dict(zip(CUTOUTS, map(packed, found.cutouts), strict=True))
        write(folder / "packets" / f"{block['candid']}.avro", [packet])
        rows.append((block, kind))
    return rows


def _block(index: int, measured: dict, rng: Rng) -> dict:
    """Return the ``candidate`` block: the measurements, and the identifiers, times and positions."""
    night, slot = divmod(index, 500)
    nid, part, rcid = 800 + night, 15_000 + 90 * slot, int(rng.integers(64))
    pid = ((nid * 10**5 + part) * 100 + rcid) * 100 + 15
    jd = 2457754.5 + nid + part / 10**5
    ra, dec = float(rng.uniform(0, 360)), float(np.degrees(np.arcsin(rng.uniform(-0.45, 0.98))))
    return measured | {
        "jd": jd,
        "pid": pid,
        "candid": pid * 10**6 + 15_000,
        "nid": nid,
        "rcid": rcid,
        "field": 300 + index % 500,
        "programid": 1,
        "ra": ra,
        "dec": dec,
        "ranr": ra,
        "decnr": dec,
        "ndethist": 1,
        "ncovhist": int(rng.integers(10, 500)),
        "jdstarthist": jd,
        "jdendhist": jd,
        "tooflag": 0,
        "nmtchps": 0,
        "rfid": (300 + index % 500) * 10**6 + measured["fid"] * 10**5 + rcid,
        "jdstartref": 2458150.5,
        "jdendref": 2458250.5,
        "nmatches": int(rng.integers(100, 1000)),
        "exptime": 30.0,
        "rbversion": "none",
        "drbversion": "none",
    }


def _object_name(index: int) -> str:
    """Return the name of an object: ZTF, the year, and the index written with seven letters."""
    letters = ""
    for _ in range(7):
        index, letter = divmod(index, 26)
        letters = chr(ord("a") + letter) + letters
    return f"ZTF19{letters}"
