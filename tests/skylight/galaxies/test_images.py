"""Pictures of every kind are read, cut and shrunk; the arrays of a part are found by the ids of the galaxies."""

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.arrays import Pictures
from skylight.galaxies.catalogue import MASKS
from skylight.galaxies.images import SKY_NOISE, colour_picture, read_image, read_mask, shrink


def test_rows_are_in_the_order_of_the_ids_without_those_that_have_no_picture():
    pictures = Pictures(np.zeros((4, 2, 2, 3), np.uint8), np.array([7, 3, 9, 1]))
    assert pictures.rows([9, 5, 7, 1]).tolist() == [2, 0, 3]
    assert pictures.rows([]).tolist() == [] and len(pictures) == 4


def test_shrinking_keeps_the_centre():
    values = np.zeros((424, 424, 3), dtype=np.uint8)
    values[117:307, 117:307] = 200  # the central 190 pixels
    assert (shrink(Image.fromarray(values), 190, 72)[1:-1, 1:-1] > 170).all()
    small = shrink(Image.fromarray(values), 424, 106)
    assert small.mean() == pytest.approx(200 * (190 / 424) ** 2, rel=0.02)


def galaxy(planes: int = 0, sky: float = 1000, noise: float = 0.3) -> np.ndarray:
    """Return images of a galaxy above the middle, (80, 80) or (planes, 80, 80), with a sky and its noise."""
    y, x = np.mgrid[:80, :80] - 39.5
    light = 20 * np.exp(-np.hypot(x, y - 10) / 6)
    shape = (planes, 80, 80) if planes else (80, 80)
    return sky + light + np.random.default_rng(0).normal(0, noise, shape)


def literal(values: np.ndarray) -> np.ndarray:
    """Return the picture of a FITS image (planes, H, W) without missing values, as the paper's survey would show it."""
    values = np.broadcast_to(values, (3, *values.shape[1:]))[:, ::-1]
    sky = np.median(values, axis=(1, 2), keepdims=True)
    noise = 1.4826 * np.median(np.abs(values - sky), axis=(1, 2), keepdims=True)
    return colour_picture((values - sky) / noise * np.array(list(SKY_NOISE.values()))[:, None, None])


def fits_image(path, values):
    fits.writeto(path, values, overwrite=True)
    return path


@pytest.mark.parametrize("suffix", ["png", "fits"])
def test_other_kinds_of_images(suffix, tmp_path):
    path = tmp_path / f"galaxy.{suffix}"
    if suffix == "fits":
        fits_image(path, galaxy())
    else:
        Image.fromarray(np.clip(10 * galaxy(sky=0), 0, 255).astype(np.uint8)).save(path)
    picture = read_image(path)
    assert (picture.mode, picture.size) == ("RGB", (80, 80))
    peak_row = np.unravel_index(np.asarray(picture).sum(axis=2).argmax(), (80, 80))[0]
    assert peak_row == pytest.approx(49.5 if suffix == "png" else 29.5, abs=2)  # FITS rows count from below


@pytest.mark.parametrize("planes", [1, 3])
def test_a_fits_image_becomes_a_picture_as_in_the_survey(planes, tmp_path):
    values = np.tile(galaxy(planes), (1, 7, 7))  # 560 rows: more than a block
    assert np.array_equal(read_image(fits_image(tmp_path / "a.fits", values)), literal(values))
    scaled = np.float32(1e5) * values.astype(np.float32)
    found = np.asarray(read_image(fits_image(tmp_path / "b.fits", scaled))).astype(int)
    assert np.abs(found - literal(values)).max() <= 3  # the unit does not matter, but the digits of float32 do


def test_missing_pixels_of_a_fits_image_are_as_bright_as_the_sky(tmp_path):
    whole, values = galaxy(), galaxy()
    missing = np.random.default_rng(1).random(values.shape) < 0.6
    values[missing] = np.nan
    values[np.nonzero(missing)[0][:9], np.nonzero(missing)[1][:9]] = np.inf
    found = np.asarray(read_image(fits_image(tmp_path / "a.fits", values))).astype(int)[::-1]
    assert (found[missing] == 5).all()  # black is 0.02 of 255
    assert np.abs(found - literal(whole[None])[::-1])[~missing].mean() < 2


def test_absurd_values_of_a_fits_image_do_not_overflow(tmp_path):
    values = galaxy()
    values[3, 4], values[70, 70] = 3e38, -1e300
    found = np.asarray(read_image(fits_image(tmp_path / "a.fits", values)))
    assert found[76, 4].max() == 255 and (found[9, 70] == 5).all()
    rest = np.ones((80, 80), bool)
    rest[[76, 9], [4, 70]] = False
    expected = literal(galaxy()[None]).astype(int)
    assert np.abs(found.astype(int) - expected)[rest].max() <= 2
    with pytest.raises(InputError, match=r"a\.fits: FITS image with values of 1e308"):
        read_image(fits_image(tmp_path / "a.fits", np.where(values > 1005, 1.7e308, -1.7e308)))


REFUSED = {
    "wide.png": "image must be square, got 40 x 30",
    "wide.fits": "image must be square, got 40 x 30",
    "all_nan.fits": "FITS image without a finite pixel",
    "one_nan_plane.fits": "FITS image without a finite pixel",
    "constant.fits": "shows nothing, all its pixels are alike",
    "constant.jpg": "shows nothing, all its pixels are alike",
    "two.fits": "FITS image must have one plane, or g, r and i, got 2 planes",
    "text.fits": "not a readable image",
    "html.jpg": "not a readable image",
    "damaged.fits": "not a readable FITS image",
    "half.jpg": "not a readable image .*truncated",
    "absent.jpg": "no such image",
    "folder.jpg": "is a folder",
    "loop.jpg": "Too many levels of symbolic links",
}


@pytest.fixture
def unusable(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    Image.fromarray(noise[:30, :40]).save(tmp_path / "wide.png")
    fits_image(tmp_path / "wide.fits", galaxy()[:30, :40])
    fits_image(tmp_path / "all_nan.fits", np.full((64, 64), np.nan, np.float32))
    planes = galaxy(3)
    planes[1] = np.nan
    fits_image(tmp_path / "one_nan_plane.fits", planes)
    fits_image(tmp_path / "constant.fits", np.full((64, 64), 7))
    fits_image(tmp_path / "two.fits", planes[:2])
    Image.new("RGB", (64, 64), (30, 20, 10)).save(tmp_path / "constant.jpg")
    (tmp_path / "text.fits").write_text("no image")
    (tmp_path / "html.jpg").write_text("<html><body>404</body></html>")
    (tmp_path / "damaged.fits").write_bytes(b"SIMPLE  =                    T" + bytes(5000))
    Image.fromarray(noise).save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:3000])
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    return tmp_path


@pytest.mark.parametrize("name", REFUSED)
def test_images_that_will_not_do(unusable, name):
    with pytest.raises(InputError, match=rf"/{name}: {REFUSED[name]}") as error:
        read_image(unusable / name)
    assert "\n" not in str(error.value)


def test_a_mask_is_shrunk_as_its_picture_and_may_be_empty(tmp_path):
    (tmp_path / MASKS).mkdir()
    mask = np.zeros((424, 424), bool)
    Image.fromarray(mask).save(tmp_path / MASKS / "1.png")
    assert not read_mask(tmp_path, 1, 424, 106).any()
    mask[200:220, 100:300] = True
    Image.fromarray(mask).save(tmp_path / MASKS / "2.png")
    assert np.array_equal(read_mask(tmp_path, 2, 424, 106), mask[::4, ::4])
    with pytest.raises(InputError, match=r"masks/3\.png: no such image"):
        read_mask(tmp_path, 3, 424, 106)
