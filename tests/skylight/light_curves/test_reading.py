"""Every layout of a survey gives the same light curves, and every error names its place."""

import numpy as np
import pandas as pd
import pytest

from skylight.errors import InputError
from skylight.light_curves.curve import BadLightCurve
from skylight.light_curves.reading import open_survey
from skylight.params import check
from skylight.params.light_curves import CrtsLayout, FilesLayout, TableLayout
from skylight.rejected import Rejected

CLASSES = ["EW", "RRab"]
STARS = {"101": "EW", "102": "RRab", "103": "EW"}
LABELS = {"path": "labels.csv", "id": "id", "class": "type", "classes": {"W": "EW", "AB": "RRab"}}


def rows_of(star, band="r"):
    rng = np.random.default_rng([int(star), *band.encode()])
    return pd.DataFrame({"t": rng.uniform(0, 100, 12), "m": rng.normal(15, 1, 12), "e": 0.1, "band": band})


@pytest.fixture
def crts(tmp_path):
    (tmp_path / "classes.csv").write_text("lcid class\n101 1\n102 4\n103 1\n")
    for star, name in STARS.items():
        folder = tmp_path / f"indiv_lc/class{1 if name == 'EW' else 4}"
        folder.mkdir(parents=True, exist_ok=True)
        rows = rows_of(star).sample(frac=1, random_state=0)[["t", "m", "e"]]
        rows.insert(0, "lcid", star)
        text = rows.to_csv(header=False, index=False, float_format="%.17g")
        (folder / f"{star}.csv").write_text("# lcid,mjd,mag,magerr\n" + text)
    return check(CrtsLayout, {"layout": "crts", "path": str(tmp_path)})


@pytest.fixture
def files(tmp_path):
    (tmp_path / "labels.csv").write_text("id,type,note\n101,W,x\n102,AB,y\n103,W,z\n")
    (tmp_path / "lc").mkdir()
    for star in STARS:
        both = pd.concat([rows_of(star, "g"), rows_of(star)]).sample(frac=1, random_state=0)
        both.to_csv(tmp_path / f"lc/star_{star}.txt", sep=" ", index=False, float_format="%.17g")
    return {
        "layout": "files",
        "path": str(tmp_path),
        "files": "lc/star_{id}.txt",
        "delimiter": " ",
        "columns": {"time": "t", "mag": "m", "magerr": "e", "band": "band"},
        "band": "r",
        "labels": LABELS,
    }


@pytest.fixture(params=["parquet", "csv"])
def table(tmp_path, request):
    (tmp_path / "labels.csv").write_text("id,type\n101,W\n102,AB\n103,W\n")
    rows = pd.concat([rows_of(star, band).assign(oid=int(star)) for star in STARS for band in "gr"])
    rows = rows.sample(frac=1, random_state=1)
    if request.param == "parquet":
        rows.to_parquet(tmp_path / "all.parquet")
    else:
        rows.to_csv(tmp_path / "all.csv", index=False, float_format="%.17g")
    return {
        "layout": "table",
        "path": str(tmp_path),
        "table": f"all.{request.param}",
        "columns": {"id": "oid", "time": "t", "mag": "m", "magerr": "e", "band": "band"},
        "band": "r",
        "labels": LABELS,
    }


def assert_complete(survey):
    sources = {source.id: source for source in survey.sources()}
    assert {id_: source.class_name for id_, source in sources.items()} == STARS
    for star, source in sources.items():
        expected, curve = rows_of(star).sort_values("t"), source.read()
        assert np.allclose(curve.time, expected["t"], rtol=0, atol=1e-12)
        assert np.allclose(curve.mag, expected["m"], rtol=0, atol=1e-12)
        assert (curve.magerr == 0.1).all()


def test_crts_layout(crts):
    assert_complete(open_survey(crts, CLASSES))


def test_one_file_per_object(files):
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


def test_one_table_of_all_objects(table):
    assert_complete(open_survey(check(TableLayout, table), CLASSES))


def test_columns_by_position(files, tmp_path):
    for path in (tmp_path / "lc").iterdir():
        path.write_text("\n".join(path.read_text().splitlines()[1:]))
    files["columns"] = {"time": 0, "mag": 1, "magerr": 2, "band": 3}
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


def test_time_range(files, table):
    for data, layout in ((files, FilesLayout), (table, TableLayout)):
        survey = open_survey(check(layout, data | {"time_range": [20.0, 70.0]}), CLASSES)
        for source in survey.sources():
            inside = rows_of(source.id)["t"].between(20, 70)
            assert len(source.read()) == inside.sum()


def test_without_labels_all_objects_count(files, table):
    for data, layout in ((files, FilesLayout), (table, TableLayout)):
        survey = open_survey(check(layout, data | {"labels": None}), CLASSES)
        assert list(survey.labels["id"]) == sorted(STARS)
        assert {source.class_name for source in survey.sources()} == {""}


def test_some_objects_only(table):
    survey = open_survey(check(TableLayout, table), CLASSES).only(["102"])
    assert [source.id for source in survey.sources()] == ["102"]


def test_classes_not_asked_for_are_left_out_and_unknown_ones_rejected(crts, tmp_path):
    (tmp_path / "classes.csv").write_text("lcid class\n101 1\n102 4\n103 99\n")
    survey = open_survey(crts, ["RRab"])
    assert list(survey.labels["id"]) == ["102"] and survey.left_out == 1
    assert survey.rejected == [Rejected(f"{tmp_path}/classes.csv row 3", "103", "unknown class '99'")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# comment only\n", "fewer than two points (0)"),
        ("101,1,15,0.1\n", "fewer than two points (1)"),
        ("101,1,15,0.1\n101,2,nan,0.1\n", "mag is not finite in row 2"),
        ("101,inf,15,0.1\n101,2,15,0.1\n", "time is not finite in row 1"),
        ("101,1,15,0.1\n# note\n101,2,bright,0.1\n", "line 3: not a number: 'bright'"),
        ("101,1,15,0.1\n101,2\n", "line 2: only 2 columns"),
        ("\x00\x01\n", "line 1: only 1 columns"),
    ],
)
def test_an_error_in_a_file_names_the_line(crts, tmp_path, text, reason):
    (tmp_path / "indiv_lc/class1/101.csv").write_text(text)
    source = next(open_survey(crts, CLASSES).sources())
    with pytest.raises(BadLightCurve) as error:
        source.read()
    assert str(error.value) == reason


def test_a_missing_file_is_an_error(crts, tmp_path):
    (tmp_path / "indiv_lc/class1/101.csv").unlink()
    with pytest.raises(BadLightCurve, match=r"^no such file or directory$"):
        next(open_survey(crts, CLASSES).sources()).read()


def test_a_binary_file_is_an_error(crts, tmp_path):
    (tmp_path / "indiv_lc/class1/101.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadLightCurve, match="not a text file"):
        next(open_survey(crts, CLASSES).sources()).read()


def test_an_error_about_a_missing_column_names_the_columns_of_the_file(files):
    files["columns"]["mag"] = "vmag"
    source = next(open_survey(check(FilesLayout, files), CLASSES).sources())
    with pytest.raises(BadLightCurve, match=r"^no column 'vmag' \(has: t, m, e, band\)"):
        source.read()


def test_errors_in_a_table(table, tmp_path):
    if table["table"] != "all.csv":
        pytest.skip("a Parquet column of numbers holds no text")
    lines = (tmp_path / "all.csv").read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if line.endswith("101") and ",r," in line)
    lines[row] = lines[row].replace(lines[row].split(",")[1], "??", 1)
    keep = [line for line in lines if not line.endswith("103")]
    (tmp_path / "all.csv").write_text("\n".join(keep))
    sources = {source.id: source for source in open_survey(check(TableLayout, table), CLASSES).sources()}
    with pytest.raises(BadLightCurve, match=r"not a number: '\?\?'"):
        sources["101"].read()
    assert len(sources["102"].read()) == 12
    assert sources["103"] == Rejected(str(tmp_path / "all.csv"), "103", "no rows in the table")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "nowhere"}, "nowhere: no such folder"),
        ({"labels": LABELS | {"path": "missing.csv"}}, "missing.csv: no such file or directory"),
        ({"labels": LABELS | {"id": "name"}}, "labels.csv: no column 'name' (has: id, type, note)"),
        ({"labels": LABELS | {"classes": {"x": "EW"}}}, "labels.csv: no object of the classes EW, RRab"),
        ({"labels": None, "files": "lc/nova_{id}.txt"}, "no file like lc/nova_{id}.txt"),
    ],
)
def test_a_survey_that_cannot_be_opened_is_an_error(files, change, message):
    with pytest.raises(InputError) as error:
        open_survey(check(FilesLayout, files | change), CLASSES)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"table": "none.csv"}, "none.csv"), ({"columns": {"id": "o", "time": "t", "mag": "m", "magerr": "e"}}, "band")],
)
def test_a_table_that_cannot_be_read_is_an_error(table, change, message):
    with pytest.raises(InputError, match=message):
        list(open_survey(check(TableLayout, table | change), CLASSES).sources())


def test_an_id_given_twice_is_an_error(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id,type\n101,W\n101,AB\n")
    with pytest.raises(InputError, match=r"labels\.csv row 2: id '101' is there twice"):
        open_survey(check(FilesLayout, files), CLASSES)
