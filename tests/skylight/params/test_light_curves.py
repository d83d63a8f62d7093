"""The description of a survey: every value that no reader could use is refused by its key."""

import pytest

from skylight import params
from skylight.errors import InputError
from skylight.params.light_curves import CrtsLayout, FilesLayout, TableLayout

COLUMNS = {"time": "mjd", "mag": "mag", "magerr": "magerr"}
FILES = {"layout": "files", "path": "data/mine", "files": "{id}.csv", "columns": COLUMNS}
TABLE = {"layout": "table", "path": "data/mine", "table": "all.csv", "columns": COLUMNS | {"id": "oid"}}
LABELS = {"path": "labels.csv", "id": 0, "class": 1, "classes": {"a": "EW"}}


def test_the_ranges_are_those_of_params_yaml():
    periodic = params.load().periodic
    for data in (periodic.data, *periodic.transfer.surveys.values(), params.check(FilesLayout, FILES)):
        assert (data.time_range, data.mag_range, data.magerr_range) == (None, [-5, 40], [0, 9])


def test_any_number_of_blanks_is_one_delimiter():
    assert params.check(FilesLayout, FILES | {"delimiter": "   "}).delimiter == " "
    assert params.check(FilesLayout, FILES | {"delimiter": "\t"}).delimiter == "\t"


@pytest.mark.parametrize("key", ["time_range", "mag_range", "magerr_range"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([float("nan"), 1.0], "must be a finite number"),
        ([0.0, float("inf")], "must be a finite number"),
        ([2, 1], r"must ascend, got \[2(\.0)?, 1(\.0)?\]"),
        ([1], "must be a list of at least 2"),
        ([1, 2, 3], "must be a list of at most 2"),
        (["nan", "inf"], "must be a number"),
    ],
)
def test_a_range_is_two_finite_numbers(key, value, reason):
    for layout, data in (
        (FilesLayout, FILES),
        (TableLayout, TABLE),
        (CrtsLayout, {"layout": "crts", "path": "data/crts"}),
    ):
        with pytest.raises(InputError, match=rf"^{key}[.\d]*: {reason}"):
            params.check(layout, data | {key: value})


@pytest.mark.parametrize("text", ["", "#", ",,", "\n", "\x00", '"', "a", "0", ".", "-", "é", "\\", "\\s+", "  ,"])
def test_a_delimiter_is_one_character_that_is_no_part_of_a_value(text):
    for layout, data in ((FilesLayout, FILES), (TableLayout, TABLE)):
        with pytest.raises(InputError, match=r"^delimiter: must be one character such as"):
            params.check(layout, data | {"delimiter": text})
        with pytest.raises(InputError, match=r"^labels\.delimiter: must be one character such as"):
            params.check(layout, data | {"labels": LABELS | {"delimiter": text}})


@pytest.mark.parametrize("path", ["/etc/{id}", "../{id}.csv", "lc/../../{id}", "", ".", "a\x00{id}", "a\n{id}"])
def test_a_file_is_inside_the_survey(path):
    with pytest.raises(InputError, match=r"^files: must be a path inside the survey's path"):
        params.check(FilesLayout, FILES | {"files": path})
    with pytest.raises(InputError, match=r"^table: must be a path inside the survey's path"):
        params.check(TableLayout, TABLE | {"table": path})
    with pytest.raises(InputError, match=r"^labels\.path: must be a path inside the survey's path"):
        params.check(FilesLayout, FILES | {"labels": LABELS | {"path": path}})


@pytest.mark.parametrize("path", ["**/{id}.csv", "*/{id}", "{id}*"])
def test_a_pattern_has_no_other_wildcard_than_the_id(path):
    with pytest.raises(InputError, match=r"files: takes no \*"):
        params.check(FilesLayout, FILES | {"files": path})


@pytest.mark.parametrize("path", ["", "a\x00b", "a\nb"])
def test_the_path_of_a_survey_can_be_one(path):
    with pytest.raises(InputError, match=r"^path: must be a path without control characters"):
        params.check(CrtsLayout, {"layout": "crts", "path": path})


@pytest.mark.parametrize("value", [10**30, 10_000])
def test_positions_and_numbers_of_rows_are_bounded(value):
    with pytest.raises(InputError, match=r"^columns\.time.*: must be less than 10000|^columns\.time"):
        params.check(FilesLayout, FILES | {"columns": COLUMNS | {"time": value}})
    with pytest.raises(InputError, match=r"^skip_rows: must be at most 1e\+06"):
        params.check(FilesLayout, FILES | {"skip_rows": 10**30})


@pytest.mark.parametrize("key", ["path", "files"])
def test_a_name_that_no_file_system_can_have_is_refused_by_key(key):
    name = "9" * 256 + ("{id}" if key == "files" else "")
    with pytest.raises(InputError, match=rf"^{key}: must be a path of names of at most 255 bytes, got \d+ characters"):
        params.check(FilesLayout, FILES | {key: name})
    params.check(FilesLayout, FILES | {"path": "9" * 255})
