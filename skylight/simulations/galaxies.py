"""Simulated images of galaxies, like the colour images of the Sloan Digital Sky Survey.

A galaxy is a bulge (Sersic), a disc of finite thickness (exponential), a bar (Ferrers) and logarithmic spiral arms,
blurred by the seeing, with neighbours and sky noise. It is rendered at the survey's own pixel scale, made into a
colour image and then enlarged, in the same order as the survey's image server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import galsim
import numpy as np
from PIL import Image

from skylight.galaxies.images import NATIVE_SCALE, SKY_NOISE, colour_picture

THICKNESS = 0.12
"""Scale height of a disc over its scale length."""
BOXINESS = 2.6
"""Exponent of the bar's generalised ellipse; with 2 it is an ellipse."""

# Flux in g, r and i for an r-band flux of 1: old stars, the mixed stars of a disc, young stars of arms; a single star.
COLOURS = {"old": (0.45, 1.0, 1.46), "disc": (0.56, 1.0, 1.34), "young": (0.83, 1.0, 1.13), "star": (0.9, 1.0, 1.05)}
STARS = {"bulge": "old", "disc": "disc", "bar": "old", "arms": "young", "ring": "young", "artifact": "star"}
"""The stars (a key of `COLOURS`) of which each component consists."""


@dataclass(frozen=True)
class Galaxy:
    """One galaxy. Lengths are in units of ``petror90``; ``petror90`` itself and the seeing are in arcsec."""

    petror90: float
    """Radius that contains 90 % of the Petrosian r-band flux, arcsec."""
    r_mag: float
    """Petrosian r magnitude."""
    seeing: float
    """Full width at half maximum of the point spread function, arcsec."""
    cos_inclination: float
    """1 is face-on, 0 is edge-on; for a galaxy without a disc, the axis ratio."""
    position_angle: float
    """Position angle of the major axis, radians counter-clockwise from the direction of the rows."""
    disc_fraction: float
    """Share of the light in the disc and its arms; the light in neither disc nor bar is the bulge."""
    disc_scale: float
    bulge_radius: float
    """Half-light radius of the bulge."""
    bulge_index: float
    bar_fraction: float
    """Share of the light in the bar; 0 for no bar."""
    bar_radius: float
    """Half of the bar's length, in the plane of the disc."""
    bar_axis_ratio: float
    bar_angle: float
    """Angle of the bar from the line of nodes, in the plane of the disc, radians."""
    arm_fraction: float
    """Share of the disc's light in the arms; 0 for no arms."""
    arm_count: int
    pitch: float
    """Pitch angle of the arms, radians; the sign is the sense of winding."""
    arm_sharpness: float
    ring_fraction: float
    """Share of the disc's light in a ring at the end of the bar."""
    clumpiness: float
    """Scatter of the brightness of the arms, in e-folds."""
    dust_lane: float
    """Depth of a dust lane along the major axis, 0 to 1."""
    companion: float
    """Flux of a companion that overlaps the galaxy, as a share of the galaxy's flux; 0 for none."""
    artifact: bool
    """Whether the object is not a galaxy but a bright star or its ghost image."""

    @property
    def projection(self) -> np.ndarray:
        """Matrix (2, 2) that projects the plane of the disc onto the sky."""
        c, s = np.cos(self.position_angle), np.sin(self.position_angle)
        return np.array([[c, -s], [s, c]]) @ np.diag([1.0, self.cos_inclination])

    @property
    def bar_direction(self) -> np.ndarray:
        """Vector x, y from the centre to the end of the bar on the sky, in units of ``petror90``."""
        return self.projection @ (self.bar_radius * np.array([np.cos(self.bar_angle), np.sin(self.bar_angle)]))

    @property
    def bar_length(self) -> float:
        """Apparent length of the bar from end to end, arcsec; 0 without a bar."""
        return 2 * self.petror90 * float(np.hypot(*self.bar_direction)) if self.bar_fraction else 0.0


def render(galaxy: Galaxy, pixels: int, pixel_scale: float, rng: np.random.Generator) -> Image.Image:
    """Draw the colour image of a galaxy.

    Parameters
    ----------
    galaxy : Galaxy
    pixels : int
        Number of rows and of columns of the image.
    pixel_scale : float
        Size of a pixel of the image in units of the galaxy's ``petror90``.
    rng : np.random.Generator
        For the clumps, the neighbours and the noise.

    Returns
    -------
    PIL.Image.Image
        RGB, (pixels, pixels).
    """
    native = int(np.ceil(pixels * pixel_scale * galaxy.petror90 / NATIVE_SCALE))
    bands = np.zeros((3, native, native))
    for _, light in layers(galaxy, native, rng):
        bands += light
    add_sky_noise(bands, rng)
    return Image.fromarray(colour_picture(bands)).resize((pixels, pixels), Image.Resampling.BICUBIC)


def layers(
    galaxy: Galaxy, native: int, rng: np.random.Generator, colours: Mapping[str, tuple] = COLOURS
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the light of each component of a galaxy (a key of `STARS`), and last of its ``neighbours``.

    Parameters
    ----------
    galaxy : Galaxy
    native : int
        Rows and columns of the image, in pixels of `NATIVE_SCALE`.
    rng : np.random.Generator
        For the clumps and the neighbours.
    colours : mapping
        As `COLOURS`.

    Yields
    ------
    str
    np.ndarray, shape (3, native, native)
        g, r and i in nanomaggies per pixel, blurred by the seeing, without noise.
    """
    psf = galsim.Moffat(beta=3.5, fwhm=galaxy.seeing)
    for name, light in _components(galaxy, native, psf, rng):
        yield name, np.multiply.outer(np.array(colours[STARS[name]]), light)
    yield "neighbours", _neighbours(galaxy, native, psf, rng)


def add_sky_noise(bands: np.ndarray, rng: np.random.Generator) -> None:
    """Add the noise of the survey's sky to g, r and i images in nanomaggies per pixel, (3, H, W), in place."""
    noise = galsim.BaseDeviate(int(rng.integers(1, 2**31)))
    for band, sigma in zip(bands, SKY_NOISE.values(), strict=True):
        image = galsim.Image(band, copy=True)
        image.addNoise(galsim.GaussianNoise(noise, sigma=sigma))
        band[:] = image.array


def bar_mask(galaxy: Galaxy, pixels: int, pixel_scale: float) -> np.ndarray:
    """Return the pixels of the image that the bar covers: (pixels, pixels) bool."""
    radius = _bar_radius(galaxy, *disc_plane(galaxy, pixels, pixel_scale))
    return radius < 1 if galaxy.bar_fraction else np.zeros((pixels, pixels), dtype=bool)


def _components(galaxy: Galaxy, native: int, psf: galsim.GSObject, rng: np.random.Generator):
    """Yield each component of the galaxy: its name and its r-band image (native, native) in nanomaggies."""
    flux = 10 ** ((22.5 - galaxy.r_mag) / 2.5)
    size, tilt = galaxy.petror90, galaxy.position_angle * galsim.radians
    if galaxy.artifact:
        yield "artifact", _draw(psf.withFlux(3 * flux), native)
        return
    disc_flux, bar_flux = flux * galaxy.disc_fraction, flux * galaxy.bar_fraction
    x, y = disc_plane(galaxy, native, NATIVE_SCALE / size)
    extinction = 1.0
    if galaxy.dust_lane:
        s, c = np.sin(galaxy.position_angle), np.cos(galaxy.position_angle)
        v, u = (np.mgrid[:native, :native] - (native - 1) / 2) * NATIVE_SCALE / size
        across, along = (c * v - s * u) / 0.04, (c * u + s * v) / 0.7
        extinction = 1 - galaxy.dust_lane * np.exp(-(across**2) - along**2)
    bulge = flux - disc_flux - bar_flux
    if bulge > 0:
        axis_ratio = galaxy.cos_inclination if not disc_flux else 1 - 0.4 * (1 - galaxy.cos_inclination)
        shape = galsim.Sersic(galaxy.bulge_index, half_light_radius=galaxy.bulge_radius * size, flux=bulge)
        shape = shape.shear(q=axis_ratio, beta=tilt)
        yield "bulge", extinction * _draw(galsim.Convolve(shape, psf), native)
    if disc_flux:
        smooth = disc_flux * (1 - galaxy.arm_fraction - galaxy.ring_fraction)
        inclination = np.arccos(galaxy.cos_inclination) * galsim.radians
        disc = galsim.InclinedExponential(
            inclination, scale_radius=galaxy.disc_scale * size, scale_h_over_r=THICKNESS, flux=smooth
        ).rotate(tilt)
        yield "disc", extinction * _draw(galsim.Convolve(disc, psf), native)
    if bar_flux:
        # A Ferrers bar has the density (1 - m^2)^n and a sharp end. A small n gives a flat bar, as in early-type
        # spirals (Elmegreen & Elmegreen 1985, ApJ 288, 438).
        bar = np.clip(1 - _bar_radius(galaxy, x, y) ** 2, 0, None) ** 0.4
        yield "bar", extinction * _blurred(bar, bar_flux, psf, native)
    if galaxy.arm_fraction:
        arms = _arms(galaxy, x, y, rng)
        yield "arms", extinction * _blurred(arms, disc_flux * galaxy.arm_fraction, psf, native)
    if galaxy.ring_fraction:
        ring = np.exp(-(((np.hypot(x, y) - max(galaxy.bar_radius, 0.35)) / 0.05) ** 2))
        yield "ring", extinction * _blurred(ring, disc_flux * galaxy.ring_fraction, psf, native)


def disc_plane(galaxy: Galaxy, pixels: int, pixel_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (pixels, pixels) of each pixel in the plane of the disc, in units of ``petror90``."""
    y, x = (np.mgrid[:pixels, :pixels] - (pixels - 1) / 2) * pixel_scale
    inverse = np.linalg.inv(galaxy.projection)
    return inverse[0, 0] * x + inverse[0, 1] * y, inverse[1, 0] * x + inverse[1, 1] * y


def _bar_radius(galaxy: Galaxy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the radius in the generalised ellipse of the bar; it is 1 at the edge of the bar."""
    c, s = np.cos(galaxy.bar_angle), np.sin(galaxy.bar_angle)
    along, across = np.abs(c * x + s * y), np.abs(c * y - s * x)
    radius = max(galaxy.bar_radius, 1e-6)
    return ((along / radius) ** BOXINESS + (across / (radius * galaxy.bar_axis_ratio)) ** BOXINESS) ** (1 / BOXINESS)


def _arms(galaxy: Galaxy, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return logarithmic spiral arms that start at the ends of the bar, with clumps."""
    radius, angle = np.hypot(x, y) + 1e-6, np.arctan2(y, x)
    start = galaxy.bar_radius if galaxy.bar_fraction else 0.12
    wound = np.log(radius / start) / np.tan(galaxy.pitch)
    phase = galaxy.arm_count * (angle - galaxy.bar_angle - wound)
    crest = np.exp(galaxy.arm_sharpness * (np.cos(phase) - 1))
    begin = 1 / (1 + np.exp(-(radius - 0.95 * start) / (0.08 * start + 0.01)))
    fade = np.exp(-radius / (1.25 * galaxy.disc_scale)) / (1 + np.exp(np.minimum((radius - 1.15) / 0.08, 50)))
    clumps = np.exp(galaxy.clumpiness * _texture(x.shape[0], rng))
    return crest * begin * fade * clumps


def _texture(pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random field (pixels, pixels) of variance 1 whose grains are a sixtieth of the image wide."""
    grains = Image.fromarray(rng.standard_normal((60, 60)).astype(np.float32))
    field = np.asarray(grains.resize((pixels, pixels), Image.Resampling.BICUBIC))
    return field / field.std()


def _blurred(light: np.ndarray, flux: float, psf: galsim.GSObject, native: int) -> np.ndarray:
    """Scale an image to the total flux ``flux`` and convolve it with the point spread function."""
    image = galsim.Image(light * (flux / max(light.sum(), 1e-12)), copy=True, scale=NATIVE_SCALE)
    shape = galsim.InterpolatedImage(
        image, x_interpolant="linear", calculate_stepk=False, calculate_maxk=False, pad_factor=1.5
    )
    return _draw(galsim.Convolve(shape, psf), native)


def _draw(shape: galsim.GSObject, native: int) -> np.ndarray:
    return shape.drawImage(nx=native, ny=native, scale=NATIVE_SCALE, method="no_pixel", dtype=float).array


def _neighbours(galaxy: Galaxy, native: int, psf: galsim.GSObject, rng: np.random.Generator) -> np.ndarray:
    """Draw the stars and small galaxies of the field, and the companion, in g, r and i: (3, native, native)."""
    bands = np.zeros((3, native, native))
    area = (native * NATIVE_SCALE / 60) ** 2
    count = min(rng.poisson(2.5 * area), 25)
    # The number of sources grows with magnitude as 10^(0.3 m), to magnitude 21.5.
    magnitudes = 21.5 + np.log10(1 - rng.random(count)) / 0.3
    sources = [(10 ** ((22.5 - max(m, 15.5)) / 2.5), rng.uniform(0, native, 2), rng.random() < 0.5) for m in magnitudes]
    if galaxy.companion:
        flux = galaxy.companion * 10 ** ((22.5 - galaxy.r_mag) / 2.5)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.1) * galaxy.petror90 / NATIVE_SCALE
        sources.append((flux, native / 2 + distance * np.array([np.cos(angle), np.sin(angle)]), False))
    for flux, (x, y), is_star in sources:
        shape = psf
        if not is_star:
            radius = 0.5 * galaxy.petror90 * galaxy.companion**0.5 if flux > 100 else rng.uniform(0.6, 2.0)
            shape = galsim.Exponential(half_light_radius=max(radius, 0.5))
            shape = shape.shear(q=rng.uniform(0.3, 1), beta=rng.uniform(0, np.pi) * galsim.radians)
            shape = galsim.Convolve(shape, psf)
        redness = rng.uniform(0.0, 1.0)
        colour = (1 - redness) * np.array(COLOURS["young"]) + redness * np.array([0.3, 1.0, 1.7])
        stamp = int(min(native, 61 if is_star or flux < 100 else 161))
        column, row = int(x) - stamp // 2, int(y) - stamp // 2
        light = galsim.Image(galsim.BoundsI(column, column + stamp - 1, row, row + stamp - 1), dtype=float)
        centre = galsim.PositionD(x, y)
        shape.withFlux(flux).drawImage(light, center=centre, scale=NATIVE_SCALE, method="no_pixel")
        seen = light.bounds & galsim.BoundsI(0, native - 1, 0, native - 1)
        if seen.isDefined():
            part = light[seen].array
            bands[:, seen.ymin : seen.ymax + 1, seen.xmin : seen.xmax + 1] += np.multiply.outer(colour, part)
    return bands


def draw_galaxy(rng: np.random.Generator, petror90: float) -> Galaxy:
    """Draw a galaxy like those of Galaxy Zoo 2: a third have no disc, three fifths of the discs have a bar.

    The orientation is random; ``petror90`` is the galaxy's Petrosian radius in arcsec.
    """
    common = {
        "petror90": petror90,
        "seeing": float(np.clip(1.32 * np.exp(0.12 * rng.standard_normal()), 0.9, 1.9)),
        "position_angle": rng.uniform(0, np.pi),
        "companion": float(rng.uniform(0.05, 0.4)) if rng.random() < 0.06 else 0.0,
        "artifact": bool(rng.random() < 0.006),
    }
    # The half-light radius is petror90 / 2.4 for discs and petror90 / 3 for ellipticals; the magnitude follows from the
    # mean surface brightness inside it.
    if rng.random() < 0.33:
        return Galaxy(
            **common,
            **_NO_DISC,
            r_mag=_magnitude(rng.normal(20.8, 0.5), petror90 / 3),
            cos_inclination=float(np.clip(1 - abs(rng.normal(0.15, 0.2)), 0.3, 1)),
            bulge_radius=0.33,
            bulge_index=sersic_index(rng.uniform(2.5, 4.5)),
        )
    barred = rng.random() < 0.6
    armed = rng.random() < 0.75
    bulge_fraction = float(np.clip(0.12 * np.exp(0.7 * rng.standard_normal()), 0.01, 0.5))
    disc_scale = float(rng.uniform(0.27, 0.33))
    bar_radius = float(np.clip(0.455 * np.exp(0.36 * rng.standard_normal()), 0.12, 1.1))
    bar_axis_ratio = float(rng.uniform(0.15, 0.32))
    bar_fraction = 0.0
    if barred:
        # The ratio of the surface brightness of bar and disc does not depend on the bar's length. Longer bars therefore
        # contain a larger share of the light (Gadotti 2011, MNRAS 415, 3308).
        contrast = 1.5 * np.exp(0.3 * rng.standard_normal())
        area = np.pi * bar_radius**2 * bar_axis_ratio
        bar_light = contrast * area * np.exp(-0.5 * bar_radius / disc_scale) / (2 * np.pi * disc_scale**2)
        bar_fraction = float((1 - bulge_fraction) * bar_light / (1 + bar_light))
    cos_inclination = float(rng.uniform(0.04, 1))
    return Galaxy(
        **common,
        r_mag=_magnitude(rng.normal(21.4, 0.45), petror90 / 2.4),
        cos_inclination=cos_inclination,
        disc_fraction=1 - bulge_fraction - bar_fraction,
        disc_scale=disc_scale,
        bulge_radius=float(rng.uniform(0.05, 0.11)),
        bulge_index=sersic_index(rng.uniform(1, 3)),
        bar_fraction=bar_fraction,
        bar_radius=bar_radius,
        bar_axis_ratio=bar_axis_ratio,
        bar_angle=rng.uniform(0, np.pi),
        arm_fraction=float(rng.uniform(0.05, 0.4)) if armed else 0.0,
        arm_count=int(rng.choice([1, 2, 3, 4, 5], p=[0.06, 0.6, 0.16, 0.1, 0.08])) if armed else 0,
        pitch=float(np.radians(np.clip(rng.normal(19, 6), 7, 40)) * rng.choice([-1, 1])),
        arm_sharpness=float(rng.uniform(1, 3.5)),
        ring_fraction=float(rng.uniform(0.04, 0.16)) if rng.random() < 0.08 else 0.0,
        clumpiness=float(abs(rng.normal(0.5, 0.3))),
        dust_lane=float(rng.uniform(0.2, 0.6)) if cos_inclination < 0.25 and rng.random() < 0.5 else 0.0,
    )


_NO_DISC = {
    "disc_fraction": 0.0,
    "disc_scale": 0.3,
    "bar_fraction": 0.0,
    "bar_radius": 0.0,
    "bar_axis_ratio": 1.0,
    "bar_angle": 0.0,
    "arm_fraction": 0.0,
    "arm_count": 0,
    "pitch": 0.3,
    "arm_sharpness": 0.0,
    "ring_fraction": 0.0,
    "clumpiness": 0.0,
    "dust_lane": 0.0,
}


def _magnitude(surface_brightness: float, half_light_radius: float) -> float:
    """Return the total magnitude for a mean surface brightness (mag/arcsec^2) inside the half-light radius (arcsec)."""
    return float(min(surface_brightness - 2.5 * np.log10(2 * np.pi * half_light_radius**2), 17.7))


def sersic_index(value: float) -> float:
    """Round a Sersic index to a quarter: GalSim makes a table for each new index, which takes longer than drawing."""
    return round(4 * value) / 4
