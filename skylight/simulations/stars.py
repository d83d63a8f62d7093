"""Physical light curves of the seven classes of periodic variables.

A star is a frozen dataclass of its physical parameters. The functions ``draw_...`` (`DRAW` by class) draw a random star
of a class. Calling a star with times (days) returns magnitudes relative to the level out of eclipse (binaries) or to
the mean (all others). The distributions of period and amplitude follow the catalogue of Drake et al. 2014 (ApJS 213,
9).
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


# Binaries ------------------------------------------------------------------------------------------------------------


def roche_lobe(mass_ratio: float) -> float:
    """Return the volume radius of a star's Roche lobe in units of the separation (Eggleton 1983, ApJ 268, 368, eq. 2).

    ``mass_ratio`` is the mass of the star divided by that of its companion.
    """
    cube_root = mass_ratio ** (1 / 3)
    return 0.49 * cube_root**2 / (0.6 * cube_root**2 + np.log1p(cube_root))


def hidden_fraction(distance: Array, front: float, back: float, limb: float = 0.0, rings: int = 32) -> Array:
    """Return the fraction of the light of a disc that an opaque disc in front of it hides.

    Parameters
    ----------
    distance : array (n,)
        Projected distance between the centres of the discs.
    front, back : float
        Radii of the disc in front and of the disc behind it, in the units of ``distance``.
    limb : float
        Linear limb darkening of the disc behind: its brightness is 1 - limb (1 - mu).
    rings : int
        Number of rings of equal area over which the light of the disc behind is summed.

    Returns
    -------
    array (n,)
        In [0, 1].
    """
    area = (np.arange(rings) + 0.5) / rings
    radius = back * np.sqrt(area)
    light = 1 - limb * (1 - np.sqrt(1 - area))
    d = np.maximum(np.asarray(distance, float), 1e-9)[:, None]
    # A ring of radius r, at distance d from the centre of the front disc, is covered over this half angle.
    half_angle = np.arccos(np.clip((radius**2 + d**2 - front**2) / (2 * radius * d), -1, 1))
    return half_angle @ light / (np.pi * light.sum())


def tidal_ellipticity(radius: float, companion: float, limb: float, gravity: float) -> float:
    """Return the semi-amplitude of the ellipsoidal variation at i = 90 degrees (Morris 1985, ApJ 295, 143, eq. 1).

    Only the first term of the equation is used. At inclination i it is multiplied by sin^2 i.

    Parameters
    ----------
    radius : float
        Radius of the star in units of the separation.
    companion : float
        Mass of the companion in units of the star's mass.
    limb, gravity : float
        Coefficients of limb darkening and gravity darkening.
    """
    return 0.15 * (15 + limb) * (1 + gravity) / (3 - limb) * companion * radius**3


@dataclass(frozen=True)
class Binary:
    """Two limb-darkened, tidally distorted stars that eclipse each other.

    Attributes
    ----------
    period, epoch : float
        Days; ``epoch`` is the time of the middle of a primary eclipse.
    inclination : float
        Radians; pi / 2 is edge-on.
    radii : (float, float)
        Radii of the primary and the secondary in units of the semi-major axis.
    surface : float
        Surface brightness of the secondary in units of the primary's.
    mass_ratio : float
        Mass of the secondary in units of the primary's.
    eccentricity, periastron : float
        ``periastron`` is the longitude of periastron in radians.
    third_light : float
        Share of the light out of eclipse that a third star emits.
    oconnell : float
        Half the difference between the two maxima, in magnitudes (O'Connell effect, caused by spots).
    limb, gravity : float
        Coefficients of limb darkening and gravity darkening.
    """

    period: float
    epoch: float
    inclination: float
    radii: tuple[float, float]
    surface: float
    mass_ratio: float
    eccentricity: float = 0.0
    periastron: float = 0.0
    third_light: float = 0.0
    oconnell: float = 0.0
    limb: float = 0.6
    gravity: float = 0.5

    def __call__(self, time: Array) -> Array:
        """Return magnitudes relative to the level out of eclipse at ``time`` (n,), in days."""
        angle, separation = self.orbit(np.asarray(time, float))
        sin2 = np.sin(self.inclination) ** 2
        distance = separation * np.sqrt(1 - sin2 * np.cos(angle) ** 2)
        secondary_in_front = np.cos(angle) > 0
        (r1, r2), q = self.radii, self.mass_ratio

        lights = np.array([r1**2, self.surface * r2**2])
        lights *= (1 - self.third_light) / lights.sum()
        tides = [tidal_ellipticity(r, m, self.limb, self.gravity) for r, m in ((r1, q), (r2, 1 / q))]
        hidden = np.zeros((2, len(distance)))
        near = distance < r1 + r2
        primary_eclipse, secondary_eclipse = near & secondary_in_front, near & ~secondary_in_front
        hidden[0, primary_eclipse] = hidden_fraction(distance[primary_eclipse], r2, r1, self.limb)
        hidden[1, secondary_eclipse] = hidden_fraction(distance[secondary_eclipse], r1, r2, self.limb)
        flux = self.third_light + sum(
            light * (1 - tide * sin2 * (1 + np.cos(2 * angle)) / separation**3) * (1 - covered)
            for light, tide, covered in zip(lights, tides, hidden, strict=True)
        )
        return -2.5 * np.log10(flux) + self.oconnell * np.sin(angle)

    def orbit(self, time: Array) -> tuple[Array, Array]:
        """Return the angle from primary conjunction (radians) and the separation (semi-major axes); both (n,)."""
        e, w = self.eccentricity, self.periastron
        true_at_eclipse = np.pi / 2 - w
        eccentric = 2 * np.arctan(np.sqrt((1 - e) / (1 + e)) * np.tan(true_at_eclipse / 2))
        mean_at_eclipse = eccentric - e * np.sin(eccentric)
        mean = 2 * np.pi * (time - self.epoch) / self.period + mean_at_eclipse
        anomaly = mean + e * np.sin(mean)
        for _ in range(8 if e else 0):  # Newton's method for Kepler's equation
            anomaly = anomaly - (anomaly - e * np.sin(anomaly) - mean) / (1 - e * np.cos(anomaly))
        true = 2 * np.arctan2(np.sqrt(1 + e) * np.sin(anomaly / 2), np.sqrt(1 - e) * np.cos(anomaly / 2))
        return true - true_at_eclipse, 1 - e * np.cos(anomaly)


def draw_contact(rng: np.random.Generator) -> Binary:
    """Draw an EW star: both stars overfill their Roche lobes and share an envelope, with similar surface brightness."""
    mass_ratio = rng.uniform(0.12, 1.0)
    overfill = rng.uniform(1.0, 1.06)  # fill-out factors of 0 to about 0.5
    return Binary(
        period=_within(lambda: 0.2 + rng.lognormal(np.log(0.115), 0.7), 0.21, 1.5),
        epoch=rng.uniform(0, 1),
        inclination=_isotropic(rng),
        radii=(overfill * roche_lobe(1 / mass_ratio), overfill * roche_lobe(mass_ratio)),
        surface=rng.uniform(0.85, 1.1),
        mass_ratio=mass_ratio,
        # Most contact binaries have a companion (Pribulla & Rucinski 2006, AJ 131, 2986).
        third_light=rng.uniform(0, 0.3) * (rng.random() < 0.5),
        oconnell=rng.normal(0, 0.012),
    )


def draw_detached(rng: np.random.Generator) -> Binary:
    """Draw an EA star: two stars well inside their Roche lobes, or an Algol, whose cooler secondary fills its lobe.

    The light of this class is almost constant between the eclipses (General Catalogue of Variable Stars). Here this
    means: for at least half of the period it is within a tenth of the deeper eclipse's depth of its maximum.
    """
    while True:
        star = _draw_separate_pair(rng)
        light = star(np.linspace(0, star.period, 100, endpoint=False))
        if np.median(light) - light.min() < 0.1 * np.ptp(light):
            return star


def _draw_separate_pair(rng: np.random.Generator) -> Binary:
    """Draw two stars that eclipse each other and do not overfill their Roche lobes."""
    while True:
        period = _within(lambda: rng.lognormal(np.log(0.9), 0.75), 0.35, 20)
        mass = _within(lambda: rng.lognormal(np.log(1.1), 0.3), 0.6, 3)
        algol = rng.random() < 0.25
        mass_ratio = rng.uniform(0.15, 0.5) if algol else rng.uniform(0.4, 1)
        axis = 4.207 * (period**2 * mass * (1 + mass_ratio)) ** (1 / 3)  # Kepler's third law, in solar radii
        evolved = rng.uniform(1, 1.8)
        primary = evolved * _main_sequence_radius(mass) / axis
        lobes = roche_lobe(1 / mass_ratio), roche_lobe(mass_ratio)
        if algol:
            secondary, surface = lobes[1], rng.uniform(0.05, 0.35)
        else:
            secondary = rng.uniform(1, evolved) * _main_sequence_radius(mass * mass_ratio) / axis
            surface = np.clip(mass_ratio ** rng.uniform(1, 3), 0.05, 1)
        inclination = _isotropic(rng)
        eclipses = np.cos(inclination) < primary + secondary
        if eclipses and primary < 0.92 * lobes[0] and (algol or secondary < 0.92 * lobes[1]):
            break
    eccentricity = min(rng.rayleigh(0.12), 0.5) if period > 3 else 0.0  # tides have circularised closer orbits
    return Binary(
        period=period,
        epoch=rng.uniform(0, period),
        inclination=inclination,
        radii=(primary, secondary),
        surface=surface,
        mass_ratio=mass_ratio,
        eccentricity=eccentricity,
        periastron=rng.uniform(0, 2 * np.pi),
        third_light=rng.uniform(0, 0.3) * (rng.random() < 0.3),
    )


def _main_sequence_radius(mass: float) -> float:
    return mass ** (0.8 if mass < 1 else 0.6)


# Pulsators -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pulsator:
    """A sum of sines: the harmonics of one pulsation mode, or of two modes and their combination frequencies.

    Attributes
    ----------
    period : float
        Period of the dominant mode, days.
    frequencies, amplitudes, phases : tuple of float
        One entry per sine: 1 / day, magnitudes, radians.
    """

    period: float
    frequencies: tuple[float, ...]
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]

    def __call__(self, time: Array) -> Array:
        """Return magnitudes relative to the mean at ``time`` (n,), in days."""
        angle = 2 * np.pi * np.multiply.outer(np.asarray(time, float), self.frequencies) + self.phases
        return np.sin(angle) @ np.asarray(self.amplitudes)


def _harmonics(
    period: float, amplitude: float, ratios: tuple[float, ...], phases: tuple[float, ...], start: float
) -> Pulsator:
    """Return a Fourier series of sines: R_k1 = ``ratios``, phi_k1 = ``phases``, peak-to-peak ``amplitude`` (mag)."""
    order = np.arange(1, len(ratios) + 2)
    angles = np.concatenate([[0], phases]) + order * start
    star = Pulsator(period, tuple(order / period), (1.0, *ratios), tuple(angles))
    scale = amplitude / np.ptp(star(np.linspace(0, period, 200)))
    return Pulsator(period, star.frequencies, tuple(scale * a for a in star.amplitudes), star.phases)


def draw_rrab(rng: np.random.Generator) -> Pulsator:
    """Draw an RRab star: a steep rise and a slow decline; longer periods have smaller amplitudes.

    Three quarters of the stars follow the period-amplitude relation of Oosterhoff I (Cacciari et al. 2005, AJ 129, 267,
    equation for A_B; A_V = 0.77 A_B). A quarter are of type Oosterhoff II, with periods longer by 0.06 dex. The Fourier
    ratios are those of Kovacs & Walker 2001 (A&A 371, 579).
    """
    while True:
        log_period = np.log10(_within(lambda: rng.normal(0.600, 0.085), 0.40, 0.90))
        reference = log_period - 0.06 * (rng.random() < 0.25)
        amplitude = 0.77 * (-3.123 - 26.331 * reference - 35.853 * reference**2) + rng.normal(0, 0.15)
        if 0.15 < amplitude < 1.35:
            break
    steep = np.clip(amplitude, 0.3, 1.1)
    ratios = (0.38 + 0.12 * steep, 0.18 + 0.18 * steep, 0.06 + 0.17 * steep, 0.02 + 0.11 * steep, 0.07 * steep)
    phases = np.array([2.40, 5.05, 1.50, 4.25, 0.75]) + 0.5 * (log_period + 0.25) * np.arange(1, 6)
    return _harmonics(10**log_period, amplitude, ratios, tuple(phases), rng.uniform(0, 2 * np.pi))


def draw_rrc(rng: np.random.Generator) -> Pulsator:
    """Draw an RRc star: first overtone, nearly a sine (Fourier ratios after Simon & Clement 1993, ApJ 410, 526)."""
    period = _within(lambda: rng.normal(0.333, 0.047), 0.21, 0.46)
    amplitude = _within(lambda: rng.normal(0.44, 0.11), 0.12, 0.70)
    ratios = (max(0.22 - 0.3 * (period - 0.25), 0.05) * rng.uniform(0.5, 1), rng.uniform(0.03, 0.09))
    phases = (rng.normal(3.1, 0.3), rng.normal(6.0, 0.5))
    return _harmonics(period, amplitude, ratios, phases, rng.uniform(0, 2 * np.pi))


def draw_rrd(rng: np.random.Generator) -> Pulsator:
    """Draw an RRd star: both the first overtone and the fundamental mode, with their combination frequencies.

    The period ratio P1 / P0 increases with P0 (Petersen diagram; Soszynski et al. 2009, AcA 59, 1).
    """
    fundamental = _within(lambda: rng.normal(0.49, 0.025), 0.45, 0.56)
    period = fundamental * (0.7445 + 0.05 * (fundamental - 0.49) + rng.normal(0, 0.0004))
    f1, f0 = 1 / period, 1 / fundamental
    a1 = _within(lambda: rng.normal(0.21, 0.03), 0.1, 0.3)
    a0 = a1 * rng.uniform(0.25, 0.9)
    frequencies = (f1, f0, 2 * f1, 2 * f0, f1 + f0, f1 - f0)
    amplitudes = (a1, a0, 0.15 * a1, 0.25 * a0, 0.2 * a0, 0.15 * a0)
    return Pulsator(period, frequencies, amplitudes, tuple(rng.uniform(0, 2 * np.pi, 6)))


# Spotted stars and giants --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpottedStar:
    """RS CVn: a rotating star with dark spots that change in size and drift in longitude.

    Attributes
    ----------
    period : float
        Period of the rotation, days.
    inclination : float
        Inclination of the rotation axis, radians.
    latitudes, longitudes : tuple of float
        Positions of the spots, radians; longitudes are at time 0.
    depths : tuple of float
        Mean share of the star's light that each spot blocks when it is at the centre of the disc.
    drifts : tuple of float
        Drift of each spot in longitude per rotation, in turns (differential rotation).
    lifetimes, births : tuple of float
        Period (days) and phase (radians) with which the size of each spot changes.
    cycle : (float, float, float)
        Semi-amplitude (mag), period (days) and phase (radians) of the activity cycle of the whole star.
    """

    period: float
    inclination: float
    latitudes: tuple[float, ...]
    longitudes: tuple[float, ...]
    depths: tuple[float, ...]
    drifts: tuple[float, ...]
    lifetimes: tuple[float, ...]
    births: tuple[float, ...]
    cycle: tuple[float, float, float]

    def __call__(self, time: Array) -> Array:
        """Return magnitudes relative to the star without spots at ``time`` (n,), in days."""
        drift = _slow_wave(time, self.cycle)
        time = np.asarray(time, float)[:, None]
        latitude = np.asarray(self.latitudes)
        turns = time / self.period * (1 + np.asarray(self.drifts))
        longitude = 2 * np.pi * turns + self.longitudes
        # Foreshortening: mu is the cosine of the angle between spot normal and line of sight (Dorren 1987, eq. 3).
        mu = np.cos(self.inclination) * np.sin(latitude)
        mu = mu + np.sin(self.inclination) * np.cos(latitude) * np.cos(longitude)
        size = 1 + 0.6 * np.sin(2 * np.pi * time / np.asarray(self.lifetimes) + self.births)
        return -2.5 * np.log10(1 - (size * self.depths * np.maximum(mu, 0)).sum(axis=1)) + drift


def draw_spotted(rng: np.random.Generator) -> SpottedStar:
    """Draw an RS CVn star: one to three large spots and a cycle of years (Olah et al. 2009, A&A 501, 703)."""
    spots = rng.integers(1, 4)
    return SpottedStar(
        period=_within(lambda: rng.lognormal(np.log(6.0), 1.3), 0.25, 100),
        inclination=_isotropic(rng),
        latitudes=tuple(np.radians(rng.uniform(-20, 70, spots))),
        longitudes=tuple(rng.uniform(0, 2 * np.pi, spots)),
        depths=tuple(np.minimum(rng.lognormal(np.log(0.08), 0.5, spots), 0.25)),
        drifts=tuple(rng.normal(0, 0.003, spots)),
        lifetimes=tuple(rng.uniform(500, 4000, spots)),
        births=tuple(rng.uniform(0, 2 * np.pi, spots)),
        cycle=(rng.uniform(0, 0.08), rng.uniform(1500, 7000), rng.uniform(0, 2 * np.pi)),
    )


@dataclass(frozen=True)
class LongPeriodStar:
    """LPV: a red giant whose cycles differ in amplitude and length.

    Attributes
    ----------
    period : float
        Mean period, days.
    starts : tuple of float
        Times (days) of maximum light, at which the cycles start.
    amplitudes : tuple of float
        Peak-to-peak amplitude of each cycle, magnitudes; one fewer than ``starts``.
    rise : float
        Share of a cycle from minimum to the next maximum.
    trend : (float, float, float)
        Semi-amplitude (mag), period (days) and phase (radians) of a slow change of the mean.
    """

    period: float
    starts: tuple[float, ...]
    amplitudes: tuple[float, ...]
    rise: float
    trend: tuple[float, float, float]

    def __call__(self, time: Array) -> Array:
        """Return magnitudes relative to the mean at ``time`` (n,), in days, within the range of ``starts``."""
        time = np.asarray(time, float)
        starts, amplitudes = np.asarray(self.starts), np.asarray(self.amplitudes)
        cycle = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, len(amplitudes) - 1)
        phase = (time - starts[cycle]) / np.diff(starts)[cycle]
        decline = 1 - self.rise
        bent = np.where(phase < decline, 0.5 * phase / decline, 0.5 + 0.5 * (phase - decline) / self.rise)
        # At the maximum between two cycles the amplitude is the mean of both, so that the light curve has no step.
        heights = np.concatenate([amplitudes[:1], amplitudes, amplitudes[-1:]])
        before, own, after = heights[cycle], heights[cycle + 1], heights[cycle + 2]
        crest = np.where(bent < 0.5, (before + own) / 2, (own + after) / 2)
        wave = -np.cos(2 * np.pi * bent)
        return np.where(wave < 0, crest, own) / 2 * wave + _slow_wave(time, self.trend)


def draw_long_period(rng: np.random.Generator, days: float = 5000.0) -> LongPeriodStar:
    """Draw an LPV star: a semi-regular giant (tenths of a magnitude) or a Mira (several); its cycles cover ``days``."""
    period = _within(lambda: rng.lognormal(np.log(245), 0.4), 80, 500)
    mira = rng.random() < np.clip((period - 80) / 300, 0.1, 0.9)
    amplitude = rng.uniform(1.5, 4.5) if mira else rng.lognormal(np.log(0.8), 0.4)
    irregular = rng.uniform(0.03, 0.10) if mira else rng.uniform(0.1, 0.35)
    cycles = int(np.ceil(days / period * 1.5)) + 4
    lengths = period * np.clip(rng.normal(1, irregular / 3, cycles), 0.7, 1.3)
    return LongPeriodStar(
        period=period,
        starts=tuple(np.concatenate([[0], np.cumsum(lengths)]) - rng.uniform(1, 2) * period),
        amplitudes=tuple(amplitude * np.clip(rng.normal(1, irregular, cycles), 0.3, 1.7)),
        rise=np.clip(rng.normal(0.45, 0.05), 0.3, 0.55),
        trend=(amplitude * rng.uniform(0, 0.15), rng.uniform(800, 4000), rng.uniform(0, 2 * np.pi)),
    )


# The population ------------------------------------------------------------------------------------------------------

Star = Binary | Pulsator | SpottedStar | LongPeriodStar

DRAW = {
    "EW": draw_contact,
    "EA": draw_detached,
    "RRab": draw_rrab,
    "RRc": draw_rrc,
    "RRd": draw_rrd,
    "RS CVn": draw_spotted,
    "LPV": draw_long_period,
}

# Mean and standard deviation of the V magnitudes of each class in the catalogue of Drake et al. 2014.
BRIGHTNESS = {
    "EW": (16.0, 1.8),
    "EA": (16.1, 1.6),
    "RRab": (17.7, 1.2),
    "RRc": (16.6, 1.4),
    "RRd": (16.4, 1.2),
    "RS CVn": (15.4, 1.4),
    "LPV": (13.4, 1.4),
}

# Mean g - r colour (mag), and amplitudes in units of that in V. Pulsation and spots change the temperature, so their
# amplitudes depend on the band; those of eclipses hardly do. "clear" is a CCD without a filter, calibrated to V.
COLOUR = {"EW": 0.5, "EA": 0.5, "RRab": 0.2, "RRc": 0.15, "RRd": 0.2, "RS CVn": 0.8, "LPV": 1.5}
_PULSATION = {"clear": 0.88, "g": 1.15, "r": 0.80, "i": 0.63}  # Sesar et al. 2010, ApJ 708, 717
_ECLIPSE = {"clear": 1.0, "g": 1.02, "r": 0.97, "i": 0.95}
AMPLITUDE = {
    "EW": _ECLIPSE,
    "EA": _ECLIPSE,
    "RRab": _PULSATION,
    "RRc": _PULSATION,
    "RRd": _PULSATION,
    "RS CVn": {"clear": 0.94, "g": 1.08, "r": 0.88, "i": 0.78},
    "LPV": {"clear": 0.85, "g": 1.10, "r": 0.75, "i": 0.50},
}


def _slow_wave(time: Array, wave: tuple[float, float, float]) -> Array:
    """Return a sine of the given semi-amplitude (mag), period (days) and phase (radians) at ``time`` (n,)."""
    height, length, start = wave
    return height * np.sin(2 * np.pi * np.asarray(time, float) / length + start)


def _isotropic(rng: np.random.Generator) -> float:
    """Draw the inclination (radians) of an axis with a random direction."""
    return float(np.arccos(rng.uniform(0, 1)))


def _within(draw, low: float, high: float) -> float:
    """Draw until the value lies within [low, high]."""
    while not low <= (value := draw()) <= high:
        pass
    return float(value)
