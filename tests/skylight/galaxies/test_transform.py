"""Pictures become arrays in the order of the tables; unusable ones are left out and listed."""

import csv

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies import catalogue as survey
from skylight.galaxies.arrays import PARTS, load
from skylight.galaxies.images import read_image, shrink
from skylight.galaxies.questions import ANSWERS
from skylight.galaxies.transform import write_part
from skylight.rejected import RejectionLog


@pytest.fixture
def pictures(tmp_path):
    """A survey of 12 training, 3 test and 5 catalogue pictures of random pixels."""
    rng = np.random.default_rng(0)
    ids = {"training": rng.permutation(1000)[:12], "test": [30, 4, 200], "catalogue": rng.permutation(1000)[:5]}
    folders = (survey.TRAINING_IMAGES, survey.TEST_IMAGES, survey.CATALOGUE_IMAGES)
    for part, folder in zip(PARTS, folders, strict=True):
        (tmp_path / folder).mkdir(parents=True)
        for galaxy in ids[part]:
            pixels = rng.integers(0, 256, (424, 424, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{galaxy}.jpg", quality=50)
    solutions = pd.DataFrame(0.5, index=range(12), columns=ANSWERS)
    solutions.insert(0, "GalaxyID", ids["training"])
    solutions.to_csv(tmp_path / survey.SOLUTIONS, index=False)
    numbers = np.arange(5) + 10
    catalogue = pd.DataFrame(1.0, index=range(5), columns=survey.CATALOGUE_COLUMNS).assign(objid=numbers)
    catalogue.to_csv(tmp_path / survey.CATALOGUE, index=False)
    mapping = pd.DataFrame({"objid": numbers, "asset_id": ids["catalogue"]})
    mapping.sort_values("asset_id").to_csv(tmp_path / survey.MAPPING, index=False)
    pd.DataFrame({"OBJID": numbers, "PETROR90_R": 9.0}).to_csv(tmp_path / survey.SAMPLE, index=False)
    return tmp_path


def write(survey_folder, part, out):
    """Write a part; return what is read back, the number of pictures, and the rejected ones."""
    out.mkdir(exist_ok=True)
    with RejectionLog(out / "rejected.csv") as log:
        count = write_part(survey_folder, part, 190, 72, out, log)
    with (out / "rejected.csv").open(encoding="utf-8") as file:
        rejected = list(csv.DictReader(file))
    return load(out, part), count, rejected


@pytest.mark.parametrize("part", PARTS)
def test_every_picture_is_decoded_cut_and_shrunk(pictures, tmp_path, part):
    found, count, rejected = write(pictures, part, tmp_path / "out")
    folder = dict(zip(PARTS, (survey.TRAINING_IMAGES, survey.TEST_IMAGES, survey.CATALOGUE_IMAGES), strict=True))[part]
    expected = {
        "training": lambda: pd.read_csv(pictures / survey.SOLUTIONS)["GalaxyID"].tolist(),
        "test": lambda: [200, 30, 4],  # as their names are sorted
        "catalogue": lambda: survey.read_catalogue(pictures)["asset_id"].tolist(),
    }[part]()
    assert found.ids.tolist() == expected and (count, rejected) == (len(expected), [])
    assert isinstance(found.images, np.memmap) and found.images.dtype == np.uint8
    for galaxy, image in zip(found.ids, found.images, strict=True):
        assert np.array_equal(image, shrink(Image.open(pictures / folder / f"{galaxy}.jpg"), 190, 72))


def test_unusable_pictures_are_left_out_and_listed(pictures, tmp_path):
    ids = pd.read_csv(pictures / survey.SOLUTIONS)["GalaxyID"]
    folder = pictures / survey.TRAINING_IMAGES
    paths = [folder / f"{galaxy}.jpg" for galaxy in ids]
    paths[1].unlink()
    paths[4].write_bytes(paths[4].read_bytes()[:3000])
    Image.new("L", (424, 424)).save(paths[7])
    Image.open(paths[9]).resize((424, 300)).save(paths[9])
    paths[10].unlink()
    paths[10].mkdir()
    Image.new("RGB", (424, 424)).save(folder / "5000.jpg")
    found, count, rejected = write(pictures, "training", tmp_path / "out")
    lost = (1, 4, 7, 9, 10)
    assert found.ids.tolist() == ids.drop([*lost]).tolist() and len(found.images) == 7 and count == 13
    assert [row["id"] for row in rejected] == ["5000", *(str(ids[i]) for i in lost)]
    assert rejected[1]["source"] == f"{survey.TRAINING_IMAGES}/{ids[1]}.jpg"
    reasons = (
        f"not in {survey.SOLUTIONS}",
        "no such image",
        "truncated",
        "all its pixels",
        "must be square",
        "a folder",
    )
    for row, words in zip(rejected, reasons, strict=True):
        assert words in row["reason"]


def test_pictures_of_other_kinds_are_read_as_by_the_commands(pictures, tmp_path):
    ids = pd.read_csv(pictures / survey.SOLUTIONS)["GalaxyID"]
    paths = [pictures / survey.TRAINING_IMAGES / f"{galaxy}.jpg" for galaxy in ids[:4]]
    pixels = np.random.default_rng(1).integers(0, 256, (424, 424)).astype(np.uint8)
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(pixels * np.uint16(257)).save(paths[1], "PNG")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(paths[2], exif=exif)
    fits.writeto(paths[3], pixels, overwrite=True)
    found, _, rejected = write(pictures, "training", tmp_path / "out")
    assert not rejected and np.array_equal(found.images[1], shrink(Image.fromarray(pixels).convert("RGB"), 190, 72))
    assert np.abs(found.images[2].astype(int) - np.rot90(found.images[0], -1)).max() <= 1
    for path, image in zip(paths, found.images, strict=False):
        assert np.array_equal(image, shrink(read_image(path), 190, 72))


def test_damaged_pictures_print_no_warnings(pictures, tmp_path, recwarn):
    paths = sorted((pictures / survey.TEST_IMAGES).iterdir())
    fits.writeto(tmp_path / "whole.fits", np.arange(424.0**2).reshape(424, 424))
    paths[0].write_bytes((tmp_path / "whole.fits").read_bytes()[:20_000])
    Image.new("1", (10_000, 10_000)).save(paths[1], "PNG")
    _, _, rejected = write(pictures, "test", tmp_path / "out")
    assert len(rejected) == 2 and not [str(warning.message) for warning in recwarn]


def test_a_test_picture_needs_a_number_for_a_name(pictures, tmp_path):
    wrong = ["copy of 4", "４", "0004", "9223372036854775808", "-4", "4.0", "\udcff"]
    for name in wrong:
        (pictures / survey.TEST_IMAGES / f"{name}.jpg").touch()
    found, count, rejected = write(pictures, "test", tmp_path / "out")
    assert len(found) == 3 and count == 10
    assert [row["reason"] for row in rejected] == ["its name is not a GalaxyID"] * 7
    assert {row["id"] for row in rejected} == {*wrong[:-1], r"\udcff"}


def test_a_part_may_be_empty(pictures, tmp_path):
    for path in (pictures / survey.TEST_IMAGES).iterdir():
        path.unlink()
    found, count, _ = write(pictures, "test", tmp_path / "out")
    assert found.images.shape == (0, 72, 72, 3) and count == len(found) == 0


def test_too_many_unusable_pictures_of_one_part_are_an_error(pictures, tmp_path):
    """2 of 5 pictures of the catalogue are more than a quarter, although only 2 of all 17."""
    for path in sorted((pictures / survey.CATALOGUE_IMAGES).iterdir())[:2]:
        path.write_bytes(b"no image")
    (tmp_path / "out").mkdir()
    with RejectionLog(tmp_path / "out/rejected.csv") as log:
        log.check(write_part(pictures, "training", 190, 72, tmp_path / "out", log), 0.25, "max_rejected", "pictures")
        count = write_part(pictures, "catalogue", 190, 72, tmp_path / "out", log)
        with pytest.raises(InputError, match=r"2 of 5 pictures rejected, max_rejected allows a share of 0.25; .*\.jpg"):
            log.check(count, 0.25, "max_rejected", "pictures")
