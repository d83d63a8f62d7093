"""The catalogue of metallicities: what is read, and the line that each fault becomes."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skylight.errors import InputError
from skylight.galaxies.metallicity import CATALOGUE, central_pixels, class_names, read_catalogue, validation_part

HEADER = "ra,objID,z,oh_p50\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / CATALOGUE).write_text(text)
        return tmp_path

    return write


def test_ids_are_text_to_the_last_digit_and_other_columns_are_ignored(write):
    folder = write(HEADER + "1.5,1237648704043942147,0.05,8.65\n2,1237648704043942148,0.1,9.15\n3,7,0.2,9.9\n")
    table = read_catalogue(folder)
    assert list(table) == ["objID", "z", "oh_p50", "class"]
    assert list(table["objID"]) == ["1237648704043942147", "1237648704043942148", "7"]
    assert list(table["class"]) == ["low", "high", ""]


def test_masses_are_read_where_there_are_any(write):
    folder = write("objID,z,oh_p50,lgm_tot_p50\n1,0.05,8.65,10.1\n2,0.05,8.65,-9999\n3,0.05,8.65,\n")
    assert read_catalogue(folder)["lgm_tot_p50"].tolist() == pytest.approx([10.1, np.nan, np.nan], nan_ok=True)


def test_bins_are_open_below_and_closed_above():
    assert list(class_names(np.array([8.1, 8.7, 8.70001, 9.1, 9.3, 9.31]))) == [
        *("", "low", "medium", "medium", "high", "")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objID,z\n1,0.1\n", "no column oh_p50"),
        (HEADER, "no rows"),
        (HEADER + "1,1,0.1,8.5\n2,1,0.1,8.5\n", "row 3: objID 1 appears twice"),
        (HEADER + "1,x/../y,0.1,8.5\n", "row 2: objID must be a whole number, got 'x/../y'"),
        (HEADER + "1,1,0.1,8.5\n1,2,far,8.5\n", "row 3: z must be a number, got 'far'"),
        (HEADER + "1,1,0.1,\n", "row 2: oh_p50 must be a number, got nothing"),
        (HEADER + "1,1,0.1,inf\n", "row 2: oh_p50 must be a number, got inf"),
    ],
)
def test_a_faulty_catalogue_is_an_error_of_one_line(write, text, message):
    with pytest.raises(InputError) as error:
        read_catalogue(write(text))
    assert message in str(error.value) and "\n" not in str(error.value) and CATALOGUE in str(error.value)


def test_a_missing_catalogue_is_named(tmp_path):
    with pytest.raises(InputError, match=r"master\.csv"):
        read_catalogue(tmp_path)


def test_the_validation_part_has_the_same_share_of_medium_and_other_galaxies():
    table = pd.DataFrame({"class": np.repeat(["low", "medium", "high"], [60, 200, 40])})
    chosen = validation_part(table, 0.2, 256)
    medium = (table["class"] == "medium").to_numpy()
    assert (chosen[medium].sum(), chosen[~medium].sum()) == (40, 20)
    assert np.array_equal(chosen, validation_part(table, 0.2, 256))
    assert not np.array_equal(chosen, validation_part(table, 0.2, 257))
    with pytest.raises(InputError, match=r"0\.2 of 2 galaxies leaves a part without the class high"):
        validation_part(table.iloc[[0, 59, -1]][["class"]][1:].reset_index(drop=True), 0.2, 0)


@pytest.mark.parametrize("width", [160, 96, 41])
def test_the_centre_is_cut_out_or_padded_without_resampling(tmp_path, width):
    pixels = np.random.default_rng(0).integers(1, 256, (width, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    found = central_pixels(tmp_path / "1.png", 96)
    assert found.shape == (96, 96, 3)
    inside = found[found.any(axis=(1, 2))][:, found.any(axis=(0, 2))]
    margin = max(0, (width - 96) // 2)
    assert np.array_equal(inside, pixels[margin : margin + 96, margin : margin + 96])


def test_another_pixel_scale_is_resampled(tmp_path):
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[32:96, 32:96] = 200
    Image.fromarray(pixels).save(tmp_path / "1.png")
    found = central_pixels(tmp_path / "1.png", 96, 0.198)
    assert (found > 100).sum() / 3 == pytest.approx(32**2, rel=0.1)
