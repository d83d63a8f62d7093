"""Avro containers from anyone: the schema is checked before a byte is decoded, and every size before it is read.

A container (<https://avro.apache.org/docs/1.11.1/specification/#object-container-files>) is a header with the schema,
then blocks of records. `fastavro` decodes the records. By itself it would follow a schema that refers to itself until
the stack is full and the process dies, count to 2^40 for an array of nulls, and unpack a block of any size.
"""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import fastavro

from skylight.errors import reason

MAGIC = b"Obj\x01"

_SYNC = 16  # bytes of the marker that ends the header and every block
_METADATA = 64  # entries of the header
_SCHEMA = 2**20  # bytes of a schema; that of ZTF has 30,000
_TYPES, _DEPTH = 20_000, 32  # of a schema, each name written out; that of ZTF has 800 types, 6 deep
_UNPACKED, _RATIO = 2**26, 20  # a block unpacks to at most 64 MiB, and to 1 MiB and 20 times its own size
_STEPS = 16  # of decoding that one byte of a record may cost, so that few bytes cannot take hours
_BYTES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
_UNPACKERS: dict[str, Callable] = {
    "deflate": lambda: zlib.decompressobj(-15),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=2**27),
}


class Container:
    """A container whose header has been read.

    Parameters
    ----------
    read : callable
        ``read(size)`` returns the next bytes of a stream, fewer only at its end. The stream is at `MAGIC`.
    fields : tuple of str
        The fields of a record to decode; the others are skipped.

    Raises
    ------
    ValueError
        The header is damaged, or its schema cannot be decoded safely, or is no record with these fields.
    """

    def __init__(self, read: Callable[[int], bytes], fields: tuple[str, ...]):
        self._read = read
        _exactly(read, len(MAGIC))
        metadata = _metadata(read)
        self._sync = _exactly(read, _SYNC)
        self._codec = metadata.get(b"avro.codec", b"null").decode("ascii", "replace")
        if self._codec != "null" and self._codec not in _UNPACKERS:
            raise ValueError(f"the codec {self._codec[:20]!r} is not supported")
        if b"avro.schema" not in metadata:
            raise ValueError("a header without a schema")
        self._schema, self._fields = metadata[b"avro.schema"], fields
        schemas(self._schema, fields)

    def block(self) -> tuple[bytes, tuple[str, ...], str, int, bytes]:
        """Read the next block, and return it as the arguments of `records`.

        Raises
        ------
        ValueError
            The block is damaged.
        """
        count, size = _long(self._read), _long(self._read)
        if count < 0:
            raise ValueError(f"a block of {count} records")
        packed = _exactly(self._read, size)
        if _exactly(self._read, _SYNC) != self._sync:
            raise ValueError("no marker at the end of a block")
        return self._schema, self._fields, self._codec, count, packed


def records(schema: bytes, fields: tuple[str, ...], codec: str, count: int, packed: bytes) -> Iterator[dict]:
    """Decode the records of a block, one at a time.

    Parameters
    ----------
    schema : bytes
        That of the container.
    fields : tuple of str
        The fields to decode.
    codec : str
        How the block is compressed.
    count : int
        The number of its records.
    packed : bytes
        The block.

    Raises
    ------
    ValueError
        The block is damaged, or does not hold as many records as it says.
    """
    written, wanted = schemas(schema, fields)
    content = _Bytes(_unpacked(codec, packed))
    for _ in range(count):
        try:
            record = fastavro.schemaless_reader(content, written, wanted)
        except Exception as error:  # damaged bytes lead to errors of any type
            raise ValueError(reason(error)) from error
        yield record
    if content.left:
        raise ValueError(f"{content.left} bytes after the {count} records of a block")


def _unpacked(codec: str, packed: bytes) -> bytes:
    if codec == "null":
        return packed
    most = min(_UNPACKED, 2**20 + _RATIO * len(packed))
    unpacker = _UNPACKERS[codec]()
    try:
        content = unpacker.decompress(packed, most)
    except Exception as error:  # zlib.error, lzma.LZMAError, OSError, ...
        raise ValueError(f"not {codec}: {reason(error)}") from error
    if not unpacker.eof:
        raise ValueError(f"a block of {len(packed)} bytes unpacks to more than {most}, or is cut short")
    return content


class _Bytes:
    """The bytes of a block, for fastavro. Unlike ``BytesIO``, it refuses sizes that are negative or too large."""

    def __init__(self, content: bytes):
        self._content, self._at = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise ValueError(f"a field of {size} bytes, {self.left} are left")
        self._at += size
        return self._content[self._at - size : self._at]


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    content = read(size)
    if len(content) != size:
        raise ValueError("cut short")
    return content


def _long(read: Callable[[int], bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = _exactly(read, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)
    raise ValueError("a number of more than 10 bytes")


def _metadata(read: Callable[[int], bytes]) -> dict[bytes, bytes]:
    """Read the map in the header."""
    found = {}
    while count := _long(read):
        if count < 0:  # then the size of the entries follows
            count = -count
            _long(read)
        if count + len(found) > _METADATA:
            raise ValueError(f"a header of {count} entries")
        for _ in range(count):
            name = _exactly(read, _size(read))
            found[name] = _exactly(read, _size(read))
    return found


def _size(read: Callable[[int], bytes]) -> int:
    size = _long(read)
    if not 0 <= size <= _SCHEMA:
        raise ValueError(f"a field of {size} bytes in the header")
    return size


@lru_cache(maxsize=32)
def schemas(text: bytes, fields: tuple[str, ...]) -> tuple[dict, dict]:
    """Check the schema of a container.

    Parameters
    ----------
    text : bytes
        The schema, JSON.
    fields : tuple of str
        The fields to decode.

    Returns
    -------
    written, wanted : dict
        The schema of the bytes, and that of a record with ``fields`` alone, both for ``fastavro.schemaless_reader``.

    Raises
    ------
    ValueError
        The schema refers to itself, is too large, lets a few bytes stand for many values, is no Avro schema, or is not
        of a record with these fields.
    """
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a schema that is not JSON: {reason(error)}") from error
    written, excess = _Schema().clean(schema, "", 0)
    if not isinstance(written, dict) or written["type"] != "record":
        raise ValueError("a schema that is not of a record")
    missing = [name for name in fields if name not in {field["name"] for field in written["fields"]}]
    if missing:
        raise MissingFields(missing, [field["name"] for field in written["fields"]])
    if excess > 0:
        raise ValueError(_CHEAP)
    wanted = written | {"fields": [field for field in written["fields"] if field["name"] in fields]}
    return fastavro.parse_schema(written), fastavro.parse_schema(wanted)


class MissingFields(ValueError):
    """The records of a container lack fields: those that are ``missing``, and those that it has (``present``)."""

    def __init__(self, missing: list[str], present: list[str]):
        super().__init__(f"no field {missing[0]}")
        self.missing, self.present = missing, present


_CHEAP = "a schema in which few bytes stand for many values"


class _Schema:
    """Rewrites a schema without names, so that nothing in it is left to be looked up while bytes are decoded."""

    def __init__(self):
        self._named, self._inside, self._types = {}, [], 0

    def clean(self, schema, space: str, depth: int) -> tuple[object, int]:
        """Return the schema with every name written out, and what decoding may cost.

        The cost is the largest number of decoding steps of a value that its bytes do not pay for: its steps, less
        `_STEPS` for each byte. The items of an array must not cost anything, or a short array could take any time.
        """
        self._types += 1
        if self._types > _TYPES or depth > _DEPTH:
            raise ValueError("a schema that is too large or too deep")
        if isinstance(schema, list):
            return self._union(schema, space, depth)
        if isinstance(schema, str):
            return self._name(schema, space, depth)
        if not isinstance(schema, dict) or "type" not in schema:
            raise ValueError("a schema with a type that is missing")
        kind = schema["type"]
        if kind in ("array", "map"):
            return self._repeated(kind, schema, space, depth)
        if kind in ("record", "error", "enum", "fixed"):
            return self._definition(schema, space, depth)
        return self.clean(kind, space, depth + 1)

    def _union(self, branches: list, space: str, depth: int) -> tuple[list, int]:
        if not branches or any(isinstance(branch, list) for branch in branches):
            raise ValueError("a schema with a union of nothing, or of unions")
        cleaned, costs = zip(*(self.clean(branch, space, depth + 1) for branch in branches), strict=True)
        return list(cleaned), 1 - _STEPS + max(costs)

    def _name(self, name: str, space: str, depth: int) -> tuple[object, int]:
        if name in _BYTES:
            return name, 1 - _STEPS * _BYTES[name]
        full = _full(name, space)
        if full not in self._named:
            raise ValueError(f"a schema with the unknown type {name[:40]!r}")
        if full in self._inside:
            raise ValueError("a schema that refers to itself")
        return self._definition(*self._named[full], depth)

    def _repeated(self, kind: str, schema: dict, space: str, depth: int) -> tuple[dict, int]:
        key = {"array": "items", "map": "values"}[kind]
        items, cost = self.clean(schema.get(key), space, depth + 1)
        if cost + (1 - _STEPS if kind == "map" else 0) > 0:
            raise ValueError(_CHEAP)
        return {"type": kind, key: items}, 1 - _STEPS

    def _definition(self, schema: dict, space: str, depth: int) -> tuple[object, int]:
        name, kind = schema.get("name"), schema["type"]
        if not isinstance(name, str) or not isinstance(schema.get("namespace", ""), str):
            raise ValueError(f"a schema with a {kind} without a name")
        full = _full(name, schema.get("namespace", space))
        self._named[full] = (schema, space)
        if kind == "enum":  # its index; no enumeration is among the fields that are needed
            return "int", 1 - _STEPS
        if kind == "fixed":
            size = schema.get("size")
            if not isinstance(size, int) or not 0 < size <= _UNPACKED:
                raise ValueError("a schema with a fixed field without a size")
            return {"type": "fixed", "name": f"fixed{self._types}", "size": size}, 1 - _STEPS * size
        label, cost = f"record{self._types}", 1
        self._inside.append(full)
        fields = {}
        for field in _list(schema.get("fields")):
            if not isinstance(field, dict) or not isinstance(field.get("name"), str) or field["name"] in fields:
                raise ValueError("a schema with fields without a name, or two of one name")
            fields[field["name"]], more = self.clean(field.get("type"), full.rpartition(".")[0], depth + 1)
            cost += more
        self._inside.pop()
        return {"type": "record", "name": label, "fields": [{"name": n, "type": t} for n, t in fields.items()]}, cost


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _list(value) -> list:
    if not isinstance(value, list):
        raise ValueError("a schema with a record without fields")
    return value
