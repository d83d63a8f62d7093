"""Mutated and hostile parameter files: each is taken, or refused with one line for each fault.

``SKYLIGHT_FUZZ_EXAMPLES`` sets the number of inputs per test, 200 by default.
"""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from skylight import params
from skylight.errors import InputError
from tests.conftest import ROOT

EXAMPLES = int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200"))
SECONDS = 5
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

pytestmark = pytest.mark.slow

GOOD = (ROOT / "params.yaml").read_bytes()
CONTENT = YAML(typ="safe", pure=True).load(GOOD)
PIECES = [
    b"!!int ", b"!!float ", b"!!bool ", b"!!binary ", b"!!timestamp ", b"!!set ", b"!!omap ", b"!!pairs ", b"!!null ",
    b"!!python/object/apply:os.system ", b"!x ", b"&a ", b"*a ", b"<<: *a\n", b"<<: 1\n", b"? ", b"- ", b": ", b"| ",
    b"> ", b"{", b"}", b"[", b"]", b"[" * 400, b"{a: " * 400, b"1" * 5000, b"0x" + b"f" * 5000, b"1e999", b".inf",
    b"-.inf", b".nan", b"~", b"null", b"1", b"true", b"''", b"\n", b"\t", b"\r", b"\x00", b"\xff", b"\xfe\xff", b"\x85",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"---\n", b"...\n", b"%YAML 1.1\n", b"%TAG ! x\n", b"2020-01-01", b"1_0", b"0o7",
    b"190:20:30", b"'x; touch pwned; #'", b"../../victim", b"{{ 7*7 }}", b"${a}", b"=1+1", b'"\\u0000"', b'"\\ud800"',
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([2**31, 2**63, -(10**99), 10**400])
    | st.sampled_from(["a\nb", "x; touch pwned; #", "../..", "1", "é", "\x00", "a" * 5000])
    | st.floats() | st.text(max_size=5) | st.dates() | st.binary(max_size=3)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(SCALARS.filter(lambda key: key == key), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutations(draw) -> bytes:
    """The file of the repository with up to six pieces put in, cut out, repeated or replaced."""
    data = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        kind = draw(st.sampled_from(["piece", "value", "bytes", "cut", "repeat"]))
        if kind == "piece":
            data[start:end] = draw(st.sampled_from(PIECES))
        elif kind == "value":  # in the place of a whole value, where more pieces are good YAML
            start = data.find(b": ", start) + 2
            data[start : max(start, data.find(b"\n", start))] = draw(st.sampled_from(PIECES))
        elif kind == "bytes":
            data[start:end] = draw(st.binary(max_size=8))
        elif kind == "repeat":
            data[start:end] = bytes(data[start:end]) * draw(st.integers(0, 40))
        else:
            del data[start : end if draw(st.booleans()) else len(data)]
    return bytes(data)


def sections(value: object, place: tuple = ()) -> list[tuple]:
    """Return the place of every section, list and value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, each in inner for found in sections(each, (*place, key)))]


PLACES = sections(CONTENT)


def replaced(content: object, place: tuple, key: object, value: object) -> object:
    """Return a copy of the content with another value at a place, or with another key as well."""
    if not place:
        return content | {key: value} if isinstance(content, dict) and key is not None else value
    first, *rest = place
    copy = content.copy()
    copy[first] = replaced(copy[first], tuple(rest), key, value)
    return copy


def refused(call, *starts: str) -> bool:
    """Return whether a call raised an `InputError`; check its lines and that it did not take long."""
    start = time.process_time()
    try:
        call()
    except InputError as error:
        lines = str(error).split("\n")
        assert all(line.isprintable() and line.startswith(starts) and len(line) < 3000 for line in lines), lines
        return True
    finally:
        assert time.process_time() - start < SECONDS
    return False


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "params.yaml"


@fuzz
@given(content=mutations())
def test_a_mutated_file_is_read_or_refused(path, content):
    path.write_bytes(content)
    refused(lambda: params.load_all(path), "")


@fuzz
@given(place=st.sampled_from(PLACES), key=st.none() | SCALARS.filter(lambda key: key == key), value=VALUES)
def test_a_value_or_key_of_another_type_is_taken_or_refused_by_key(place, key, value):
    content = replaced(CONTENT, place, key, value)
    chapter = place[0] if place else ""
    if refused(lambda: params.check(params.Params, content), chapter) or not chapter:
        return
    assert params.check(params.Params, content).model_dump()
