"""Reading the published tables and images: every kind of fault, the split, and the real catalogue."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest

from skylight.errors import InputError
from skylight.galaxies import catalogue as survey
from skylight.galaxies.arrays import load
from skylight.galaxies.catalogue import LENGTH_UNIT, catalogue_arcsec, to_kpc
from skylight.galaxies.length_scores import ceiling
from skylight.galaxies.questions import ANSWERS
from skylight.galaxies.transform import write_part
from skylight.rejected import RejectionLog
from skylight.simulations import galaxy_zoo as simulation

pytestmark = pytest.mark.slow

SMALL = simulation.SurveyPlan(
    training=12,
    test=5,
    catalogue=9,
    median_petror90=8.0,
    voters=44,
    length_scatter=0.17,
    seed=3,
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("galaxy_zoo")
    simulation.simulate(folder, SMALL)
    return folder


@pytest.fixture
def copy(simulated, tmp_path):
    return shutil.copytree(simulated, tmp_path / "copy")


def edit(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)


def test_reading_and_splitting(simulated):
    assert list(survey.read_solutions(simulated / survey.SOLUTIONS)) == ["GalaxyID", *ANSWERS]
    catalogue = survey.read_catalogue(simulated)
    assert len(catalogue) == 9
    first, second = survey.shuffle_split(catalogue, 0.34, 123, "bars.measure.validation_split")
    assert (len(first), len(second)) == (3, 6)
    assert set(first["objid"]) | set(second["objid"]) == set(catalogue["objid"])
    assert np.allclose(LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"], catalogue_arcsec(catalogue))


@pytest.mark.parametrize("fraction", [0.05, 1.0])
def test_an_empty_part_is_an_error(simulated, fraction):
    with pytest.raises(InputError, match=r"bars.measure.validation_split: .* part empty"):
        survey.shuffle_split(survey.read_catalogue(simulated), fraction, 1, "bars.measure.validation_split")


FAULTS = {
    "no column Class3.1": (survey.SOLUTIONS, lambda t: t.drop(columns="Class3.1")),
    r"row 4: Class2.1 must be a fraction in \[0, 1\], got 1.2": (
        survey.SOLUTIONS,
        lambda t: t.assign(**{"Class2.1": t["Class2.1"].where(t.index != 2, 1.2)}),
    ),
    r"row 2: Class1.1 must be a fraction in \[0, 1\], got nothing": (
        survey.SOLUTIONS,
        lambda t: t.assign(**{"Class1.1": t["Class1.1"].where(t.index != 0)}),
    ),
    r"row 14: GalaxyID \d+ appears twice": (survey.SOLUTIONS, lambda t: pd.concat([t, t[:1]])),
    r"hoyle_barlengths.csv row 11: objid \d+ appears twice": (survey.CATALOGUE, lambda t: pd.concat([t, t[3:4]])),
    "no column length_scaled": (survey.CATALOGUE, lambda t: t.drop(columns="length_scaled")),
    r"hoyle_barlengths.csv .*length_scaled must be a positive number, got -1": (
        survey.CATALOGUE,
        lambda t: t.assign(length_scaled=-1.0),
    ),
    r"hoyle_barlengths.csv row 7: objid \d+ is not in gz2_filename_mapping.csv": (
        survey.MAPPING,
        lambda t: t.drop(index=5),
    ),
    r"hoyle_barlengths.csv row 2: objid \d+ is not in gz2sample.csv": (survey.SAMPLE, lambda t: t[1:]),
    r"gz2sample.csv .*PETROR90_R must be a positive number, got 0": (survey.SAMPLE, lambda t: t.assign(PETROR90_R=0)),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_faulty_table_is_an_error_of_one_line(copy, message):
    name, change = FAULTS[message]
    edit(copy / name, change)
    with pytest.raises(InputError, match=message) as error:
        survey.read_solutions(copy / survey.SOLUTIONS)
        survey.read_catalogue(copy)
    assert "\n" not in str(error.value)


MAPPING_HEADER = "objid,sample,asset_id\n587722981741363294,original,1\n"
TABLES = {
    "blank row": ("587722981741363323,original,2\n,original,3\n", "row 4: objid must be a whole number, got nothing"),
    "blank line": ("\n587722981741363323,original,2\n", "row 3: objid must be a whole number, got nothing"),
    "no asset": ("587722981741363323,original,\n", "row 3: asset_id must be a whole number, got nothing"),
    "evil asset": (
        "587722981741363323,original,../../evil\n",
        "row 3: asset_id must be a whole number, got '../../evil'",
    ),
    "float": ("5.87722981741363323e17,original,2\n", "row 3: objid must be a whole number, got '5.877"),
    "negative": ("-587722981741363323,original,2\n", "row 3: objid must be a whole number, got '-587"),
    "other digits": ("５８７,original,2\n", "row 3: objid must be a whole number, got '５８７'"),
    "underscores": ("587_722,original,2\n", "row 3: objid must be a whole number"),
    "too large": ("9223372036854775808,original,2\n", "row 3: objid must be a whole number"),
    "long": ("9" * 5000 + ",original,2\n", "row 3: objid must be a whole number"),
    "a comma too many": ("587722981741363323,a,b,2\n", "row 3: 4 fields, but the header has 3"),
    "asset twice": ("587722981741363323,original,1\n", "row 3: asset_id 1 appears twice"),
    "not UTF-8": ("587722981741363323,\udcff,2\n", "not a CSV table"),
    "open quote": ('587722981741363323,"original,2\n', "not a CSV table (Error tokenizing data"),
}


@pytest.fixture
def two_galaxies(tmp_path):
    """A catalogue of two galaxies whose ids differ by less than a float can tell."""
    ids = [587722981741363294, 587722981741363323]
    catalogue = pd.DataFrame(1.0, index=range(2), columns=survey.CATALOGUE_COLUMNS).assign(objid=ids)
    catalogue.to_csv(tmp_path / survey.CATALOGUE, index=False)
    pd.DataFrame({"OBJID": ids, "PETROR90_R": [9.0, 8.0]}).to_csv(tmp_path / survey.SAMPLE, index=False)
    return tmp_path


@pytest.mark.parametrize("case", TABLES)
def test_a_faulty_row_is_named(two_galaxies, case):
    rows, message = TABLES[case]
    path = two_galaxies / survey.MAPPING
    path.write_bytes((MAPPING_HEADER + rows).encode(errors="surrogateescape"))
    with pytest.raises(InputError) as error:
        survey.read_catalogue(two_galaxies)
    assert f"{path}{' ' if message.startswith('row') else ': '}{message}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        MAPPING_HEADER + "587722981741363323,original,2\n",
        MAPPING_HEADER + "587722981741363323,original,2\n\n\n",
        "\ufeff" + MAPPING_HEADER + "587722981741363323,original,2",
        "objid,sample,asset_id\n587722981741363294,original,1,\n587722981741363323,original,2,\n",
        "objid,sample,asset_id,\n587722981741363294,original,1,\n587722981741363323,original,2,\n",
        'asset_id,"objid"\r\n1, 587722981741363294\r\n2 ,"587722981741363323"\r\n',
        MAPPING_HEADER + '587722981741363323,"two\nlines",2\n',
    ],
)
def test_ids_are_read_to_the_last_digit(two_galaxies, text):
    (two_galaxies / survey.MAPPING).write_text(text, encoding="utf-8")
    catalogue = survey.read_catalogue(two_galaxies)
    assert catalogue["objid"].tolist() == [587722981741363294, 587722981741363323]
    assert catalogue["asset_id"].tolist() == [1, 2] and catalogue["PETROR90_R"].tolist() == [9, 8]
    assert catalogue["objid"].dtype == catalogue["asset_id"].dtype == np.int64


def test_text_in_the_row_of_another_galaxy_changes_no_number(two_galaxies):
    (two_galaxies / survey.MAPPING).write_text(MAPPING_HEADER + "587722981741363323,original,2\n")
    with (two_galaxies / survey.SAMPLE).open("a") as file:
        file.write("1,unknown\n")
    catalogue = survey.read_catalogue(two_galaxies)
    assert catalogue["PETROR90_R"].tolist() == [9, 8]
    assert np.allclose(survey.catalogue_arcsec(catalogue), survey.LENGTH_UNIT * np.array([9, 8]))


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_table_without_rows_is_an_error(two_galaxies, end):
    (two_galaxies / survey.MAPPING).write_text(f"objid,sample,asset_id{end}")
    with pytest.raises(InputError, match=r"mapping\.csv: no rows"):
        survey.read_catalogue(two_galaxies)


def test_two_columns_of_one_name_are_an_error(two_galaxies):
    (two_galaxies / survey.MAPPING).write_text("objid,objid,asset_id\n1,2,3\n")
    with pytest.raises(InputError, match=r"mapping\.csv: two columns objid"):
        survey.read_catalogue(two_galaxies)


@pytest.mark.parametrize("value", ["True", "inf", "1e999", "５", "0x1", ""])
def test_what_is_no_number_is_no_fraction(copy, value):
    path = copy / survey.SOLUTIONS
    edit(path, lambda t: t.assign(**{"Class1.1": value}))
    with pytest.raises(InputError, match=r"row 2: Class1\.1 must be a fraction in \[0, 1\], got"):
        survey.read_solutions(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_only_a_plain_file_is_a_table(tmp_path, kind):
    path = tmp_path / "table.csv"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "loop": lambda: path.symlink_to(path)}[kind]()
    with pytest.raises(InputError, match=r"table\.csv: (is a|Too many levels)"):
        survey.read_solutions(path)


def test_a_missing_or_empty_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"absent.csv: no such file"):
        survey.read_solutions(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty.csv: not a CSV table"):
        survey.read_solutions(tmp_path / "empty.csv")


def test_the_real_catalogue(real_data, simulated, tmp_path):
    """The 3,150 published bars with simulated pictures and sizes: join, split, units and reading."""
    shutil.copy(real_data("hoyle2011") / "hoyle_barlengths.csv", tmp_path)
    real = pd.read_csv(tmp_path / "hoyle_barlengths.csv")
    assets = np.random.default_rng(0).permutation(400_000)[: len(real)] + 1
    mapping = pd.DataFrame({"objid": real["objid"], "sample": "original", "asset_id": assets})
    mapping.sample(frac=1, random_state=1).to_csv(tmp_path / survey.MAPPING, index=False)
    # Sizes that make a galaxy's diameter, length_avg / length_scaled kpc/h, two PETROR90_R at redshift 0.05.
    sizes = pd.DataFrame({"OBJID": real["objid"], "PETROR90_R": real["length_avg"] / real["length_scaled"] / 2 / 0.68})
    sizes.to_csv(tmp_path / survey.SAMPLE, index=False)
    pictures = sorted((simulated / survey.CATALOGUE_IMAGES).iterdir())
    (tmp_path / survey.CATALOGUE_IMAGES).mkdir(parents=True)
    for i, asset in enumerate(assets):
        (tmp_path / survey.CATALOGUE_IMAGES / f"{asset}.jpg").hardlink_to(pictures[i % len(pictures)])

    catalogue = survey.read_catalogue(tmp_path)
    assert (catalogue["objid"] == real["objid"]).all()
    assert (catalogue["asset_id"] == assets).all()
    val, test = survey.shuffle_split(catalogue, 0.3334, 123, "bars.measure.validation_split")
    assert (len(val), len(test)) == (1050, 2100)
    assert np.allclose(to_kpc(catalogue_arcsec(test), test), test["length_avg"])
    found = ceiling(catalogue)
    assert found["rmse"] == pytest.approx(0.86, abs=0.005)
    assert found["correlation"] == pytest.approx(0.973, abs=0.0005)
    with RejectionLog(tmp_path / "rejected.csv") as log:
        assert write_part(tmp_path, "catalogue", 190, 72, tmp_path, log) == 3150
    assert log.count == 0
    pictures = load(tmp_path, "catalogue")
    assert pictures.images.shape == (3150, 72, 72, 3) and np.array_equal(pictures.ids, assets)
    assert np.array_equal(pictures.ids[pictures.rows(val["asset_id"])], val["asset_id"])
