"""Read the light curves of any survey, from a description of its files (`skylight.params.light_curves`).

A survey is a stream of sources. Each `Source` is one object with its id and its class. Its rows are read and checked
only in `read`, so that memory does not grow with the survey and several processes can share the reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from skylight.errors import InputError
from skylight.light_curves.curve import BadLightCurve, LightCurve, light_curve
from skylight.params.light_curves import Columns, CrtsLayout, Data, FilesLayout, Labels, TableLayout
from skylight.rejected import Rejected

UNLABELLED = ""
# Number and name of each class of the Catalina survey (Drake et al. 2014, ApJS 213, 9).
CRTS_CLASSES = {
    1: "EW",
    2: "EA",
    3: "beta Lyrae",
    4: "RRab",
    5: "RRc",
    6: "RRd",
    7: "Blazhko",
    8: "RS CVn",
    9: "ACEP",
    10: "Cep-II",
    11: "HADS",
    12: "LADS",
    13: "LPV",
    14: "ELL",
    15: "Hump",
    16: "PCEB",
    17: "EAup",
}


@dataclass(frozen=True)
class FileFormat:
    """How to read a file that holds one object."""

    delimiter: str
    skip_rows: int
    columns: Columns
    band: str | None
    time_range: tuple[float, float] | None

    def read(self, path: Path) -> LightCurve:
        """Read a light curve.

        Raises
        ------
        BadLightCurve
            The file cannot be read, or a line is wrong; the reason names the line, not the file.
        """
        try:
            lines = path.read_text().splitlines()
        except OSError as error:
            raise BadLightCurve(error.strerror.lower()) from None
        except UnicodeDecodeError:
            raise BadLightCurve("not a text file") from None
        wanted = [self.columns.time, self.columns.mag, self.columns.magerr]
        wanted += [self.columns.band] if self.band is not None else []
        rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
        rows = rows[self.skip_rows :]
        if any(isinstance(column, str) for column in wanted):
            header = [name.strip().strip('"') for name in self._split(rows[0][1])] if rows else []
            missing = [column for column in wanted if isinstance(column, str) and column not in header]
            if missing:
                raise BadLightCurve(f"no column {missing[0]!r} (has: {', '.join(header)})")
            wanted = [header.index(column) if isinstance(column, str) else column for column in wanted]
            rows = rows[1:]
        if self.band is not None:
            rows = [row for row in rows if self._field(row, wanted[3]) == self.band]
        time, mag, magerr = self._numbers(rows, wanted[:3])
        if self.time_range is not None:
            inside = (time >= self.time_range[0]) & (time <= self.time_range[1])
            time, mag, magerr = time[inside], mag[inside], magerr[inside]
        return light_curve(time, mag, magerr)

    def _numbers(self, rows: list[tuple[int, str]], columns: list[int]) -> np.ndarray:
        """Return the columns as (3, n) numbers. Only after an error are rows read one by one, to find the bad one."""
        if not rows:
            return np.zeros((3, 0))
        delimiter = None if self.delimiter.isspace() and self.delimiter != "\t" else self.delimiter
        try:
            return np.loadtxt((line for _, line in rows), delimiter=delimiter, usecols=columns, ndmin=2).T
        except ValueError:
            for row in rows:
                for column in columns:
                    text = self._field(row, column)
                    try:
                        float(text)
                    except ValueError:
                        raise BadLightCurve(f"line {row[0]}: not a number: {text!r}") from None
            raise

    def _field(self, row: tuple[int, str], column: int) -> str:
        fields = self._split(row[1])
        if column >= len(fields):
            raise BadLightCurve(f"line {row[0]}: only {len(fields)} columns")
        return fields[column].strip()

    def _split(self, line: str) -> list[str]:
        blank = self.delimiter.isspace() and self.delimiter != "\t"
        return line.split() if blank else line.split(self.delimiter)


@dataclass(frozen=True)
class FileSource:
    """An object that has its own file."""

    id: str
    class_name: str
    path: Path
    format: FileFormat

    def read(self) -> LightCurve:
        return self.format.read(self.path)


@dataclass(frozen=True)
class TableSource:
    """An object of a table of all objects: ``rows`` is (n, 3), ``bad`` the first text that is not a number."""

    id: str
    class_name: str
    path: Path
    rows: np.ndarray
    bad: str | None

    def read(self) -> LightCurve:
        if self.bad is not None:
            raise BadLightCurve(f"not a number: {self.bad!r}")
        return light_curve(*self.rows.T)


Source = FileSource | TableSource


@dataclass(frozen=True)
class Survey:
    """The objects of a survey and their classes.

    Attributes
    ----------
    labels : DataFrame
        Columns ``id`` and ``class_name`` of the objects of the wanted classes, in the order of the label table. The
        class is `UNLABELLED` where there is no label table.
    rejected : list of Rejected
        Objects of the label table whose class ``classes`` of the label table does not name.
    left_out : int
        Number of objects of known classes that are not wanted.
    """

    labels: pd.DataFrame
    rejected: list[Rejected]
    left_out: int
    _data: Data

    def only(self, ids: list[str]) -> "Survey":
        """Return the survey with only the objects of these ids."""
        return replace(self, labels=self.labels[self.labels["id"].isin(ids)].reset_index(drop=True))

    def sources(self) -> Iterator[Source | Rejected]:
        """Yield each object of ``labels``: in the order of the label table, or by id where one table holds all."""
        if isinstance(self._data, TableLayout):
            return _table_sources(self._data, self.labels)
        return _file_sources(_as_files(self._data), self.labels)


def open_survey(data: Data, classes: list[str]) -> Survey:
    """Open the survey that ``data`` describes, with the objects of ``classes``.

    Raises
    ------
    InputError
        The survey's folder, table or label table is missing, lacks a column, or no object is left.
    """
    root = Path(data.path)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    described = _as_files(data) if isinstance(data, CrtsLayout) else data
    if described.labels is None:
        ids = _table_ids(described) if isinstance(described, TableLayout) else _file_ids(described)
        return Survey(pd.DataFrame({"id": ids, "class_name": UNLABELLED, "survey_class": ""}), [], 0, data)
    table = _read_labels(root / described.labels.path, described.labels)
    names = described.labels.classes
    table["class_name"] = table["survey_class"].map(names)
    unknown = ~table["survey_class"].isin(list(names))
    rejected = [
        Rejected(f"{root / described.labels.path} row {row.Index + 1}", row.id, f"unknown class {row.survey_class!r}")
        for row in table[unknown].itertuples()
    ]
    wanted = table["class_name"].isin(classes)
    if not wanted.any():
        raise InputError(f"{root / described.labels.path}: no object of the classes {', '.join(classes)}")
    left_out = int((~unknown & ~wanted).sum())
    return Survey(table[wanted].reset_index(drop=True), rejected, left_out, data)


def file_format(data: Data) -> FileFormat:
    """Return how to read a file of one object of this survey; with a table of all objects, a file of its columns."""
    described = _as_files(data) if isinstance(data, CrtsLayout) else data
    time_range = tuple(described.time_range) if described.time_range else None
    return FileFormat(described.delimiter, described.skip_rows, described.columns, described.band, time_range)


def _as_files(data: CrtsLayout | FilesLayout) -> FilesLayout:
    """Describe the CRTS layout as one file per object."""
    if isinstance(data, FilesLayout):
        return data
    return FilesLayout(
        layout="files",
        path=data.path,
        files="indiv_lc/class{class}/{id}.csv",
        columns=Columns(time=1, mag=2, magerr=3),
        labels=Labels.model_validate(
            {
                "path": "classes.csv",
                "id": 0,
                "class": 1,
                "delimiter": " ",
                "skip_rows": 1,
                "classes": {str(number): name for number, name in CRTS_CLASSES.items()},
            }
        ),
        time_range=data.time_range,
    )


def _read_labels(path: Path, labels: Labels) -> pd.DataFrame:
    """Read the label table: columns ``id`` and ``survey_class``, both text."""
    columns = [labels.id, labels.class_]
    header = 0 if isinstance(labels.id, str) else None
    delimiter = r"\s+" if labels.delimiter.isspace() and labels.delimiter != "\t" else labels.delimiter
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path).astype(str)
        else:
            table = pd.read_csv(
                path,
                sep=delimiter,
                header=header,
                skiprows=labels.skip_rows,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
            )
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: {str(error).strip()}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r} (has: {', '.join(map(str, table.columns))})")
    table = table[columns].set_axis(["id", "survey_class"], axis=1)
    twice = table["id"].duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(f"{path} row {row + 1}: id {table['id'][row]!r} is there twice")
    return table


def _file_ids(data: FilesLayout) -> list[str]:
    before, after = data.files.split("{id}")
    paths = sorted(Path(data.path).glob(f"{before}*{after}"))
    if not paths:
        raise InputError(f"{data.path}: no file like {data.files}")
    start = len(before.rsplit("/", 1)[-1])
    return [path.name[start : len(path.name) - len(after)] for path in paths]


def _file_sources(data: FilesLayout, labels: pd.DataFrame) -> Iterator[Source]:
    reader = file_format(data)
    root = Path(data.path)
    for row in labels.itertuples():
        name = data.files.replace("{id}", row.id).replace("{class}", row.survey_class)
        yield FileSource(row.id, row.class_name, root / name, reader)


def _table_sources(data: TableLayout, labels: pd.DataFrame) -> Iterator[Source | Rejected]:
    """Read the rows of the table sorted by object, batch by batch, and yield the objects."""
    classes = dict(zip(labels["id"], labels["class_name"], strict=True))
    path = Path(data.path) / data.table
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '256MB'")
        connection.execute("SET preserve_insertion_order = false")
        relation = _select(connection, data)
        reader = relation.to_arrow_reader(100_000)
        held: list[pd.DataFrame] = []
        seen = set()
        for batch in reader:
            rows = batch.to_pandas()
            starts = np.flatnonzero(rows["id"].to_numpy()[1:] != rows["id"].to_numpy()[:-1]) + 1
            for piece in np.split(np.arange(len(rows)), starts):
                part = rows.iloc[piece]
                if held and held[-1]["id"].iloc[0] != part["id"].iloc[0]:
                    yield from _table_source(held, classes, seen, path)
                    held = []
                held.append(part)
        yield from _table_source(held, classes, seen, path)
    for id_ in classes:
        if id_ not in seen:
            yield Rejected(str(path), id_, "no rows in the table")


def _table_source(held: list[pd.DataFrame], classes: dict, seen: set, path: Path) -> Iterator[Source]:
    if not held or held[0]["id"].iloc[0] not in classes:
        return
    rows = pd.concat(held)
    id_ = rows["id"].iloc[0]
    seen.add(id_)
    bad = rows["bad"].dropna()
    values = rows[["time", "mag", "magerr"]].to_numpy(dtype=np.float64, na_value=np.nan)
    yield TableSource(id_, classes[id_], path, values, bad.iloc[0] if len(bad) else None)


def _table_ids(data: TableLayout) -> list[str]:
    with duckdb.connect() as connection:
        relation = _select(connection, data)
        return [row[0] for row in relation.project("id").distinct().order("id").fetchall()]


def _select(connection: duckdb.DuckDBPyConnection, data: TableLayout) -> duckdb.DuckDBPyRelation:
    """Select the rows of the band and the times: ``id, time, mag, magerr, bad``, sorted by id."""
    path = Path(data.path) / data.table
    try:
        if path.suffix == ".parquet":
            table = connection.read_parquet(str(path))
        else:
            header = isinstance(data.columns.id, str)
            table = connection.read_csv(
                str(path),
                header=header,
                sep=data.delimiter,
                skiprows=data.skip_rows,
                all_varchar=True,
                null_padding=True,
            )
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None

    def column(wanted: str | int) -> str:
        name = table.columns[wanted] if isinstance(wanted, int) and wanted < len(table.columns) else wanted
        if name not in table.columns:
            raise InputError(f"{path}: no column {wanted!r} (has: {', '.join(table.columns)})")
        return '"' + name.replace('"', '""') + '"'

    names = {key: column(getattr(data.columns, key)) for key in ("id", "time", "mag", "magerr")}
    numbers = ", ".join(f"TRY_CAST({names[key]} AS DOUBLE) AS {key}" for key in ("time", "mag", "magerr"))
    bad = " ".join(
        f"WHEN TRY_CAST({names[key]} AS DOUBLE) IS NULL THEN CAST({names[key]} AS VARCHAR)"
        for key in ("time", "mag", "magerr")
    )
    conditions = ["TRUE"]
    if data.band is not None:
        conditions.append(f"{column(data.columns.band)} = '{data.band.replace(chr(39), chr(39) * 2)}'")
    if data.time_range is not None:
        low, high = data.time_range
        time = f"TRY_CAST({names['time']} AS DOUBLE)"
        conditions.append(f"({time} IS NULL OR {time} BETWEEN {low!r} AND {high!r})")
    chosen = table.filter(" AND ".join(conditions)).project(
        f"CAST({names['id']} AS VARCHAR) AS id, {numbers}, CASE {bad} END AS bad"
    )
    return chosen.order("id, time, mag")
