"""Rejected objects are listed in a table, and too many of them are an error."""

import csv

import pytest

from skylight.errors import InputError
from skylight.rejected import Rejected, RejectionLog

BAD = [Rejected("a.csv row 3", "17", "no magnitude, só"), Rejected("b.csv", "", "truncated")]


def log_of(path, rejected):
    with RejectionLog(path) as log:
        for each in rejected:
            log.add(each)
    return log


def test_the_table_has_one_row_per_rejected_object(tmp_path):
    log_of(tmp_path / "rejected.csv", BAD)
    with (tmp_path / "rejected.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["source", "id", "reason"],
        ["a.csv row 3", "17", "no magnitude, só"],
        ["b.csv", "", "truncated"],
    ]


def test_without_rejected_objects_the_table_is_empty_and_nothing_is_printed(tmp_path, capsys):
    log_of(tmp_path / "rejected.csv", []).check(10, 0.0, "stars.max_rejected")
    assert (tmp_path / "rejected.csv").read_text() == "source,id,reason\n"
    assert capsys.readouterr() == ("", "")


def test_a_share_up_to_the_limit_is_reported(tmp_path, capsys):
    log_of(tmp_path / "rejected.csv", BAD).check(10, 0.2, "stars.max_rejected", "light curves")
    assert "2 of 10 light curves rejected; rejected.csv lists them\n" in "".join(capsys.readouterr())


def test_a_larger_share_is_an_error_that_names_the_parameter_and_the_first_object(tmp_path):
    message = r"^2 of 9 objects rejected, stars.max_rejected allows a share of 0\.2; the first: a.csv row 3: no magn"
    with pytest.raises(InputError, match=message):
        log_of(tmp_path / "rejected.csv", BAD).check(9, 0.2, "stars.max_rejected")


@pytest.mark.parametrize("rejected", [BAD, []])
def test_a_survey_without_a_good_object_is_an_error_for_any_limit(tmp_path, rejected):
    with pytest.raises(InputError, match=f"^{len(rejected)} of {len(rejected)} objects rejected"):
        log_of(tmp_path / "rejected.csv", rejected).check(len(rejected), 1.0, "stars.max_rejected")


def test_each_part_of_a_survey_is_checked_with_its_own_objects(tmp_path):
    with RejectionLog(tmp_path / "rejected.csv") as log:
        log.add(BAD[0])
        log.check(10, 0.1, "stars.max_rejected")
        log.check(10, 0.0, "stars.max_rejected")
        log.add(BAD[1])
        with pytest.raises(InputError, match=r"^1 of 9 objects rejected, .*; the first: b.csv: truncated"):
            log.check(9, 0.1, "stars.max_rejected")


def test_a_name_that_is_not_utf_8_is_written_with_its_bytes(tmp_path):
    with RejectionLog(tmp_path / "rejected.csv") as log:
        log.add(Rejected("night/a\udcff.avro", "", "corrupt"))
    assert (tmp_path / "rejected.csv").read_bytes().splitlines()[1] == rb"night/a\udcff.avro,,corrupt"
