"""Read the light curves of any survey, from a description of its files (`skylight.params.light_curves`).

A survey is a stream of sources. Each `Source` is one object with its id and its class. Its rows are read and checked
only in `read`, so that memory does not grow with the survey and several processes can share the reading.
"""

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skylight.errors import InputError
from skylight.files import fault
from skylight.light_curves.curve import BadLightCurve, LightCurve, Ranges, light_curve
from skylight.light_curves.tables import HELD, ObjectRows, read_ids, read_objects
from skylight.light_curves.text import (
    MAX_BYTES,
    NUMBER,
    BadText,
    find_columns,
    is_comment,
    listed,
    read_lines,
    records,
    split,
)
from skylight.params.light_curves import Columns, CrtsLayout, Data, FilesLayout, Labels, TableLayout
from skylight.rejected import Rejected

MIN_TRAINING = 10
"""Smallest number of objects of a survey that a network is trained on."""
MAX_LINES = 500_000
"""Largest number of lines of a file of one object; most may be of other bands or times."""
MAX_LABELS = 5_000_000
"""Largest number of rows of a label table in Parquet."""
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
    ranges: Ranges

    def read(self, path: Path) -> LightCurve:
        """Read a light curve.

        Raises
        ------
        BadLightCurve
            The file cannot be read, or a line is wrong; the reason names the line, not the file.
        """
        try:
            lines = read_lines(path)
            if len(lines) > MAX_LINES:
                raise BadText(f"more than {MAX_LINES:,} lines ({len(lines):,})")
            return self._read(lines)
        except BadText as reason:
            raise BadLightCurve(str(reason)) from None

    def _read(self, lines: list[str]) -> LightCurve:
        values = [self.columns.time, self.columns.mag]
        values += [self.columns.magerr] if self.columns.magerr is not None else []
        wanted = values + ([self.columns.band] if self.band is not None else [])
        columns, start = find_columns(lines, self.delimiter, wanted, self.skip_rows)
        rows = [(number, line) for number, line in enumerate(lines[start:], start + 1) if not is_comment(line)]
        if self.band is not None:
            rows = [row for row in rows if self._field(row, columns[-1]) == self.band]
        measured = [row for row in rows if not ((">" in row[1] or "<" in row[1]) and self._is_limit(row, columns[1]))]
        numbers = self._numbers(measured, columns[: len(values)])
        time, mag, magerr = numbers if len(numbers) == 3 else (*numbers, np.zeros(len(measured)))
        return light_curve(time, mag, magerr, self.ranges, limits=len(rows) - len(measured))

    def _is_limit(self, row: tuple[int, str], column: int) -> bool:
        """Whether the magnitude is a limit, ``>17.5``."""
        return self._field(row, column)[:1] in ("<", ">")

    def _numbers(self, rows: list[tuple[int, str]], columns: list[int]) -> np.ndarray:
        """Return the columns as (columns, n) numbers."""
        if not rows:
            return np.zeros((len(columns), 0))
        delimiter = None if self.delimiter == " " else self.delimiter
        text = (line for _, line in rows)
        try:
            return np.loadtxt(text, delimiter=delimiter, usecols=columns, ndmin=2, quotechar='"').T
        except Exception as error:
            if len(rows) > 100:  # a part is wrong: read it again, in ever smaller parts
                parts = [rows[start : start + len(rows) // 10] for start in range(0, len(rows), len(rows) // 10)]
                return np.hstack([self._numbers(part, columns) for part in parts])
            for row in rows:
                for column in columns:
                    field = self._field(row, column)
                    if not re.fullmatch(NUMBER, field):
                        raise BadLightCurve(f"line {row[0]}: not a number: {field!r}") from None
            raise BadLightCurve(f"lines {rows[0][0]} to {rows[-1][0]}: not numbers") from error

    def _field(self, row: tuple[int, str], column: int) -> str:
        try:
            fields = split(row[1], self.delimiter)
        except BadText:
            raise BadText(f"line {row[0]}: its quotes are wrong") from None
        if column >= len(fields):
            raise BadText(f"line {row[0]}: only {len(fields)} columns")
        return fields[column]


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
    """An object of a table of all objects."""

    id: str
    class_name: str
    path: Path
    rows: ObjectRows
    ranges: Ranges

    def read(self) -> LightCurve:
        if self.rows.bad is not None:
            raise BadLightCurve(f"not a number: {self.rows.bad!r}")
        if self.rows.count > HELD:
            raise BadLightCurve(f"more than {HELD:,} rows ({self.rows.count:,})")
        return light_curve(*self.rows.values.T, self.ranges, limits=self.rows.limits)


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


def open_survey(data: Data, classes: list[str], training: bool = False) -> Survey:
    """Open the survey that ``data`` describes, with the objects of ``classes``.

    Parameters
    ----------
    data : Data
    classes : list of str
    training : bool
        Whether the survey must be good for training: at least `MIN_TRAINING` objects, of two classes.

    Raises
    ------
    InputError
        The survey's folder, table or label table is missing, lacks a column, or too few objects are left.
    """
    root = Path(data.path)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    described = _as_files(data) if isinstance(data, CrtsLayout) else data
    if described.labels is None:
        if training:
            raise InputError("periodic.data.labels: null, but training needs the classes of the objects")
        return _unlabelled(described, data)
    path = root / described.labels.path
    table = _read_labels(path, described.labels)
    names = described.labels.classes
    table["class_name"] = table["survey_class"].map(names)
    unknown = ~table["survey_class"].isin(list(names))
    if described.labels.others is None:
        unknown[:] = False
    rejected = [
        Rejected(f"{path} row {row.Index + 1}", row.id, f"unknown class {row.survey_class!r}")
        for row in table[unknown].itertuples()
    ]
    wanted = table["class_name"].isin(classes)
    if not wanted.any():
        raise InputError(f"{path}: no object of the classes {', '.join(classes)}")
    chosen = table[wanted].reset_index(drop=True)
    if training and (len(chosen) < MIN_TRAINING or chosen["class_name"].nunique() < 2):
        raise InputError(
            f"{path}: training needs at least {MIN_TRAINING} objects, of two classes of periodic.classes; there are "
            f"{len(chosen)}: {', '.join(f'{n} {name}' for name, n in chosen['class_name'].value_counts().items())}"
        )
    return Survey(chosen, rejected, int((~unknown & ~wanted).sum()), data)


def _unlabelled(described: FilesLayout | TableLayout, data: Data) -> Survey:
    """Open a survey without classes: all objects, by id."""
    ids = read_ids(described) if isinstance(described, TableLayout) else _file_ids(described)
    readable = [id_ for id_ in ids if id_.isprintable()]
    rejected = [
        Rejected(data.path, ascii(id_), "an id cannot have such characters") for id_ in ids if id_ not in readable
    ]
    return Survey(
        pd.DataFrame({"id": readable, "class_name": UNLABELLED, "survey_class": ""}, dtype=object), rejected, 0, data
    )


def file_format(data: Data) -> FileFormat:
    """Return how to read a file of one object of this survey; with a table of all objects, a file of its columns."""
    described = _as_files(data) if isinstance(data, CrtsLayout) else data
    return FileFormat(described.delimiter, described.skip_rows, described.columns, described.band, _ranges(described))


def _ranges(data: Data) -> Ranges:
    limits = (data.time_range, data.mag_range, data.magerr_range)
    return Ranges(*(tuple(each) if each else None for each in limits))


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
        mag_range=data.mag_range,
        magerr_range=data.magerr_range,
    )


def _read_labels(path: Path, labels: Labels) -> pd.DataFrame:
    """Read the label table: columns ``id`` and ``survey_class``, both text."""
    try:
        rows = _parquet_labels(path, labels) if path.suffix == ".parquet" else _text_labels(path, labels)
    except BadText as reason:
        raise InputError(f"{path}: {reason}") from None
    table = pd.DataFrame(rows, columns=["id", "survey_class"], dtype=object)
    for wrong, reason in (
        (table["id"] == "", "no id"),
        (~table["id"].map(str.isprintable), "id {id!r} has a character that no id can have"),
        (table["id"].duplicated(), "id {id!r} is there twice"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(f"{path} row {row + 1}: {reason.format(id=table['id'][row])}")
    return table


def _text_labels(path: Path, labels: Labels) -> list[list[str]]:
    """Return the id and the class of each row; fields after those, such as an empty last one, do not matter."""
    lines = read_lines(path)[labels.skip_rows :]
    columns, start = find_columns(lines, labels.delimiter, [labels.id, labels.class_])
    rows = []
    for number, fields in enumerate(records(lines[start:], labels.delimiter), 1):
        if len(fields) <= max(columns):
            raise BadText(f"row {number}: only {len(fields)} columns")
        rows.append([fields[column] for column in columns])
    return rows


def _parquet_labels(path: Path, labels: Labels) -> list[list[str]]:
    """Return the id and the class of each row of a Parquet table."""
    if wrong := fault(path, most=MAX_BYTES):
        raise BadText(wrong)
    wanted = [labels.id, labels.class_]
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            named = [names[each] if isinstance(each, int) and each < len(names) else each for each in wanted]
            missing = [name for name in named if name not in names]
            table = None if missing or file.metadata.num_rows > MAX_LABELS else file.read(columns=named)
    except Exception as error:
        raise BadText(f"not a Parquet table: {ascii(str(error))[1:-1]}") from error
    if missing:
        raise BadText(f"no column {missing[0]!r} (has: {listed(names)})")
    if table is None:
        raise BadText(f"more than {MAX_LABELS:,} rows")
    columns = []
    for name in named:
        if not (pa.types.is_integer(table[name].type) or _is_text(table[name].type)):
            raise BadText(f"column {name!r} has type {table[name].type}; ids and classes are whole numbers or text")
        columns.append(["" if value is None else str(value) for value in table[name].to_pylist()])
    return [list(row) for row in zip(*columns, strict=True)]


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _file_ids(data: FilesLayout) -> list[str]:
    root = Path(data.path)
    before, after = PurePosixPath(data.files).as_posix().split("{id}")
    paths = sorted(root.glob(f"{glob.escape(before)}*{glob.escape(after)}"))
    if not paths:
        raise InputError(f"{data.path}: no file like {data.files}")
    names = [path.relative_to(root).as_posix() for path in paths]
    return [name[len(before) : len(name) - len(after)] for name in names]


def _file_sources(data: FilesLayout, labels: pd.DataFrame) -> Iterator[Source | Rejected]:
    reader = file_format(data)
    root = Path(data.path)
    for row in labels.itertuples():
        fields = {"{id}": row.id, "{class}": row.survey_class}
        name = PurePosixPath(re.sub(r"\{id\}|\{class\}", lambda match, of=fields: of[match[0]], data.files))
        if name.is_absolute() or ".." in name.parts:
            yield Rejected(str(root), row.id, f"its file {str(name)!r} would be outside of the survey's path")
        else:
            yield FileSource(row.id, row.class_name, root / name, reader)


def _table_sources(data: TableLayout, labels: pd.DataFrame) -> Iterator[Source | Rejected]:
    """Yield the objects of the table, by id, and at the end those that it lacks."""
    classes = dict(zip(labels["id"], labels["class_name"], strict=True))
    path, seen = Path(data.path) / data.table, set()
    for rows in read_objects(data):
        if rows.id == "":
            yield Rejected(str(path), "", f"{rows.count} rows have no id")
        elif rows.id in classes:
            seen.add(rows.id)
            yield TableSource(rows.id, classes[rows.id], path, rows, _ranges(data))
    for id_ in classes:
        if id_ not in seen:
            yield Rejected(str(path), id_, "no rows in the table")
