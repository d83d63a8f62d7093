"""Simulated HiTS candidates, in the chunks that `skylight.candidates.hits` reads.

Each candidate is a patch of sky in two epochs, template and science, each with its own seeing, sky and noise. As in a
real survey, the sharper epoch is convolved to the seeing of the other, the template is subtracted, and the stamp is cut
around the highest peak of the difference near the middle. Real sources are points on empty sky or in galaxies.
Artifacts are those of image subtraction: misaligned images, saturated stars, cosmic rays, bad columns, peaks of the
noise, and stars whose seeing was matched badly.

All sources are Gaussian (a point source is the sum of two, a core and a wing). The covariance of the seeing is then
added to that of the source, and a scene is exact for any seeing. Units: electrons, pixels of 0.27 arcsec.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skylight.candidates.hits import PARTS, PIXEL_SCALE, SIZE, write_chunk

KINDS = ("misalignment", "saturation", "cosmic ray", "bad column", "noise peak", "PSF mismatch", "real source")
REAL = KINDS.index("real source")
PATCH = 43  # pixels along a side of the simulated patch: larger than a stamp, which can lie off its middle
BATCH = 500  # candidates that are simulated together
WING = 0.12, 2.2  # share of a point source's light in the wing, and the width of the wing in units of that of the core
READ_NOISE = 7.0
SATURATION = 40_000.0
FOOTPRINT = 0.2  # the footprint of a source is where its light is at least this share of its peak


@dataclass
class Scene:
    """Gaussian sources in B patches of sky, which both epochs show.

    Attributes
    ----------
    sources : list of tuples of arrays (B,)
        Flux, x, y (from the middle of the patch), and the intrinsic covariance xx, yy, xy.
    """

    sources: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    def add(self, flux, x, y, covariance=(0.0, 0.0, 0.0)) -> None:
        """Add one source to each patch; see ``sources`` for the meaning of the arguments."""
        shape = np.shape(flux)
        self.sources.append(tuple(np.broadcast_to(value, shape) for value in (flux, x, y, *covariance)))

    def render(self, psf: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Draw the light (B, PATCH, PATCH) with PSFs of covariance ``psf`` (B, 3), moved by ``shift`` (B, 2) pixels."""
        light = np.zeros((len(psf), PATCH, PATCH))
        for flux, x, y, *own in self.sources:
            for share, width in ((1 - WING[0], 1.0), (WING[0], WING[1])):
                covariance = np.stack(own, axis=1) + width**2 * psf
                light += gaussian(share * flux, x + shift[:, 0], y + shift[:, 1], covariance)
        return light


def simulate(folder: Path, counts: dict[str, int], chunk_size: int, snr: tuple[float, float], seed: int) -> None:
    """Write a survey: ``<part>/chunk_<n>.npz``, and for the evaluation files of the same names in ``truth/``.

    Parameters
    ----------
    folder : Path
    counts : dict
        Number of candidates of each part of `PARTS`; half of them are real sources.
    chunk_size : int
        Number of candidates in a chunk.
    snr : tuple of float
        Lowest and highest signal-to-noise ratio of real sources; its logarithm is uniformly distributed.
    seed : int
        The same seed gives the same bytes.
    """
    with tqdm(total=sum(counts.values()), desc="simulating", unit="candidate", disable=None) as bar:
        for p, part in enumerate(PARTS):
            (folder / part).mkdir(parents=True)
            (folder / "truth" / part).mkdir(parents=True)
            for c, start in enumerate(range(0, counts[part], chunk_size)):
                size = min(chunk_size, counts[part] - start)
                pieces = []
                for b, first in enumerate(range(0, size, BATCH)):
                    pieces.append(batch(min(BATCH, size - first), snr, np.random.default_rng([seed, p, c, b])))
                    bar.update(len(pieces[-1]["labels"]))
                chunk = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
                name = f"chunk_{c:04d}.npz"
                write_chunk(folder / part / name, chunk.pop("stamps"), chunk.pop("labels"))
                np.savez(folder / "truth" / part / name, **chunk)


def batch(count: int, snr: tuple[float, float], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Simulate candidates.

    Parameters
    ----------
    count : int
        Number of candidates, N.
    snr : tuple of float
        As in `simulate`.
    rng : np.random.Generator

    Returns
    -------
    dict of arrays
        ``stamps`` (N, 21, 21, 4) float32, ``labels`` (N,), and the truth: ``masks`` (N, 21, 21) bool, the footprints of
        real sources; ``kinds`` (N,), indices into `KINDS`; ``snr`` (N,), 0 for artifacts.
    """
    kinds = np.where(rng.random(count) < 0.5, REAL, rng.integers(0, REAL, count))
    is_kind = {name: kinds == k for k, name in enumerate(KINDS)}
    real, noise_peak = is_kind["real source"], is_kind["noise peak"]
    seeing = {
        epoch: np.clip(rng.lognormal(np.log(median), 0.15, count), 0.8, 2.2) / 2.355 / PIXEL_SCALE
        for epoch, median in (("template", 1.1), ("science", 1.25))
    }
    psf = {epoch: elliptical(seeing[epoch], rng) for epoch in seeing}
    sky = {epoch: rng.lognormal(np.log(500), 0.4, count) for epoch in seeing}

    scene = Scene()
    background(scene, count, rng)
    place = rng.uniform(-2.5, 2.5, (count, 2))
    hosts(scene, place, np.where(real, 0.6, np.where(noise_peak, 0.2, 0.3)), rng)
    star = is_kind["misalignment"] | is_kind["saturation"] | is_kind["PSF mismatch"]
    bright = np.where(
        is_kind["saturation"], rng.uniform(1.2, 6, count) * SATURATION, 10 ** rng.uniform(3.2, 4.4, count)
    )
    peak_to_flux = 2 * np.pi * seeing["science"] ** 2
    scene.add(np.where(star, bright * peak_to_flux, 0), *place.T)

    # Registration errors are usually less than a tenth of a pixel; those of the kind misalignment are larger.
    angle, usual = rng.uniform(0, 2 * np.pi, count), np.abs(rng.normal(0, 0.06, count))
    distance = np.where(is_kind["misalignment"], rng.uniform(0.3, 1.3, count), usual)
    shift = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    light = {
        "template": scene.render(psf["template"], np.zeros((count, 2))),
        "science": scene.render(psf["science"], shift),
    }
    variance = {epoch: light[epoch] + sky[epoch][:, None, None] + READ_NOISE**2 for epoch in light}
    # The Gaussian kernel that matches the seeing has a small error; that of the kind PSF mismatch is larger.
    usual = rng.normal(0, 0.015, count)
    worse = rng.choice([-1, 1], count) * rng.uniform(0.12, 0.35, count)
    error = np.where(is_kind["PSF mismatch"], worse, usual)
    gap = seeing["science"] ** 2 - seeing["template"] ** 2
    kernel = np.sqrt(np.abs(gap + error * seeing["science"] ** 2))
    science_is_broader = gap + error * seeing["science"] ** 2 > 0
    matching = Matching(kernel, science_is_broader)

    wanted = np.where(real, np.exp(rng.uniform(*np.log(snr), count)), 0)
    source = point_source(psf["science"], place + shift)
    noise = matching.variance(variance)
    at_source = (noise * source).sum(axis=(1, 2)) / source.sum(axis=(1, 2))
    in_difference = matching.science(source)
    flux = wanted * np.sqrt(at_source / (in_difference**2).sum(axis=(1, 2)))
    light["science"] = light["science"] + flux[:, None, None] * source

    image = {epoch: light[epoch] + rng.normal(size=light[epoch].shape) * np.sqrt(variance[epoch]) for epoch in light}
    bad = np.zeros((count, PATCH, PATCH), bool)
    cosmic_rays(image["science"], is_kind["cosmic ray"], place, rng)
    bad_columns(image["science"], bad, is_kind["bad column"], place, rng)
    saturate(image, bad, seeing, rng)

    difference = matching.science(image["science"]) - matching.template(image["template"])
    estimate = {epoch: np.maximum(image[epoch], 0) + sky[epoch][:, None, None] + READ_NOISE**2 for epoch in image}
    snr_image = difference / np.sqrt(matching.variance(estimate))
    for values in (image["science"], difference, snr_image):
        values[bad] = np.nan

    corner = detect(snr_image, seeing["science"], reach=np.where(noise_peak, 11, 5))
    layers = (image["template"], image["science"], difference, snr_image)
    footprint = in_difference >= FOOTPRINT * in_difference.max(axis=(1, 2), keepdims=True)
    return {
        "stamps": np.stack([cut(layer, corner) for layer in layers], axis=-1).astype(np.float32),
        "labels": real.astype(np.int64),
        "masks": cut(footprint & real[:, None, None], corner),
        "kinds": kinds.astype(np.int8),
        "snr": wanted.astype(np.float32),
    }


@dataclass(frozen=True)
class Matching:
    """The convolution that matches the seeing of the sharper epoch to that of the other.

    Attributes
    ----------
    width : array (B,)
        Standard deviation of the Gaussian kernel, pixels.
    of_template : array (B,) bool
        Whether the template (not the science image) is convolved.
    """

    width: np.ndarray
    of_template: np.ndarray

    def template(self, images: np.ndarray) -> np.ndarray:
        """Convolve those template images (B, PATCH, PATCH) that are the sharper epoch."""
        return self._convolved(images, self.of_template)

    def science(self, images: np.ndarray) -> np.ndarray:
        """Convolve those science images (B, PATCH, PATCH) that are the sharper epoch."""
        return self._convolved(images, ~self.of_template)

    def variance(self, variance: dict[str, np.ndarray]) -> np.ndarray:
        """Return the variance of the difference. Convolution multiplies it by the sum of the squared kernel."""
        shrink = (self._transform() ** 2).mean(axis=(1, 2), keepdims=True)
        of_template = self.of_template[:, None, None]
        template = np.where(of_template, shrink, 1) * self.template(variance["template"])
        return template + np.where(of_template, 1, shrink) * self.science(variance["science"])

    def _transform(self) -> np.ndarray:
        frequency = np.fft.fftfreq(PATCH)[:, None] ** 2 + np.fft.fftfreq(PATCH) ** 2
        return np.exp(-2 * np.pi**2 * self.width[:, None, None] ** 2 * frequency)

    def _convolved(self, images: np.ndarray, which: np.ndarray) -> np.ndarray:
        result = images.copy()
        half = self._transform()[which][..., : PATCH // 2 + 1]
        result[which] = np.fft.irfft2(np.fft.rfft2(images[which]) * half, s=(PATCH, PATCH))
        return result


def gaussian(flux: np.ndarray, x: np.ndarray, y: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Draw a Gaussian of flux (B,), position x, y (B,) and covariance xx, yy, xy (B, 3) on each patch."""
    axis = np.arange(PATCH) - PATCH // 2
    dx, dy = (axis - x[:, None])[:, None, :], (axis - y[:, None])[:, :, None]
    xx, yy, xy = covariance.T[..., None, None]
    determinant = xx * yy - xy**2
    exponent = (yy * dx**2 + xx * dy**2 - 2 * xy * dx * dy) / (2 * determinant)
    return flux[:, None, None] / (2 * np.pi * np.sqrt(determinant)) * np.exp(-exponent)


def elliptical(sigma: np.ndarray, rng: np.random.Generator, most: float = 0.06) -> np.ndarray:
    """Draw covariances xx, yy, xy (B, 3) of width ``sigma`` (B,), random direction and ellipticity up to ``most``."""
    e, angle = rng.uniform(0, most, sigma.shape), rng.uniform(0, np.pi, sigma.shape)
    parts = (1 + e * np.cos(2 * angle), 1 - e * np.cos(2 * angle), e * np.sin(2 * angle))
    return np.stack(parts, axis=-1) * (sigma**2)[..., None]


def point_source(psf: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Draw a point source of flux 1 at each position (B, 2)."""
    scene = Scene()
    scene.add(np.ones(len(psf)), *place.T)
    return scene.render(psf, np.zeros((len(psf), 2)))


def galaxy(scene: Scene, flux: np.ndarray, place: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> None:
    """Add galaxies, each of two Gaussians of equal shape and direction: a bulge and a disc."""
    disc = elliptical(radius, rng, most=0.7)
    for share, width in ((0.35, 0.35), (0.65, 1.0)):
        scene.add(share * flux, *place.T, (width**2 * disc).T)


def background(scene: Scene, count: int, rng: np.random.Generator) -> None:
    """Add stars and galaxies at random positions of the patch; most are faint."""
    for _ in range(2):
        place = rng.uniform(-PATCH / 2, PATCH / 2, (count, 2))
        there = rng.random(count) < 0.3
        scene.add(np.where(there, 10 ** (2.5 + 0.6 * rng.exponential(1, count)).clip(max=5.5), 0), *place.T)
    place = rng.uniform(-PATCH / 2, PATCH / 2, (count, 2))
    there = rng.random(count) < 0.3
    flux = 10 ** rng.uniform(3, 4.6, count)
    galaxy(scene, np.where(there, flux, 0), place, rng.uniform(1, 4, count), rng)


def hosts(scene: Scene, place: np.ndarray, chance: np.ndarray, rng: np.random.Generator) -> None:
    """Add a galaxy, with probability ``chance`` (B,), about one galaxy radius away from each position (B, 2)."""
    count = len(place)
    radius, angle = rng.uniform(2, 6, count), rng.uniform(0, 2 * np.pi, count)
    away = radius * np.abs(rng.normal(0, 0.8, count))
    centre = place + away[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    there = rng.random(count) < chance
    galaxy(scene, np.where(there, 10 ** rng.uniform(3, 4.4, count), 0), centre, radius, rng)


def cosmic_rays(image: np.ndarray, which: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> None:
    """Add straight tracks, less than a pixel wide, since the seeing does not blur cosmic rays."""
    axis = np.arange(PATCH) - PATCH // 2
    for i in np.flatnonzero(which):
        angle, length = rng.uniform(0, np.pi), rng.exponential(3)
        steps = np.linspace(-length / 2, length / 2, max(2, int(4 * length)))
        x, y = (place[i, :, None] + steps * np.array([[np.cos(angle)], [np.sin(angle)]])).reshape(2, -1)
        near = np.exp(-((axis - x[:, None])[:, None, :] ** 2 + (axis - y[:, None])[:, :, None] ** 2) / (2 * 0.35**2))
        track = near.max(axis=0)
        image[i] += 10 ** rng.uniform(2.3, 3.8) * track * rng.uniform(0.6, 1.4, track.shape)


def bad_columns(
    image: np.ndarray, bad: np.ndarray, which: np.ndarray, place: np.ndarray, rng: np.random.Generator
) -> None:
    """Add columns with too much signal, whole or from a row upwards, and flag some columns as bad."""
    for i in np.flatnonzero(which):
        column = PATCH // 2 + int(np.rint(place[i, 0]))
        columns = slice(column, column + rng.integers(1, 3))
        rows = slice(PATCH // 2 + rng.integers(-8, 3), None) if rng.random() < 0.4 else slice(None)
        size = image[i, rows, columns].shape
        image[i, rows, columns] += 10 ** rng.uniform(1.8, 3.2) * rng.uniform(0.8, 1.2, size)
        if rng.random() < 0.3:
            bad[i, rows, column - 1 if rng.random() < 0.5 else column] = True
    for i in np.flatnonzero(rng.random(len(image)) < 0.04):  # a flagged column in a few images of any kind
        bad[i, :, rng.integers(0, PATCH)] = True


def saturate(image: dict, bad: np.ndarray, seeing: dict, rng: np.random.Generator) -> None:
    """Limit both epochs to the saturation level, let charge bleed along columns, and flag some of these pixels."""
    for values in image.values():
        full = values > SATURATION
        values[full] = SATURATION
        for i in np.flatnonzero(full.any(axis=(1, 2))):
            rows, columns = np.nonzero(full[i])
            reach = int(rng.integers(0, 12))
            if reach:
                middle = int(np.median(columns))
                trail = slice(max(0, rows.min() - reach), rows.max() + reach + 1)
                values[i, trail, middle] = SATURATION * rng.uniform(0.5, 1)
            if rng.random() < 0.4:
                bad[i] |= values[i] >= SATURATION


def detect(snr: np.ndarray, sigma: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return the first row and column (B, 2) of the stamp around the highest peak of the SNR, smoothed by the seeing.

    The peak lies at most ``reach`` (B,) pixels from the middle of the patch.
    """
    smooth = Matching(sigma, np.ones(len(snr), bool)).template(np.nan_to_num(snr))
    axis = np.abs(np.arange(PATCH) - PATCH // 2)
    inside = np.maximum(axis[:, None], axis) <= reach[:, None, None]
    highest = np.where(inside, smooth, -np.inf).reshape(len(snr), -1).argmax(axis=1)
    return np.stack(np.divmod(highest, PATCH), axis=1) - SIZE // 2


def cut(images: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Cut stamps (B, 21, 21) from images (B, PATCH, PATCH), each from its corner (B, 2)."""
    rows = corner[:, :1] + np.arange(SIZE)
    columns = corner[:, 1:] + np.arange(SIZE)
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
