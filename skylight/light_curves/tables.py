"""One table of the light curves of all objects, CSV or Parquet: sorted on disk by DuckDB, read object by object."""

import glob
import gzip
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from duckdb import ColumnExpression, ConstantExpression, SQLExpression

from skylight.errors import InputError
from skylight.files import check_file
from skylight.light_curves.curve import MAX_POINTS, BadLightCurve, check_time_type
from skylight.light_curves.text import NUMBER, BadText, find_columns, listed, split
from skylight.params.light_curves import TableLayout

HEAD_BYTES = 2**24  # the header and the first row of data are in this part of a text table
BATCH = 100_000  # rows from DuckDB at once
INTEGERS = {f"{sign}{size}int" for sign in ("", "u") for size in ("tiny", "small", "big", "huge")}
INTEGERS |= {"integer", "uinteger"}
NUMBERS = INTEGERS | {"float", "double", "decimal"}
VALUES = ("time", "mag", "magerr")


@dataclass(frozen=True)
class ObjectRows:
    """The rows of one object.

    Attributes
    ----------
    id : str
        Empty for the rows that have none.
    count : int
        Number of rows. More than `HELD` of them are not kept.
    values : (n, 3) float64
        Times, magnitudes and errors; NaN where there is none.
    bad : str or None
        The first text that is not a number.
    limits : int
        Number of rows with a limit (``>17.5``) in place of a magnitude. They are not in ``values``.
    """

    id: str
    count: int
    values: np.ndarray
    bad: str | None
    limits: int


HELD = 50 * MAX_POINTS  # rows of one object in memory: some may be outside of the ranges, or copies


def read_objects(data: TableLayout) -> Iterator[ObjectRows]:
    """Read the rows of the band, object by object in the order of the ids.

    Raises
    ------
    InputError
        The table cannot be read, lacks a column, or the type of a column cannot hold its values.
    """
    with _select(data) as rows:
        held, count = [], 0
        for part in _pieces(_batches(data, rows)):
            if held and held[0]["id"].iloc[0] != part["id"].iloc[0]:
                yield _object(held, count)
                held, count = [], 0
            count += len(part)
            if count <= HELD or not held:
                held.append(part)
        if held:
            yield _object(held, count)


def read_ids(data: TableLayout) -> list[str]:
    """Return the ids of all objects that have rows of the band, sorted; errors as in `read_objects`."""
    with _select(data) as rows, _decoding(_path(data)):
        return [row[0] for row in rows.project("id").distinct().order("id").fetchall() if row[0]]


def _batches(data: TableLayout, rows: duckdb.DuckDBPyRelation) -> Iterator[pd.DataFrame]:
    with _decoding(_path(data)):
        reader = iter(rows.order("id, time, mag").to_arrow_reader(BATCH))
    while True:
        with _decoding(_path(data)):
            batch = next(reader, None)
            if batch is None:
                return
            table = batch.to_pandas()
        yield table


def _pieces(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Cut batches into runs of rows of the same id."""
    for rows in batches:
        ids = rows["id"].to_numpy()
        for piece in np.split(np.arange(len(rows)), np.flatnonzero(ids[1:] != ids[:-1]) + 1):
            if len(piece):
                yield rows.iloc[piece]


def _object(held: list[pd.DataFrame], count: int) -> ObjectRows:
    rows = pd.concat(held)
    limits = rows["is_limit"].to_numpy(dtype=bool)
    bad = rows["bad"].dropna()
    values = rows[list(VALUES)].to_numpy(dtype=np.float64, na_value=np.nan)[~limits]
    return ObjectRows(rows["id"].iloc[0], count, values, bad.iloc[0] if len(bad) else None, int(limits.sum()))


def _path(data: TableLayout) -> Path:
    return Path(data.path) / data.table


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn any exception of DuckDB, or of Arrow below it, into an error of one line that names the file."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        lines = (line.strip() for line in str(error).splitlines())
        first = next((line for line in lines if line.isprintable() and line), type(error).__name__)
        raise InputError(f"{path}: {first}") from error


@contextmanager
def _select(data: TableLayout) -> Iterator[duckdb.DuckDBPyRelation]:
    """Open the table: the rows of the band as ``id, time, mag, magerr, bad, is_limit``.

    Names and values of the user are never part of the SQL text: columns and constants are expressions, and all SQL is
    about the names above.
    """
    path = _path(data)
    with tempfile.TemporaryDirectory(prefix="skylight.") as spill:
        config = {
            "memory_limit": "256MB",
            "temp_directory": spill,  # DuckDB would choose ./.tmp, and leave it there when it is killed
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
        }
        with duckdb.connect(config=config) as connection:
            check_file(path)
            try:
                with _decoding(path):
                    opened = _open_parquet if path.suffix == ".parquet" else _open_text
                    rows = opened(connection, path, data)
                    if data.columns.magerr is None:
                        rows = rows.project("*, CASE WHEN mag IS NOT NULL THEN CAST(0 AS DOUBLE) END AS magerr")
                    rows = _values(rows, data)
            except (BadText, BadLightCurve) as reason:
                raise InputError(f"{path}: {reason}") from None
            yield rows


def _open_parquet(connection: duckdb.DuckDBPyConnection, path: Path, data: TableLayout) -> duckdb.DuckDBPyRelation:
    """Open a Parquet table: the columns ``id, time, mag, magerr`` and perhaps ``band``, of checked types."""
    table = connection.read_parquet(_literal(path), hive_partitioning=False, binary_as_string=True)
    types = dict(zip(table.columns, table.types, strict=True))
    names = {}
    for key, wanted in _wanted(data).items():
        name = table.columns[wanted] if isinstance(wanted, int) and wanted < len(table.columns) else wanted
        if name not in types:
            raise BadText(f"no column {wanted!r} (has: {listed(table.columns)})")
        kind = types[name].id
        if key in VALUES and kind not in NUMBERS | {"varchar"}:
            raise BadText(f"column {name!r} has type {kind}, which is no number")
        if key == "id" and kind not in INTEGERS | {"varchar", "uuid"}:
            raise BadText(
                f"column {name!r} has type {kind}; ids are whole numbers or text, others lose their last digits"
            )
        names[key] = name
    rows = table.select(*(ColumnExpression(name).alias(key) for key, name in names.items()))
    if types[names["time"]].id == "float":
        _check_float_times(rows, names["time"])
    return rows


def _check_float_times(rows: duckdb.DuckDBPyRelation, name: str) -> None:
    largest = rows.filter("isfinite(time)").aggregate("max(abs(time))").fetchall()[0][0]
    try:
        check_time_type(np.array([largest or 0], dtype=np.float32))
    except BadLightCurve as reason:
        raise BadText(str(reason).replace("time has", f"column {name!r} has", 1)) from None


def _open_text(connection: duckdb.DuckDBPyConnection, path: Path, data: TableLayout) -> duckdb.DuckDBPyRelation:
    """Open a text table: the columns ``id, time, mag, magerr`` and perhaps ``band``, all text.

    The header is found here, so that DuckDB has nothing to guess.
    """
    head = _head(path)
    wanted = _wanted(data)
    positions, start = find_columns(head[data.skip_rows :], data.delimiter, list(wanted.values()))
    start += data.skip_rows
    width = max([len(split(line, data.delimiter)) for line in head[start - 1 if start else 0 : start + 1]], default=0)
    for key, position in zip(wanted, positions, strict=True):
        if position >= width:
            raise BadText(f"line {start + 1}: only {width} columns, columns.{key} is {position}")
    blanks = data.delimiter == " "
    table = connection.read_csv(
        _literal(path),
        header=False,
        auto_detect=False,
        skiprows=start,
        columns={"line": "VARCHAR"} if blanks else {f"c{number}": "VARCHAR" for number in range(width)},
        sep="\x1f" if blanks else data.delimiter,  # no text has the separator of units
        quotechar="" if blanks else '"',
        escapechar="" if blanks else '"',
        null_padding=True,
        parallel=False,  # DuckDB refuses newlines in quotes when it reads in parallel
    )
    column = r"string_split_regex(trim(line), '\s+')[{}]" if blanks else "trim(c{})"
    shift = int(blanks)  # the first element of a list of DuckDB is 1
    return table.select(
        *(
            SQLExpression(column.format(position + shift)).alias(key)
            for key, position in zip(wanted, positions, strict=True)
        )
    )


def _head(path: Path) -> list[str]:
    """Return the first lines of a text table, plain or ``.gz``."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            return file.read(HEAD_BYTES).split("\n")
    except UnicodeDecodeError:
        raise BadText("not a text file") from None


def _wanted(data: TableLayout) -> dict[str, str | int]:
    columns = {key: getattr(data.columns, key) for key in ("id", *VALUES)}
    if data.columns.magerr is None:
        del columns["magerr"]
    return columns | ({"band": data.columns.band} if data.band is not None else {})


def _literal(path: Path) -> str:
    """Return the path as DuckDB reads exactly it; it would take brackets, * and ? in a name for a pattern."""
    return glob.escape(str(path))


def _values(rows: duckdb.DuckDBPyRelation, data: TableLayout) -> duckdb.DuckDBPyRelation:
    """Choose the rows of the band, and make numbers of text."""
    types = {name: type_.id for name, type_ in zip(rows.columns, rows.types, strict=True)}
    if data.band is not None:
        band = ConstantExpression(data.band)
        rows = rows.filter(ColumnExpression("band") == (band.cast(types["band"]) if types["band"] in NUMBERS else band))
    is_text = {key: types[key] == "varchar" for key in VALUES}
    number = {
        key: f"CASE WHEN regexp_full_match(trim({key}), '{NUMBER}') THEN TRY_CAST({key} AS DOUBLE) END"
        if is_text[key]
        else f"CAST({key} AS DOUBLE)"
        for key in VALUES
    }
    wrong = "".join(f" WHEN {number[key]} IS NULL AND {key} <> '' THEN {key}" for key in VALUES if is_text[key])
    limit = "coalesce(regexp_matches(mag, '^\\s*[<>]'), false)" if is_text["mag"] else "false"
    empty = " AND ".join(f"{key} IS NULL" for key in VALUES)
    return rows.filter(f"id IS NOT NULL OR NOT ({empty})").project(
        f"coalesce(CAST(id AS VARCHAR), '') AS id, "
        f"{', '.join(f'{sql} AS {key}' for key, sql in number.items())}, "
        f"CASE WHEN {limit} THEN NULL{wrong} END AS bad, {limit} AS is_limit"
    )
