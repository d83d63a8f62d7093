"""The columns of delimited text are found by their names, wherever the header is."""

import pytest

from skylight.light_curves.text import MAX_BYTES, BadText, find_columns, listed, read_lines, records, split


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["a,b,c", "1,2,3"], ([2, 0], 1)),
        (["# note", "", "a,b,c", "1,2,3"], ([2, 0], 3)),
        (["#a,b,c", "1,2,3"], ([2, 0], 1)),
        (["### a , b,c", "# note", "1,2,3"], ([2, 0], 2)),
        (["# c,b,a", "a,b,c", "1,2,3"], ([2, 0], 2)),
        (['"a","b","c"', "1,2,3"], ([2, 0], 1)),
        (["#a,b,c"], ([2, 0], 1)),
    ],
)
def test_the_header_is_the_first_row_or_a_comment_above_it(lines, found):
    assert find_columns(lines, ",", ["c", "a"]) == found


def test_rows_are_skipped_above_the_header_but_comments_are_not_counted():
    lines = ["# note", "made by hand", "a,b", "1,2"]
    assert find_columns(lines, ",", ["b"], skip_rows=1) == ([1], 3)
    assert find_columns(lines, ",", [1], skip_rows=2) == ([1], 3)
    assert find_columns(lines, ",", [1], skip_rows=9) == ([1], 4)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], r"no column 'a' \(has: \)"),
        (["x,y"], r"no column 'a' \(has: x, y\)"),
        (["# comment", "x,y"], r"no column 'a' \(has: x, y\)"),
        (["a,b,a"], "column 'a' is there twice"),
        (["x\x0b\x1b[2J,y"], r"no column 'a' \(has: 'x\\x0b\\x1b\[2J', y\)"),
    ],
)
def test_a_column_that_is_not_there_once_is_an_error(lines, reason):
    with pytest.raises(BadText, match=f"^{reason}$"):
        find_columns(lines, ",", ["a"])


def test_an_error_lists_thirty_columns():
    assert listed([str(number) for number in range(32)]).endswith(", 28, 29 and 2 more")


def test_fields_are_split_by_the_delimiter_only():
    assert split(' 1 , "a,b","c ""d"""', ",") == ["1", "a,b", 'c "d"']
    assert split("  1   2\t3 ", " ") == ["1", "2", "3"]
    assert split("1||2", "|") == ["1", "", "2"]
    assert list(records(['1,"a', 'b"', "", "  ", "2,"], ",")) == [["1", "a\nb"], ["2", ""]]
    with pytest.raises(BadText, match="row 2: unexpected end of data"):
        list(records(["1,2", '1,"2', "3,4"], ","))


def test_only_line_ends_end_a_line(tmp_path):
    (tmp_path / "a").write_bytes("\ufeff1\x0b\x1c\x85\u20282\r\n3\r4\n".encode())
    assert read_lines(tmp_path / "a") == ["1\x0b\x1c\x85\u20282", "3", "4", ""]


def test_a_file_is_checked_before_it_is_opened(tmp_path):
    with pytest.raises(BadText, match="embedded null"):
        read_lines(tmp_path / "a\x00b")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadText, match="Too many levels of symbolic links"):
        read_lines(tmp_path / "loop")
    with pytest.raises(BadText, match="File name too long"):
        read_lines(tmp_path / ("a" * 300))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadText, match="larger than 64 MiB"):
        read_lines(tmp_path / "sparse")
