"""Mutated and hostile light curves: each is read, or refused in one line.

``SKYLIGHT_FUZZ_EXAMPLES`` sets the number of inputs per test, 200 by default.
"""

import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylight import params
from skylight.errors import InputError
from skylight.light_curves.curve import MAX_POINTS, BadLightCurve
from skylight.light_curves.reading import file_format, open_survey
from skylight.params.light_curves import CrtsLayout, FilesLayout, TableLayout
from skylight.rejected import Rejected

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200"))
SECONDS = 5
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

PIECES = [
    "nan", "inf", "-inf", "1e999", "1_0", "５３", "٣", "0x1p3", "99.999", "-99", "9" * 400, "1e-400", "", " ", ",",
    ",,", "\t", '"', '""', "'", "#", "# ", "\n", "\r", "\r\n", "\x00", "\x0b", "\x1a", "\x1c", "\x1f", "\x85", "\u2028",
    "\ufeff", "mjd", "é", "\\", "NULL", ">17.5", "<", "1;", "|", "{id}", "../", "=1+1", "a" * 5000,
]  # fmt: skip
BYTES = [piece.encode() for piece in PIECES] + [b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80"]
ROWS = "\n".join(f"1,{58000 + 0.7 * i},{15 + 0.1 * i},0.02,r" for i in range(8)) + "\n"
FILE = ("id,mjd,mag,magerr,band\n" + ROWS).encode()
LABELS = b"id,class,note\n1,W,a\n2,AB,b\n3,W,c\n"


@st.composite
def mutations(draw, good: bytes, pieces=tuple(BYTES)) -> bytes:
    """Good bytes with up to six pieces put in, cut out, repeated or replaced."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["piece", "bytes", "cut", "repeat"]))
        if kind == "piece":
            data[start:end] = draw(st.sampled_from(pieces))
        elif kind == "bytes":
            data[start:end] = draw(st.binary(max_size=8))
        elif kind == "repeat":
            data[start:end] = bytes(data[start:end]) * draw(st.integers(0, 40))
        else:
            del data[start : end if draw(st.booleans()) else len(data)]
    return bytes(data)


def parquet(frame: pd.DataFrame | dict) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame) if isinstance(frame, pd.DataFrame) else pa.table(frame), file)
    return file.getvalue()


def description(layout, folder, **change) -> dict:
    common = {"path": str(folder), "columns": {"time": "mjd", "mag": "mag", "magerr": "magerr"}}
    own = {"crts": {}, "files": {"files": "{id}.csv"}, "table": {"table": "all.csv"}}[layout]
    if layout == "table":
        common["columns"]["id"] = "id"
    labels = {"path": "labels.csv", "id": "id", "class": "class", "classes": {"W": "EW", "AB": "RRab"}}
    data = {"layout": layout, **common, "labels": labels, **own} | change
    return {key: data[key] for key in ("layout", "path")} if layout == "crts" else data


def one_line(reason: object) -> None:
    text = str(reason)
    assert text.strip() and len(text.splitlines()) == 1, repr(text)


def read_all(layout, description: dict) -> int:
    """Read a survey as the stage does; return the number of good light curves."""
    start, good = time.process_time(), 0
    try:
        survey = open_survey(params.check(layout, description), ["EW", "RRab"])
        for rejected in survey.rejected:
            one_line(rejected.reason)
        for source in survey.sources():
            if isinstance(source, Rejected):
                one_line(source.reason)
                continue
            try:
                curve = source.read()
            except BadLightCurve as reason:
                one_line(reason)
                continue
            good += 1
            assert 2 <= len(curve) <= MAX_POINTS and (np.diff(curve.time) >= 0).all()
            assert np.isfinite([curve.time, curve.mag, curve.magerr]).all()
            source.id.encode()
    except InputError as error:
        one_line(error)
    assert time.process_time() - start < SECONDS
    return good


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_the_good_survey_is_read(folder):
    for number in "123":
        (folder / f"{number}.csv").write_bytes(FILE)
    (folder / "labels.csv").write_bytes(LABELS)
    (folder / "all.csv").write_bytes(FILE + FILE.split(b"\n", 1)[1].replace(b"\n1,", b"\n2,"))
    assert read_all(FilesLayout, description("files", folder)) == 3
    assert read_all(TableLayout, description("table", folder)) == 2


@pytest.mark.slow
@fuzz
@given(content=mutations(FILE), delimiter=st.sampled_from([",", " ", "\t", "|"]), band=st.sampled_from([None, "r"]))
def test_a_file_of_one_object(folder, content, delimiter, band):
    (folder / "1.csv").write_bytes(content)
    columns = {"time": "mjd", "mag": "mag", "magerr": "magerr", "band": "band"}
    change = {"labels": None, "delimiter": delimiter, "band": band, "columns": columns}
    read_all(FilesLayout, description("files", folder, **change))


@fuzz
@given(content=mutations(ROWS.encode()), positions=st.lists(st.integers(0, 9999), min_size=3, max_size=3))
def test_a_file_without_header(folder, content, positions):
    (folder / "1.csv").write_bytes(content)
    columns = dict(
        zip(("time", "mag", "magerr"), [number % 6 for number in positions[:2]] + positions[2:], strict=True)
    )
    reader = file_format(params.check(FilesLayout, description("files", folder, columns=columns)))
    try:
        reader.read(folder / "1.csv")
    except BadLightCurve as reason:
        one_line(reason)


@pytest.mark.slow
@fuzz
@given(labels=mutations(LABELS), delimiter=st.sampled_from([",", " ", ";"]), skip=st.integers(0, 3))
def test_a_table_of_classes(folder, labels, delimiter, skip):
    (folder / "1.csv").write_bytes(FILE)
    (folder / "labels.csv").write_bytes(labels)
    made = description("files", folder)
    made["labels"] |= {"delimiter": delimiter, "skip_rows": skip}
    read_all(FilesLayout, made)


@pytest.mark.slow
@fuzz
@given(classes=mutations(b"lcid class\n1 1\n2 4\n3 2\n"), content=mutations(ROWS.encode()))
def test_the_folder_of_crts(folder, classes, content):
    (folder / "classes.csv").write_bytes(classes)
    (folder / "indiv_lc/class1").mkdir(parents=True, exist_ok=True)
    (folder / "indiv_lc/class1/1.csv").write_bytes(content)
    read_all(CrtsLayout, description("crts", folder))


@pytest.mark.slow
@fuzz
@given(
    content=mutations(FILE),
    delimiter=st.sampled_from([",", " ", "\t", "|", "^"]),
    band=st.sampled_from([None, "r", "'; --", "\x00", "1"]),
    skip=st.integers(0, 3),
)
def test_a_text_table(folder, content, delimiter, band, skip):
    (folder / "all.csv").write_bytes(content)
    change = {"labels": None, "delimiter": delimiter, "band": band, "skip_rows": skip}
    made = description("table", folder, **change)
    made["columns"] |= {"band": "band"}
    read_all(TableLayout, made)


GOOD_PARQUET = parquet(pd.read_csv(io.BytesIO(FILE)))


@pytest.mark.slow
@fuzz
@given(content=mutations(GOOD_PARQUET, (b"\x00", b"\xff" * 4, b"PAR1", b"\x15\x04")), where=st.sampled_from("tl"))
def test_damaged_parquet(folder, content, where):
    (folder / "all.parquet").write_bytes(content if where == "t" else GOOD_PARQUET)
    (folder / "labels.parquet").write_bytes(content)
    made = description("table", folder, table="all.parquet", labels=None)
    if where == "l":
        made["labels"] = {"path": "labels.parquet", "id": "id", "class": "band", "classes": {"r": "EW"}}
    read_all(TableLayout, made)


VALUES = {
    "float64": st.floats(), "float32": st.floats(width=32), "int64": st.integers(-(2**63), 2**63 - 1),
    "string": st.sampled_from(PIECES) | st.text(max_size=5), "bool_": st.booleans(), "binary": st.binary(max_size=5),
}  # fmt: skip


@pytest.mark.slow
@fuzz
@given(data=st.data(), rows=st.integers(0, 6), band=st.sampled_from([None, "1", "r"]))
def test_parquet_of_any_type(folder, data, rows, band):
    columns = {}
    for name in ("id", "mjd", "mag", "magerr", "band"):
        kind = data.draw(st.sampled_from(sorted(VALUES)))
        values = st.none() | VALUES[kind].filter(lambda value: not isinstance(value, str) or value.isascii())
        columns[name] = pa.array(data.draw(st.lists(values, min_size=rows, max_size=rows)), getattr(pa, kind)())
    (folder / "all.parquet").write_bytes(parquet(columns))
    made = description("table", folder, table="all.parquet", labels=None, band=band)
    made["columns"] |= {"band": "band"}
    read_all(TableLayout, made)


HOSTILE = st.sampled_from(
    [*PIECES, "/etc", "../..", "**/{id}", "{id}{id}", "[", "{id}[", "~", ".", "{class}/{id}", "\x00{id}", "?{id}*",
     5, -1, 10**30, 1e400, float("nan"), None, True, [], [1], [2, 1], [float("nan"), 1.0], [0, float("inf")], {}]
)  # fmt: skip
KEYS = ("path", "files", "table", "delimiter", "skip_rows", "band", "time_range", "mag_range", "magerr_range", "labels")


@pytest.mark.slow
@fuzz
@given(
    values=st.dictionaries(st.sampled_from(KEYS), HOSTILE, min_size=1, max_size=3),
    columns=st.dictionaries(st.sampled_from(("id", "time", "mag", "magerr", "band")), HOSTILE, max_size=2),
    labels=st.dictionaries(st.sampled_from(("path", "id", "class", "delimiter", "skip_rows")), HOSTILE, max_size=2),
    layout=st.sampled_from(("files", "table")),
)
def test_hostile_parameters(folder, values, columns, labels, layout):
    (folder / "1.csv").write_bytes(FILE)
    (folder / "all.csv").write_bytes(FILE)
    (folder / "labels.csv").write_bytes(LABELS)
    made = description(layout, folder)
    made["columns"] |= columns
    made["labels"] |= labels
    other = {"files": "table", "table": "files"}[layout]
    made |= {key: value for key, value in values.items() if key != other}
    try:
        params.check({"files": FilesLayout, "table": TableLayout}[layout], made)
    except InputError as error:
        assert all(line.strip() for line in str(error).splitlines())
        return
    read_all({"files": FilesLayout, "table": TableLayout}[layout], made)
