"""Delimited text: its lines, its columns and its fields, the same for light curves, tables and tables of classes."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from skylight.errors import reason
from skylight.files import fault

MAX_BYTES = 2**26
"""Largest text file that is read into memory: 64 MiB, about a million rows."""
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:nan|inf|infinity)"
"""Regular expression of a number, for Python and for DuckDB; both would also take 1_0 for ten, Python ５ for five."""


class BadText(Exception):
    """Text that cannot be read; the message is the reason, with the line but without the file."""


def read_lines(path: Path, most: int = MAX_BYTES) -> list[str]:
    """Return the lines of a UTF-8 file, with or without a byte order mark, without their ends.

    Raises
    ------
    BadText
        The file has a `skylight.files.fault`, cannot be read, or is no text.
    """
    if wrong := fault(path, most=most):
        raise BadText(wrong)
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(most).split("\n")
    except OSError as error:
        raise BadText(reason(error)) from None
    except UnicodeDecodeError:
        raise BadText("not a text file") from None


def is_comment(line: str) -> bool:
    """Whether a line is blank or begins with ``#``."""
    return line.lstrip()[:1] in ("", "#")


def split(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line, without blanks around them; a blank as delimiter is any number of blanks.

    Raises
    ------
    BadText
        The quotes of the line are wrong.
    """
    if delimiter == " ":
        return [field.strip('"') for field in line.split()]
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    return next(records([line], delimiter))


def records(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of each row, as `split`; blank lines are left out, and a field in quotes may have newlines.

    Raises
    ------
    BadText
        The quotes of a row are wrong; the reason names it, counted from 1.
    """
    if delimiter == " ":
        yield from (split(line, delimiter) for line in lines if line.strip())
        return
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    count = 0
    try:
        for fields in rows:
            if fields not in ([], [""]):
                count += 1
                yield [field.strip() for field in fields]
    except csv.Error as error:
        raise BadText(f"row {count + 1}: {error}") from None


def find_columns(
    lines: Sequence[str], delimiter: str, wanted: Sequence[str | int], skip_rows: int = 0
) -> tuple[list[int], int]:
    """Find columns by their names in the header, or by their positions.

    The header is the first row that is no comment. If it lacks a name, a comment above it may be the header:
    ``#mjd,mag,magerr``.

    Parameters
    ----------
    lines : sequence of str
    delimiter : str
    wanted : sequence
        Names, or positions from 0.
    skip_rows : int
        Rows above the header, or above the data, that are no comments.

    Returns
    -------
    list of int
        Position of each wanted column.
    int
        Index of the line where the data begin.

    Raises
    ------
    BadText
        There is no such column, or the name is there twice.
    """
    rows = (index for index, line in enumerate(lines) if not is_comment(line))
    first = next((row for number, row in enumerate(rows) if number == skip_rows), None)
    named = [column for column in wanted if isinstance(column, str)]
    if not named:
        return list(wanted), len(lines) if first is None else first
    above = [line for line in lines[:first] if line.strip() and is_comment(line)]
    headers = [] if first is None else [split(lines[first], delimiter)]
    headers += [split(line.lstrip().lstrip("#"), delimiter) for line in reversed(above)]
    for number, header in enumerate(headers):
        if all(name in header for name in named):
            twice = [name for name in named if header.count(name) > 1]
            if twice:
                raise BadText(f"column {twice[0]!r} is there twice")
            start = len(lines) if first is None else first + (number == 0)
            return [header.index(column) if isinstance(column, str) else column for column in wanted], start
    header = headers[0] if headers else []
    missing = next(name for name in named if name not in header)
    raise BadText(f"no column {missing!r} (has: {listed(header)})")


def listed(names: Sequence[str]) -> str:
    """Return names for a message of one line: the first thirty, without control characters and endless names."""
    shown = [name[:60] if name.isprintable() else ascii(name[:60]) for name in names[:30]]
    return ", ".join(shown) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
