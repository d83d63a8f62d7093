"""Avro containers that would hang or kill the decoder: refused within a second, whatever their schema or size says."""

import bz2
import io
import json
import lzma
import subprocess
import sys
import textwrap
import time
import zlib

import fastavro
import pytest

from skylight.alerts.avro import Container, MissingFields, records, schemas


def long(number: int) -> bytes:
    """Encode a number as Avro does."""
    number, done = (number << 1) ^ (number >> 63), bytearray()
    while number > 0x7F:
        done.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*done, number])


def container(schema, body: bytes, codec: str = "null", count: int = 1) -> bytes:
    """Return a container of one block, with anything in it."""
    meta = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec.encode()}
    entries = b"".join(long(len(k)) + k + long(len(v)) + v for k, v in meta.items())
    head = b"Obj\x01" + long(len(meta)) + entries + long(0) + b"s" * 16
    return head + long(count) + long(len(body)) + body + b"s" * 16


def record(*fields: dict, name: str = "alert") -> dict:
    return {"type": "record", "name": name, "namespace": "ztf", "fields": list(fields)}


def field(name: str, kind) -> dict:
    return {"name": name, "type": kind}


CANDID = field("candid", "long")


def read(content: bytes) -> list[dict]:
    return list(records(*Container(io.BytesIO(content).read, ("candid",)).block()))


def nested(depth: int):
    """Return a record in a record in a record, by names that are defined one after the other."""
    kinds = [field("x0", record(CANDID, name="R0"))]
    kinds += [field(f"x{k}", record(field("y", f"R{k - 1}"), name=f"R{k}")) for k in range(1, depth)]
    return record(*kinds, CANDID)


def doubling(times: int):
    """Return a schema in which each record has the one before twice: 2^times nulls, without a byte."""
    kinds = [field("x0", record(field("y", "null"), name="R0"))]
    for k in range(1, times):
        twice = [field("a", f"R{k - 1}"), field("b", f"R{k - 1}")]
        kinds.append(field(f"x{k}", record(*twice, name=f"R{k}")))
    return record(*kinds, CANDID)


ITSELF = record(field("next", ["null", "Z"]), name="Z")
EMPTY = record(name="nothing")
MANY_NULLS = record(*(field(f"n{k}", "null") for k in range(100)), CANDID)


def array(items):
    return record(field("many", {"type": "array", "items": items}), CANDID)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (container(array("null"), long(2**40) + long(0) + long(1)), "few bytes stand for many"),
        (container(array(EMPTY), long(2**40) + long(0) + long(1)), "few bytes stand for many"),
        (container(array(MANY_NULLS), long(1) + long(5) + long(0) + long(1)), "few bytes stand for many"),
        (container(array(["null", MANY_NULLS]), long(1) + long(0) + long(0) + long(1)), "few bytes stand for many"),
        (container(MANY_NULLS, long(1)), "few bytes stand for many"),
        (container(record(field("z", ITSELF), CANDID), b"\x02" * 200_000 + b"\x00" + long(1)), "refers to itself"),
        (container(record(field("z", {"type": "array", "items": "alert"}), CANDID), long(0)), "refers to itself"),
        (container(nested(2000), long(1) * 2001), "too large or too deep"),
        (container(doubling(60), long(1)), "too large or too deep"),
        (container(record({"name": "long"}, CANDID), long(1)), "a type that is missing"),
        (container(record(field("x", "spam"), CANDID), long(1)), "unknown type 'spam'"),
        (container(record(field("x", {"type": "fixed", "name": "f", "size": 2**62}), CANDID), long(1)), "fixed field"),
        (container(record(field("x", {"type": "fixed", "name": "f", "size": -1}), CANDID), long(1)), "fixed field"),
        (container(record(field("x", {"type": "array"}), CANDID), long(1)), "a type that is missing"),
        (container(record(field("x", [])), long(1)), "union of nothing"),
        (container(record(CANDID, CANDID), long(1)), "two of one name"),
        (container("long", long(1)), "not of a record"),
        (container({"type": "record", "name": "alert"}, long(1)), "record without fields"),
        (container({"type": "record", "fields": []}, long(1)), "without a name"),
        (container(record(CANDID), long(1), count=-1), "a block of -1 records"),
        (container(record(CANDID), long(1) * 2), "1 bytes after the 1 records"),
        (container(record(CANDID), long(1), count=0), "1 bytes after the 0 records"),
        (container(record(CANDID), long(1), count=2**40), "a field of 1 bytes, 0 are left"),
        (container(record(field("x", "bytes"), CANDID), long(2**40) + b"x"), "a field of 1099511627776 bytes"),
        (container(record(field("x", "bytes"), CANDID), long(-5) + long(1)), "a field of -5 bytes"),
        (container(record(field("x", "string"), CANDID), long(-1) + long(1)), "a field of -1 bytes"),
        (container(record(CANDID), long(1), "snappy"), "the codec 'snappy' is not supported"),
        (container(record(CANDID), b"not deflated", "deflate"), "not deflate"),
        (container(record(CANDID), b"not xz", "xz"), "not xz"),
        (container(record(CANDID), b"not bzip2", "bzip2"), "not bzip2"),
        (b"Obj\x01" + long(1) + long(2**40), "in the header"),
        (b"Obj\x01" + long(2**40), "a header of"),
        (b"Obj\x01" + long(0) + b"s" * 16, "without a schema"),
        (b"Obj\x01" + b"\xff" * 20, "more than 10 bytes"),
    ],
)
def test_a_hostile_container_is_refused_within_a_second(content, reason):
    start = time.process_time()
    with pytest.raises(ValueError, match=reason) as error:
        read(content)
    assert time.process_time() - start < 1
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff\xfe", b"{", b"9" * 5000, b"[]", b"null"])
def test_a_schema_that_is_no_schema_is_refused(text):
    with pytest.raises(ValueError, match="a schema"):
        schemas(text, ("candid",))


def test_missing_fields_are_named():
    with pytest.raises(MissingFields, match="no field objectId") as error:
        schemas(json.dumps(record(CANDID)).encode(), ("candid", "objectId"))
    assert error.value.present == ["candid"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "pack"),
    [
        ("deflate", lambda content: zlib.compress(content, wbits=-15)),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
    ],
)
def test_a_block_that_unpacks_to_too_much_is_refused_without_the_memory(codec, pack):
    bomb = container(record(field("x", "bytes"), CANDID), pack(long(60_000_000) + bytes(60_000_000) + long(1)), codec)
    code = """
        import io, resource, sys
        from skylight.alerts.avro import Container, records
        content = sys.stdin.buffer.read()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            list(records(*Container(io.BytesIO(content).read, ("candid",)).block()))
        except ValueError as error:
            print(error)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        sys.exit(grown > 2**15)  # KiB
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], input=bomb, capture_output=True, check=False)
    assert ran.returncode == 0 and b"unpacks to more than" in ran.stdout, ran.stderr


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_good_containers_are_read_as_fastavro_reads_them(codec):
    cut = record(field("name", "string"), field("data", ["bytes", "null"]), name="cut")
    schema = record(
        field("first", ["null", cut]),
        field("kind", {"type": "enum", "name": "kind", "symbols": ["A", "B"]}),
        field("when", {"type": "long", "logicalType": "timestamp-millis"}),
        field("mark", {"type": "fixed", "name": "mark", "size": 3}),
        field("tags", {"type": "map", "values": ["null", "string"]}),
        field("history", ["null", {"type": "array", "items": ["null", "ztf.cut"]}]),
        field("last", ["ztf.cut", "null"]),
        CANDID,
    )
    some = {"name": "n", "data": b"d" * 3000}
    rows = [
        {"first": some, "kind": "B", "when": 5, "mark": b"abc", "tags": {"a": None, "b": "x"}, "history": [some, None]}
        | {"last": None, "candid": -(2**62)},
        {"first": None, "kind": "A", "when": 5, "mark": b"abc", "tags": {}, "history": None}
        | {"last": some, "candid": 7},
    ]
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows, codec=codec)
    fields = ("last", "candid", "first")
    found = list(records(*Container(io.BytesIO(file.getvalue()).read, fields).block()))
    file.seek(0)
    assert found == [{name: row[name] for name in fields} for row in fastavro.reader(file)]
