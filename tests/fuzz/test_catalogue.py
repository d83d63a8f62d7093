"""Mutated and hostile tables of galaxies: each is read, or refused in one line that names the file.

``SKYLIGHT_FUZZ_EXAMPLES`` sets the number of inputs per test, 200 by default.
"""

import os
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylight.errors import InputError
from skylight.galaxies import catalogue as survey
from skylight.galaxies.questions import ANSWERS

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200"))
SECONDS = 5
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

IDS = [587722981741363294, 587722981741363323, 9223372036854775807]
CATALOGUE = pd.DataFrame(1.25, index=range(3), columns=survey.CATALOGUE_COLUMNS).assign(objid=IDS)
MAPPING = pd.DataFrame({"objid": IDS, "sample": "original", "asset_id": [3, 1, 2]})
SAMPLE = pd.DataFrame({"OBJID": IDS, "RUN": 7, "PETROR90_R": [9.5, 8.0, 7.0]})
SOLUTIONS = pd.DataFrame(0.5, index=range(3), columns=["GalaxyID", *ANSWERS]).assign(GalaxyID=[5, 1, 100495])
TABLES = {survey.CATALOGUE: CATALOGUE, survey.MAPPING: MAPPING, survey.SAMPLE: SAMPLE, survey.SOLUTIONS: SOLUTIONS}
PIECES = [
    "nan", "inf", "-inf", "1e999", "1_0", "５３", "٣", "0x1p3", "9" * 400, "1e-400", "", " ", ",", ",,", "\t",
    '"', '""', "'", "#", "\n", "\n\n", "\r", "\r\n", "\0", "\x1a", "\x85", "\u2028", "\ufeff", "objid",
    "asset_id", "é", "\\", "NULL", "True", "../../evil", "9223372036854775808", "-1", "1.0", "=1+1",
    "a" * 5000, "," * 300, '"' * 301,
]  # fmt: skip
BYTES = [piece.encode() for piece in PIECES] + [b"\xff", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x1f\x8b", b"PK\x03"]


@st.composite
def mutations(draw, good: bytes) -> bytes:
    """A good table with up to six pieces put in, cut out, repeated or replaced."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        kind = draw(st.sampled_from(["piece", "insert", "cut", "end", "repeat"]))
        if kind in ("piece", "insert"):
            data[start : end if kind == "piece" else start] = draw(st.sampled_from(BYTES))
        elif kind == "repeat":
            data[start:end] = bytes(data[start:end]) * draw(st.integers(0, 300))
        else:
            del data[start : end if kind == "cut" else len(data)]
    return bytes(data)


@pytest.fixture
def folder(tmp_path):
    for name, table in TABLES.items():
        table.to_csv(tmp_path / name, index=False)
    return tmp_path


def read(folder, name) -> pd.DataFrame:
    """Read the table that a file belongs to, and check what no table may lack."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == survey.SOLUTIONS:
            table, ids = survey.read_solutions(folder / name), ["GalaxyID"]
            assert table[ANSWERS].ge(0).all(axis=None) and table[ANSWERS].le(1).all(axis=None)
        else:
            table, ids = survey.read_catalogue(folder), ["objid", "asset_id"]
            assert np.isfinite(survey.catalogue_arcsec(table)).all()
            assert np.isfinite(survey.to_kpc(np.ones(len(table)), table)).all()
    assert time.process_time() - start < SECONDS
    for column in ids:
        assert table[column].dtype == np.int64 and table[column].is_unique
    return table


def test_the_good_tables_are_read(folder):
    assert read(folder, survey.MAPPING)[["objid", "asset_id"]].equals(MAPPING[["objid", "asset_id"]])
    assert read(folder, survey.SOLUTIONS).equals(SOLUTIONS)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.slow
def test_mutated_tables(folder, name):
    good = (folder / name).read_bytes()

    @fuzz
    @given(mutations(good))
    def mutated(data):
        (folder / name).write_bytes(data)
        try:
            read(folder, name)
        except InputError as error:
            assert str(error).startswith(f"{folder}/") and "\n" not in str(error)
            assert len(str(error)) < len(str(folder)) + 1000 and str(error).isprintable()

    mutated()


@pytest.mark.parametrize("column", ["objid", "asset_id"])
@given(value=st.one_of(st.text(max_size=30), st.integers(-(2**70), 2**70).map(str), st.floats().map(str)))
@fuzz
def test_an_id_is_exact_or_refused(tmp_path_factory, column, value):
    folder = tmp_path_factory.getbasetemp() / "ids"
    folder.mkdir(exist_ok=True)
    mapping = MAPPING.astype(object)
    mapping.loc[1, column] = value
    for name, table in {**TABLES, survey.MAPPING: mapping}.items():
        table.to_csv(folder / name, index=False, encoding="utf-8", errors="surrogatepass")
    try:
        found = read(folder, survey.MAPPING)
    except InputError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
    else:
        assert str(found.loc[1, column]) == value.strip().lstrip("0") or found.loc[1, column] == int(value)
