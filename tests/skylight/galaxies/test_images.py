"""Pictures of every kind are read, cut and shrunk; the arrays of a part are found by the ids of the galaxies."""

import numpy as np
import pytest
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.images import Pictures, read_any_image, shrink


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


@pytest.mark.parametrize("suffix", ["png", "fits"])
def test_other_kinds_of_images(suffix, tmp_path):
    from astropy.io import fits

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :80] - 39.5
    galaxy = 20 * np.exp(-np.hypot(x, y - 10) / 6)
    path = tmp_path / f"galaxy.{suffix}"
    if suffix == "fits":
        fits.writeto(path, 1000 + galaxy + rng.normal(0, 0.3, galaxy.shape))
    else:
        Image.fromarray(np.clip(10 * galaxy, 0, 255).astype(np.uint8)).save(path)
    picture = read_any_image(path)
    assert (picture.mode, picture.size) == ("RGB", (80, 80))
    peak_row = np.unravel_index(np.asarray(picture).sum(axis=2).argmax(), (80, 80))[0]
    assert peak_row == pytest.approx(49.5 if suffix == "png" else 29.5, abs=2)  # FITS rows count from below


def test_other_images_that_will_not_do(tmp_path):
    Image.new("RGB", (30, 40)).save(tmp_path / "wide.png")
    (tmp_path / "text.fits").write_text("no image")
    for name, words in (("wide.png", "must be square"), ("text.fits", "FITS"), ("absent.jpg", "no such image")):
        with pytest.raises(InputError, match=rf"{name}: .*{words}"):
            read_any_image(tmp_path / name)
