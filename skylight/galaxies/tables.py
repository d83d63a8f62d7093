"""CSV tables of galaxies: read with checks whose errors name the file and the row."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from skylight.errors import InputError
from skylight.files import check_file, decoding


def read_csv(path: str | Path, columns: list[str], ids: list[str]) -> pd.DataFrame:
    """Read columns of a table; those of ``ids`` as int64, to the last digit, the others as pandas takes them.

    Row i of the result is row i + 2 of the file.
    """
    check_file(Path(path))
    names = header(path)
    missing = [column for column in columns if column not in names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    for column in columns:
        if names.count(column) > 1:
            raise InputError(f"{path}: two columns {column}")
    places = {names.index(column): column for column in columns}
    with decoding(path, "not a CSV table"):
        table = pd.read_csv(
            path,
            encoding="utf-8-sig",
            compression=None,
            header=0,
            names=range(len(names)),
            usecols=list(places),
            index_col=False,  # else a comma at the end of every row would shift the columns
            skip_blank_lines=False,  # else the rows after one would have wrong numbers
            dtype={names.index(column): str for column in ids},
            low_memory=False,  # else a column with a few words would be numbers here and text there
        )
    table = table.rename(columns=places)[columns]
    filled = np.flatnonzero(table.notna().any(axis=1))
    table = table[: filled[-1] + 1 if len(filled) else 0]  # without blank lines at the end
    return table.assign(**{column: _whole_numbers(path, table[column]) for column in ids})


def header(path: str | Path) -> list[str]:
    """Return the names of the columns; check that there are rows, none with more fields, which pandas passes over."""
    with decoding(path, "not a CSV table"), Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        names, number = next(rows, []), 1
        for number, row in enumerate(rows, start=2):
            if any(row[len(names) :]):
                raise InputError(f"{path} row {number}: {len(row)} fields, but the header has {len(names)}")
    if not names:
        raise InputError(f"{path}: not a CSV table (no header)")
    if number == 1:
        raise InputError(f"{path}: no rows")
    return names


def _whole_numbers(path: str | Path, texts: pd.Series) -> np.ndarray:
    """Return ids as int64. Via floats, as pandas reads a column with a blank, those of SDSS would lose digits."""
    texts = texts.fillna("").str.strip()
    wrong = ~texts.str.fullmatch("[0-9]{1,19}").to_numpy(bool)
    values = [0 if bad else int(text) for text, bad in zip(texts, wrong, strict=True)]
    wrong |= np.array([value > np.iinfo(np.int64).max for value in values], dtype=bool)
    if wrong.any():
        row = int(wrong.argmax())
        got = shown(texts.iloc[row] or np.nan)
        raise InputError(f"{path} row {row + 2}: {texts.name} must be a whole number, got {got}")
    return np.array(values, dtype=np.int64)


def shown(value: object) -> str:
    """Return a cell for a message."""
    if pd.isna(value):
        return "nothing"
    return repr(value[:50]) if isinstance(value, str) else str(value)


def numbers(column: pd.Series) -> pd.Series:
    """Return a column as numbers, NaN for anything else."""
    if column.dtype == bool:
        return pd.Series(np.nan, index=column.index)
    return pd.to_numeric(column, errors="coerce")


def check_unique(path: str | Path, table: pd.DataFrame, column: str) -> None:
    again = table[column].duplicated()
    if again.any():
        row = int(again.to_numpy().argmax())
        raise InputError(f"{path} row {table.index[row] + 2}: {column} {table[column].iloc[row]} appears twice")
