"""Every layout of a survey gives the same light curves, and every error names its place."""

import gzip
import os
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skylight.errors import InputError
from skylight.light_curves.curve import BadLightCurve
from skylight.light_curves.reading import file_format, open_survey
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


def test_a_survey_may_have_no_errors_of_magnitudes(files, table, tmp_path):
    for data, layout in ((files, FilesLayout), (table, TableLayout)):
        columns = {key: name for key, name in data["columns"].items() if key != "magerr"}
        for source in open_survey(check(layout, data | {"columns": columns}), CLASSES).sources():
            curve, expected = source.read(), rows_of(source.id).sort_values("t")
            assert np.allclose(curve.mag, expected["m"], rtol=0, atol=1e-12) and (curve.magerr == 0).all()


def test_classes_may_be_numbers_and_others_left_out_at_once(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id,type\n101,1\n102,4\n103,17\n")
    labels = LABELS | {"classes": {1: "EW", 4: "RRab"}}
    survey = open_survey(check(FilesLayout, files | {"labels": labels}), CLASSES)
    assert [each.id for each in survey.rejected] == ["103"] and survey.left_out == 0
    survey = open_survey(check(FilesLayout, files | {"labels": labels | {"others": None}}), CLASSES)
    assert list(survey.labels["id"]) == ["101", "102"] and not survey.rejected and survey.left_out == 1


def test_a_table_of_classes_may_have_a_byte_order_mark_and_any_delimiter(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id;type\n101;W\n102;AB\n103;W\n", encoding="utf-8-sig")
    assert_complete(open_survey(check(FilesLayout, files | {"labels": LABELS | {"delimiter": ";"}}), CLASSES))


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
    with pytest.raises(BadLightCurve, match=r"^no such file$"):
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
        ({"labels": LABELS | {"path": "missing.csv"}}, "missing.csv: no such file"),
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


# What people bring: the same forty points in the ways that surveys write them.
POINTS = [f"{58000 + 0.7 * i:.5f},{15 + 0.3 * np.sin(i):.3f},0.02" for i in range(40)]
VALUES = {"time": "mjd", "mag": "mag", "magerr": "magerr"}


@pytest.fixture(params=["files", "table"])
def bring(request, tmp_path):
    """A function that writes text as a file of one object or as a table of one object, and opens the survey."""

    def write(text, encoding="utf-8", **change):
        data = {"layout": request.param, "path": str(tmp_path), "labels": None}
        if request.param == "files":
            (tmp_path / "7.csv").write_text(text, encoding=encoding)
            return open_survey(check(FilesLayout, data | {"files": "{id}.csv", "columns": VALUES} | change), CLASSES)
        lines = [line for line in text.split("\n") if line]
        lines = [line + (",oid" if line.lstrip("\ufeff#").startswith("mjd") else ",7") for line in lines]
        (tmp_path / "all.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
        columns = VALUES | {"id": "oid"}
        return open_survey(check(TableLayout, data | {"table": "all.csv", "columns": columns} | change), CLASSES)

    return write


def only_curve(survey):
    (source,) = survey.sources()
    assert source.id == "7"
    return source.read()


@pytest.mark.parametrize(
    ("first", "more", "dropped"),
    [
        ("mjd,mag,magerr\n", [], {}),
        ("mjd,mag,magerr\n", ["58030.5,99.999,9.999"] * 10, {"mag_range": 10}),
        ("mjd,mag,magerr\n", ["58030.5,-20.1,0.8"] * 10, {"mag_range": 10}),
        ("mjd,mag,magerr\n", ["58030.5,15,9.999"], {"magerr_range": 1}),
        ("mjd,mag,magerr\n", ["58030.5,>17.5,99.99"] * 3, {"limits": 3}),
        ("mjd,mag,magerr\n", POINTS[::-1], {"duplicates": 40}),
        ("#mjd,mag,magerr\n", [], {}),
        ("\ufeffmjd,mag,magerr\n", [], {}),
    ],
    ids=["plain", "sentinel", "atlas_negative", "error_sentinel", "limits", "duplicate_rows", "comment_header", "bom"],
)
def test_the_forty_points_are_read_and_other_rows_counted(bring, first, more, dropped):
    found = only_curve(bring(first + "\n".join(POINTS + more) + "\n"))
    expected = np.array([[float(value) for value in row.split(",")] for row in POINTS]).T
    assert np.array_equal([found.time, found.mag, found.magerr], expected)
    assert found.dropped == dropped


@pytest.mark.parametrize("number", ["５３０００", "1_0", "٣", "0x10", "1d5", "1,5", "15\x00", "--1", "1e", "."])
def test_text_that_is_no_number_is_refused(bring, number):
    survey = bring("mjd,mag,magerr\n" + "\n".join(POINTS) + f'\n58100,"{number}",0.1\n')
    with pytest.raises(BadLightCurve, match=r"^(line 42: )?not a number: '.*'$"):
        only_curve(survey)


def test_a_file_of_wrong_digits_is_refused_by_its_line(files, tmp_path):
    (tmp_path / "lc/star_101.txt").write_text("t m e band\n５３０００ 15.0 0.02 r\n1_0 15.1 0.02 r\n", encoding="utf-8")
    source = next(open_survey(check(FilesLayout, files), CLASSES).sources())
    with pytest.raises(BadLightCurve, match=r"^line 2: not a number: '５３０００'$"):
        source.read()


def test_quoted_fields_are_read(bring):
    quoted = ['"' + row.replace(",", '","') + '"' for row in POINTS]
    assert len(only_curve(bring('"mjd","mag","magerr"\n'.replace('"', "") + "\n".join(quoted) + "\n"))) == 40


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_lines_may_end_as_on_any_system(files, tmp_path, end):
    text = (tmp_path / "lc/star_101.txt").read_text()
    (tmp_path / "lc/star_101.txt").write_bytes(text.replace("\n", end).encode())
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_a_table_is_read_whatever_its_lines_look_like(table, tmp_path, suffix):
    if table["table"] != "all.csv":
        pytest.skip("about text")
    header, *rows = (tmp_path / "all.csv").read_text().splitlines()
    rows = [f"{row}," if number % 2 else f"{row},more" for number, row in enumerate(rows)]
    rows.insert(5, "")
    rows.insert(9, '1,2,3,"of two\nlines",999,x')
    text = "\r\n".join(["made by hand", "# of all stars", "#" + header, *rows]) + "\r\n"
    content = b"\xef\xbb\xbf" + text.encode()
    (tmp_path / f"all.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    changed = table | {"table": f"all.{suffix}", "skip_rows": 1}
    assert_complete(open_survey(check(TableLayout, changed), CLASSES))


def test_a_table_may_be_separated_by_any_number_of_blanks(table, tmp_path):
    if table["table"] != "all.csv":
        pytest.skip("about text")
    header, *rows = (tmp_path / "all.csv").read_text().splitlines()
    rows = [row.replace(",", " " * (1 + number % 3)) for number, row in enumerate(rows)]
    (tmp_path / "all.csv").write_text("\n".join([" ".join(header.split(",")), *rows]))
    assert_complete(open_survey(check(TableLayout, table | {"delimiter": "  "}), CLASSES))


@pytest.mark.parametrize("delimiter", ["|", ";", "\t", "^", "$", "("])
def test_a_delimiter_is_no_regular_expression(table, files, tmp_path, delimiter):
    for path in (tmp_path / "labels.csv", tmp_path / "all.csv", *(tmp_path / "lc").glob("*")):
        if path.exists():
            path.write_text(path.read_text().replace(",", delimiter).replace(" ", delimiter))
    labels = LABELS | {"delimiter": delimiter}
    for data, layout in ((files, FilesLayout), (table, TableLayout)):
        assert_complete(open_survey(check(layout, data | {"delimiter": delimiter, "labels": labels}), CLASSES))


def test_brackets_in_a_name_are_no_pattern(table, tmp_path):
    suffix = table["table"].rpartition(".")[2]
    inside = tmp_path / "night[12]*?"
    inside.mkdir()
    (tmp_path / "night1").mkdir()
    (tmp_path / table["table"]).rename(inside / f"t[1].{suffix}")
    (inside / f"t1.{suffix}").write_text("another table\n1\n")
    assert_complete(open_survey(check(TableLayout, table | {"table": f"night[12]*?/t[1].{suffix}"}), CLASSES))


def test_brackets_in_a_pattern_of_files_are_no_pattern(files, tmp_path):
    (tmp_path / "lc").rename(tmp_path / "lc[1]")
    (tmp_path / "lc1").mkdir()
    (tmp_path / "lc1/star_999.txt").write_text("")
    survey = open_survey(check(FilesLayout, files | {"files": "lc[1]/star_{id}.txt", "labels": None}), CLASSES)
    assert list(survey.labels["id"]) == sorted(STARS)


def test_the_id_may_be_the_name_of_a_folder(files, tmp_path):
    for star in STARS:
        (tmp_path / star).mkdir()
        (tmp_path / f"lc/star_{star}.txt").rename(tmp_path / star / "curve.txt")
    survey = open_survey(check(FilesLayout, files | {"files": "./{id}/curve.txt", "labels": None}), CLASSES)
    assert list(survey.labels["id"]) == sorted(STARS)
    assert all(len(source.read()) == 12 for source in survey.sources())


def test_an_empty_last_column_does_not_shift_the_others(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id,type\n101,W,\n102,AB,\n103,W,\n")
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


@pytest.mark.parametrize("first", ["#id,type\n", "\ufeffid,type\n", "# stars\nid,type\n", ' "id", "type"\n'])
def test_a_table_of_classes_is_read_whatever_its_first_line(files, tmp_path, first):
    (tmp_path / "labels.csv").write_text(first + "101,W\n\n102, AB \n103,W\n", encoding="utf-8")
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,type\n101\x00,W\n", "labels.csv row 1: id '101\\x00' has a character that no id can have"),
        ("id,type\n101,W\n,AB\n", "labels.csv row 2: no id"),
        ("id,type\n101,W\n102\n", "labels.csv: row 2: only 1 columns"),
        ("id,type,id\n101,W,1\n", "labels.csv: column 'id' is there twice"),
        ("", "labels.csv: no column 'id' (has: )"),
        ('id,type\n101,W\n102,"AB\n', "labels.csv: row 2: unexpected end of data"),
    ],
)
def test_a_wrong_table_of_classes_is_refused_by_its_row(files, tmp_path, text, reason):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError) as error:
        open_survey(check(FilesLayout, files), CLASSES)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_a_note_in_quotes_may_have_newlines_and_commas(files, tmp_path):
    (tmp_path / "labels.csv").write_text('note,id,type\n"first,\nsecond",101,W\n5" mirror,102,AB\n,"103","W"\n')
    assert_complete(open_survey(check(FilesLayout, files), CLASSES))


def test_a_nul_byte_in_the_classes_of_crts_is_refused(crts, tmp_path):
    (tmp_path / "classes.csv").write_bytes(b"lcid class\n1001\x00 1\n")
    with pytest.raises(InputError, match=r"classes\.csv row 1: id '1001\\x00' has a character"):
        open_survey(crts, CLASSES)


@pytest.mark.parametrize("ids", [pd.array([101, 102, None], "float64"), [101.0, 102.0, 103.0]])
def test_ids_that_a_table_keeps_as_numbers_with_a_point_are_refused(table, tmp_path, ids):
    pd.DataFrame({"id": ids, "type": ["W", "AB", "W"]}).to_parquet(tmp_path / "labels.parquet")
    labels = LABELS | {"path": "labels.parquet"}
    with pytest.raises(InputError, match=r"labels\.parquet: column 'id' has type double; ids and classes are whole"):
        open_survey(check(TableLayout, table | {"labels": labels}), CLASSES)


@pytest.mark.parametrize("dtype", ["int64", "Int32", "str", "category"])
def test_ids_in_parquet_are_whole_numbers_or_text(table, tmp_path, dtype):
    labels = pd.DataFrame({"id": ["101", "102", "103"], "type": ["W", "AB", "W"]})
    labels["id"] = labels["id"].astype(int).astype(dtype) if dtype[0] in "iI" else labels["id"].astype(dtype)
    labels.to_parquet(tmp_path / "labels.parquet")
    table["labels"] = LABELS | {"path": "labels.parquet"}
    assert_complete(open_survey(check(TableLayout, table), CLASSES))


@pytest.fixture
def parquet(tmp_path):
    """A function that writes columns as Parquet and returns the sources of the table."""

    def write(**columns):
        default = {"oid": [1, 1, 1], "mjd": [58000.0, 58001.0, 58002.0], "mag": [15.0] * 3, "magerr": [0.02] * 3}
        pq.write_table(pa.table(default | columns), tmp_path / "t.parquet")
        data = {"layout": "table", "path": str(tmp_path), "table": "t.parquet", "columns": VALUES | {"id": "oid"}}
        return list(open_survey(check(TableLayout, data), CLASSES).sources())

    return write


def test_times_of_32_bits_in_parquet_are_refused_where_they_merge_epochs(parquet):
    times = (58000 + 0.003 * np.arange(3)).astype(np.float32)
    with pytest.raises(InputError, match=r"t\.parquet: column 'mjd' has type float32, whose steps at 58000 are 338 s"):
        parquet(mjd=times)
    (source,) = parquet(mjd=np.arange(3, dtype=np.float32))
    assert source.read().time.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"oid": [1.0, 1.0, 1.0]}, "column 'oid' has type double; ids are whole numbers or text"),
        ({"mjd": pd.to_datetime(["2020-01-01"] * 3)}, "column 'mjd' has type timestamp.*, which is no number"),
        ({"mag": [[1.0], [1.0], [1.0]]}, "column 'mag' has type list, which is no number"),
        ({"mag": [True, False, True]}, "column 'mag' has type boolean, which is no number"),
    ],
)
def test_a_column_of_a_wrong_type_is_named(parquet, columns, message):
    with pytest.raises(InputError, match=message):
        parquet(**columns)


def test_numbers_as_text_and_ids_as_bytes_are_read_from_parquet(parquet):
    (source,) = parquet(mag=["15", "16.5", " 17 "], oid=[b"a"] * 3)
    assert source.id == "a" and source.read().mag.tolist() == [15, 16.5, 17]
    (source,) = parquet(mag=["15", "1_0", "17"])
    with pytest.raises(BadLightCurve, match="not a number: '1_0'"):
        source.read()


def test_rows_without_an_id_are_reported_and_harm_no_other_object(parquet, tmp_path):
    first, second = parquet(oid=pa.array([None, 7, 7], pa.int64()))
    assert first == Rejected(str(tmp_path / "t.parquet"), "", "1 rows have no id")
    assert second.id == "7" and len(second.read()) == 2


def test_a_missing_value_in_a_table_is_named(parquet):
    (source,) = parquet(mag=pa.array([15.0, None, 16.0]))
    with pytest.raises(BadLightCurve, match="mag is not finite in row 2"):
        source.read()


def test_the_columns_of_a_table_may_have_any_name(table, tmp_path):
    if table["table"] != "all.parquet":
        pytest.skip("about Parquet")
    evil = 'm"; DROP TABLE rows; --'
    pd.read_parquet(tmp_path / "all.parquet").rename(columns={"m": evil, "t": "a.b"}).to_parquet(
        tmp_path / "all.parquet"
    )
    table["columns"] |= {"mag": evil, "time": "a.b"}
    assert_complete(open_survey(check(TableLayout, table), CLASSES))


def test_a_band_is_a_value_and_no_sql(table):
    survey = open_survey(check(TableLayout, table | {"band": "r' OR '1' = '1"}), CLASSES)
    assert [source.reason for source in survey.sources()] == ["no rows in the table"] * 3


def test_a_band_may_be_a_number(parquet, tmp_path):
    parquet(fid=[1, 2, 2])
    data = {"layout": "table", "path": str(tmp_path), "table": "t.parquet"}
    data["columns"] = VALUES | {"id": "oid", "band": "fid"}
    (source,) = open_survey(check(TableLayout, data | {"band": "2"}), CLASSES).sources()
    assert len(source.read()) == 2
    with pytest.raises(InputError, match=r"t\.parquet: Conversion Error: Could not convert string 'zr' to"):
        open_survey(check(TableLayout, data | {"band": "zr"}), CLASSES)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1", b"id,t\n1,2\n"])
def test_a_damaged_parquet_table_is_refused_in_one_line(table, tmp_path, content):
    for name in ("t.parquet", "labels.parquet"):
        (tmp_path / name).write_bytes(content)
    changes = ({"table": "t.parquet"}, {"labels": LABELS | {"path": "labels.parquet"}})
    for change in changes:
        with pytest.raises(InputError, match=r"parquet: \S") as error:
            list(open_survey(check(TableLayout, table | change), CLASSES).sources())
        assert "\n" not in str(error.value)


def test_a_table_that_is_no_text_is_refused(table, tmp_path):
    (tmp_path / "latin.csv").write_bytes("oid,t,m,e,band\n1,2,3,4,ré\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv: not a text file$"):
        list(open_survey(check(TableLayout, table | {"table": "latin.csv"}), CLASSES).sources())


def test_rows_of_a_table_with_more_columns_than_its_header_are_refused_by_line(table, tmp_path):
    if table["table"] != "all.csv":
        pytest.skip("about text")
    with (tmp_path / "all.csv").open("a") as file:
        file.write("1,2,3,4,5,6,7,8\n")
    with pytest.raises(InputError, match=r"all\.csv: .*Line: 74"):
        list(open_survey(check(TableLayout, table), CLASSES).sources())


@pytest.mark.parametrize("layout", ["curve", "labels", "table"])
@pytest.mark.timeout(20)
def test_pipes_and_devices_are_refused_and_not_waited_for(files, table, tmp_path, layout):
    name = {"curve": "lc/star_101.txt", "labels": "labels.csv", "table": table["table"]}[layout]
    (tmp_path / name).unlink()
    for make in (os.mkfifo, lambda path: Path(path).symlink_to("/dev/zero"), os.mkdir):
        make(tmp_path / name)
        data = check(TableLayout, table) if layout == "table" else check(FilesLayout, files)
        reason = "is a (pipe or device|folder)$"
        with pytest.raises(BadLightCurve if layout == "curve" else InputError, match=reason):
            next(open_survey(data, CLASSES).sources()).read()
        (tmp_path / name).rmdir() if (tmp_path / name).is_dir() else (tmp_path / name).unlink()


def test_a_file_that_is_too_large_is_refused_unread(crts, tmp_path):
    with (tmp_path / "indiv_lc/class1/101.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadLightCurve, match=r"^larger than 64 MiB$"):
        next(open_survey(crts, CLASSES).sources()).read()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["file", "table"])
def test_an_object_of_200_000_points_is_refused_and_the_next_one_read(tmp_path, layout):
    rows = [f"1,{number / 100},15.0,0.1" for number in range(200_000)] + ["2,1,15,0.1", "2,2,15,0.1"]
    (tmp_path / "all.csv").write_text("oid,mjd,mag,magerr\n" + "\n".join(rows) + "\n")
    data = {"layout": "table", "path": str(tmp_path), "table": "all.csv", "columns": VALUES | {"id": "oid"}}
    first, second = open_survey(check(TableLayout, data), CLASSES).sources()
    reads = file_format(check(TableLayout, data)).read if layout == "file" else lambda path: first.read()
    with pytest.raises(BadLightCurve, match=r"more than 20,000 points \(200,00"):
        reads(tmp_path / "all.csv")
    assert len(second.read()) == 2


def test_a_huge_object_of_a_table_is_not_kept_in_memory(table, monkeypatch):
    monkeypatch.setattr("skylight.light_curves.tables.HELD", 5)
    monkeypatch.setattr("skylight.light_curves.reading.HELD", 5)
    monkeypatch.setattr("skylight.light_curves.tables.BATCH", 2)
    for source in open_survey(check(TableLayout, table), CLASSES).sources():
        assert source.rows.count == 12 and len(source.rows.values) <= 5
        with pytest.raises(BadLightCurve, match=r"more than 5 rows \(12\)"):
            source.read()


def test_duckdb_leaves_nothing_in_the_working_folder(table, tmp_path, monkeypatch):
    work, spill = tmp_path / "work", tmp_path / "spill"
    work.mkdir(), spill.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    settings = []
    monkeypatch.setattr(
        "skylight.light_curves.tables.duckdb.connect",
        lambda config, connect=duckdb.connect: settings.append(config) or connect(config=config),
    )
    assert_complete(open_survey(check(TableLayout, table), CLASSES))
    assert [Path(config["temp_directory"]).parent for config in settings] == [spill]
    assert not list(work.iterdir()) and not list(spill.iterdir())


def test_an_id_cannot_lead_out_of_the_folder(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id,type\n/../../../etc/passwd,W\n102,AB\n{class},W\n")
    first, second, third = open_survey(check(FilesLayout, files | {"files": "lc/{id}"}), CLASSES).sources()
    assert isinstance(first, Rejected) and "outside of the survey's path" in first.reason
    assert second.path == tmp_path / "lc/102"
    assert third.path == tmp_path / "lc/{class}", "text of an id is no placeholder"


def test_a_file_name_that_no_text_can_hold_is_reported(files, tmp_path):
    (tmp_path / os.fsdecode(b"lc/star_\xff.txt")).write_text("t m e band\n")
    survey = open_survey(check(FilesLayout, files | {"labels": None}), CLASSES)
    assert list(survey.labels["id"]) == sorted(STARS)
    assert [(each.id, each.reason) for each in survey.rejected] == [("'\\udcff'", "an id cannot have such characters")]


def test_training_without_classes_is_refused_by_the_key(files):
    with pytest.raises(InputError, match=r"^periodic\.data\.labels: null, but training needs the classes"):
        open_survey(check(FilesLayout, files | {"labels": None}), CLASSES, training=True)


def test_training_on_three_stars_is_refused(files):
    with pytest.raises(InputError, match=r"training needs at least 10 objects, of two .* there are 3: 2 EW, 1 RRab$"):
        open_survey(check(FilesLayout, files), CLASSES, training=True)


def test_training_on_one_class_is_refused(files, tmp_path):
    (tmp_path / "labels.csv").write_text("id,type\n" + "".join(f"{number},W\n" for number in range(20)))
    with pytest.raises(InputError, match=r"of two classes of periodic\.classes; there are 20: 20 EW$"):
        open_survey(check(FilesLayout, files), CLASSES, training=True)


def test_the_wrong_line_among_many_is_found(tmp_path):
    lines = ["mjd,mag,magerr", *(f"{number},15,0.1" for number in range(3000))]
    lines[2345] = "2345,15,O.1"
    (tmp_path / "1.csv").write_text("\n".join(lines))
    data = {"layout": "files", "path": str(tmp_path), "files": "{id}.csv", "columns": VALUES}
    with pytest.raises(BadLightCurve, match=r"^line 2346: not a number: 'O\.1'$"):
        file_format(check(FilesLayout, data)).read(tmp_path / "1.csv")


def test_a_file_of_too_many_lines_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("skylight.light_curves.reading.MAX_LINES", 20)
    (tmp_path / "1.csv").write_text("mjd,mag,magerr\n" + "\n".join(POINTS))
    data = {"layout": "files", "path": str(tmp_path), "files": "{id}.csv", "columns": VALUES}
    with pytest.raises(BadLightCurve, match=r"^more than 20 lines \(41\)$"):
        file_format(check(FilesLayout, data)).read(tmp_path / "1.csv")


ATLAS = """###MJD          m      dm   uJy   duJy F err chi/N   RA       Dec        x        y     maj  min   phi  apfit mag5sig Sky   Obs
57232.48 16.512  0.020   880    12 o  0  1.10 101.1 -20.2  10.0  20.0 2.50 2.40 -40.0 -0.46 18.96 20.0 02a57232o0467c
57233.48 16.712  0.021   800    12 o  0  1.10 101.1 -20.2  10.0  20.0 2.50 2.40 -40.0 -0.46 18.96 20.0 02a57233o0467c
57234.48 -18.12  0.800   -20    12 o  0  1.10 101.1 -20.2  10.0  20.0 2.50 2.40 -40.0 -0.46 18.96 20.0 02a57234o0467c
57235.48 16.612  0.022   840    12 c  0  1.10 101.1 -20.2  10.0  20.0 2.50 2.40 -40.0 -0.46 18.96 20.0 02a57235o0467c
"""  # noqa: E501
ASASSN = """HJD,UT Date,Camera,FWHM,Limit,mag,mag_err,flux(mJy),flux_err,Filter
2457420.62,2016-02-02.12,bd,1.48,16.916,13.015,0.006,23.8,0.13,V
2457421.62,2016-02-03.12,bd,1.48,16.916,>16.916,99.990,0.1,0.13,V
2457422.62,2016-02-04.12,bd,1.48,16.916,13.115,0.006,23.1,0.13,V
2457423.62,2016-02-05.12,bd,1.48,16.916,13.115,0.006,23.1,0.13,g
"""
OGLE = "2455260.85336 15.512 0.009\n2455265.90446 15.841 0.010\n"


@pytest.mark.parametrize(
    ("text", "description", "mags", "dropped"),
    [
        (
            ATLAS,
            {"delimiter": " ", "columns": {"time": "MJD", "mag": "m", "magerr": "dm", "band": "F"}, "band": "o"},
            [16.512, 16.712],
            {"mag_range": 1},
        ),
        (
            ASASSN,
            {"columns": {"time": "HJD", "mag": "mag", "magerr": "mag_err", "band": "Filter"}, "band": "V"},
            [13.015, 13.115],
            {"limits": 1},
        ),
        (OGLE, {"delimiter": " ", "columns": {"time": 0, "mag": 1, "magerr": 2}}, [15.512, 15.841], {}),
    ],
    ids=["ATLAS", "ASAS-SN", "OGLE"],
)
def test_files_as_surveys_write_them(tmp_path, text, description, mags, dropped):
    (tmp_path / "7.txt").write_text(text)
    data = {"layout": "files", "path": str(tmp_path), "files": "{id}.txt"} | description
    found = only_curve(open_survey(check(FilesLayout, data), CLASSES))
    assert found.mag.tolist() == mags and found.dropped == dropped
