"""Any bytes in place of alert packets: alerts or rejections of one line, in bounded time and memory."""

import gzip
import io
import os
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylight.alerts import avro
from skylight.alerts.packets import CUTOUTS, Alert, containers, packed, write
from skylight.alerts.triplets import triplets
from skylight.rejected import Rejected
from tests.memory import forget_peak, peak
from tests.skylight.alerts.test_avro import container, long
from tests.skylight.alerts.test_packets import packet

pytestmark = pytest.mark.slow

EXAMPLES = settings(
    max_examples=int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
SECONDS, MEMORY = 5, 2**20  # KiB that the process may grow by


@cache
def good() -> bytes:
    """Return a container of two good packets."""
    with TemporaryDirectory() as folder:
        write(Path(folder) / "a.avro", [packet(1), packet(2)])
        return (Path(folder) / "a.avro").read_bytes()


def read(content: bytes) -> list:
    """Read a stream to triplets, and check what the promise says."""
    before, start = forget_peak(), time.process_time()
    found = list(triplets(containers(io.BytesIO(content), "s")))
    assert time.process_time() - start < SECONDS
    assert peak() - before < MEMORY
    for each in found:
        if isinstance(each, Rejected):
            assert each.reason and "\n" not in each.reason and len(each.reason) < 400
        else:
            assert isinstance(each[0], Alert) and np.isfinite(each[1]).all()
    return found


@st.composite
def mutated(draw, content: bytes) -> bytes:
    """Draw good bytes with some flipped, cut, doubled or put in."""
    result = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(result) - 1, 0)) | st.integers(0, min(2000, max(len(result) - 1, 0))))
        kind = draw(st.sampled_from(["flip", "cut", "put", "double", "end"]))
        size = draw(st.integers(1, 40))
        if kind == "flip" and result:
            result[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del result[place : place + size]
        elif kind == "put":
            result[place:place] = draw(st.binary(max_size=12) | st.sampled_from([avro.MAGIC, long(2**40), long(-3)]))
        elif kind == "double":
            result[place:place] = result[place : place + size * 50]
        else:
            del result[place:]
    return bytes(result)


@EXAMPLES
@given(st.data())
def test_mutated_packets(data):
    read(data.draw(mutated(good())) + good())


@EXAMPLES
@given(st.data())
def test_mutated_cutouts(data):
    raw = gzip.decompress(packed(np.random.default_rng(0).normal(100, 5, (63, 63))))
    cutout = (
        gzip.compress(data.draw(mutated(raw[:400])) + raw[400:])
        if data.draw(st.booleans())
        else data.draw(mutated(packed(np.ones((63, 63)))))
    )
    cutouts = data.draw(st.permutations([cutout, packed(np.ones((63, 63))), None]))
    read_alert = list(triplets([Alert("s", 1, "x", tuple(cutouts))]))
    assert isinstance(read_alert[0], Rejected) and "\n" not in read_alert[0].reason


NAMES = st.sampled_from(["R", "ztf.R", "Z", "alert", "a.b.c", ""])
KINDS = st.recursive(
    st.sampled_from([*avro._BYTES, "R", "ztf.R", "Z", "spam", "", None, 3, [], {}]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda values: {"type": "map", "values": values}, inner),
        st.builds(lambda kind: {"type": kind, "logicalType": "decimal"}, inner),
        st.builds(lambda n, size: {"type": "fixed", "name": n, "size": size}, NAMES, st.integers(-1, 2**70)),
        st.builds(lambda n: {"type": "enum", "name": n, "symbols": ["A"]}, NAMES),
        st.builds(
            lambda n, kinds: {
                "type": "record",
                "name": n,
                "fields": [{"name": f"f{i}", "type": kind} for i, kind in enumerate(kinds)],
            },
            NAMES,
            st.lists(inner, max_size=4),
        ),
    ),
    max_leaves=12,
)


@EXAMPLES
@given(
    st.lists(KINDS, max_size=4), st.dictionaries(st.sampled_from(["candid", "objectId", *CUTOUTS]), KINDS), st.data()
)
def test_any_schema_with_any_bytes(kinds, needed, data):
    types = {"objectId": "string", "candid": "long"} | {name: ["null", "bytes"] for name in CUTOUTS} | needed
    fields = [{"name": f"x{i}", "type": kind} for i, kind in enumerate(kinds)]
    fields += [{"name": name, "type": kind} for name, kind in types.items()]
    body = data.draw(
        st.binary(max_size=60) | st.lists(st.sampled_from([long(2**40), long(1), long(0), b"ab"])).map(b"".join)
    )
    codec = data.draw(st.sampled_from(["null", "null", "deflate", "xz", "bzip2", "snappy"]))
    count = data.draw(st.sampled_from([1, 0, -1, 2**40]))
    content = container({"type": "record", "name": "alert", "fields": fields}, body, codec, count)
    assert read(content + good())[-1][0].candid == 2
