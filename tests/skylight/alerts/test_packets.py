"""Alert packets: written as the survey writes them, read from files and streams, and damaged ones skipped."""

import gzip
import io
import tracemalloc

import fastavro
import numpy as np
import pytest

from skylight.alerts import packets as ztf_alerts
from skylight.alerts.packets import CUTOUTS, alerts, containers, image, packed, write
from skylight.errors import InputError
from skylight.rejected import Rejected

REQUIRED = {
    "jd": 2458882.06,
    "fid": 2,
    "pid": 1127561440015,
    "programid": 1,
    "isdiffpos": "t",
    "ra": 1.0,
    "dec": 2.0,
    "magpsf": 19.0,
    "sigmapsf": 0.1,
    "ranr": 1.0,
    "decnr": 2.0,
    "ndethist": 1,
    "ncovhist": 1,
    "nmtchps": 0,
    "rfid": 1,
    "jdstartref": 1.0,
    "jdendref": 2.0,
    "nframesref": 15,
    "rbversion": "none",
    "nmatches": 1,
    "drbversion": "none",
}


def packet(candid: int) -> dict:
    cutout = packed(np.random.default_rng(candid).normal(100, 5, (63, 63)))
    block = REQUIRED | {"candid": candid}
    return {"objectId": f"ZTF{candid}", "candid": candid, "candidate": block} | dict.fromkeys(CUTOUTS, cutout)


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file of packets with these candids and returns its path."""

    def make(*candids, name="packets.avro"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write(path, [packet(candid) for candid in candids])
        return path

    return make


def read(data: bytes) -> list:
    """Return the candids of the alerts in a stream, or the reasons why they were rejected."""
    stream = containers(io.BytesIO(data), "stream")
    return [each.reason if isinstance(each, Rejected) else each.candid for each in stream]


def test_written_packets_have_the_schema_and_fits_header_of_a_real_packet(real_data, file):
    real = min(real_data("ztf_alerts").glob("*.avro"))
    published, ours = (fastavro.block_reader(path.open("rb")) for path in (real, file(1)))

    def bare(schema):
        """Return names and types, in their order, without documentation, defaults and namespaces."""
        if isinstance(schema, list):
            return [bare(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        kept = {key: schema[key] for key in ("type", "name", "items", "fields") if key in schema}
        return {key: bare(value) if key != "name" else value for key, value in kept.items()}

    assert bare(ours.writer_schema) == bare(published.writer_schema)
    assert ours.codec == published.codec
    (theirs,), (record,) = next(published), next(ours)
    assert set(record["candidate"]) == set(theirs["candidate"])
    for name in CUTOUTS:
        raw, real_raw = (gzip.decompress(each[name]["stampData"]) for each in (record, theirs))
        assert raw[:2880] == real_raw[:2880] and len(raw) == len(real_raw)
        assert record[name]["fileName"].split("_")[-1] == theirs[name]["fileName"].split("_")[-1]


def test_files_folders_and_streams_give_the_same_alerts(file, tmp_path, monkeypatch):
    one, many = file(1, name="night/1.avro"), file(2, 3, 4, name="night/many.avro")
    assert [alert.candid for alert in alerts([one, many])] == [1, 2, 3, 4]
    assert [alert.candid for alert in alerts([tmp_path])] == [1, 2, 3, 4]

    class Standard:
        buffer = io.BytesIO(many.read_bytes() + one.read_bytes())

    monkeypatch.setattr("sys.stdin", Standard)
    assert [alert.candid for alert in alerts([ztf_alerts.STREAM])] == [2, 3, 4, 1]


@pytest.mark.parametrize("shape", [(63, 63), (63, 41), (17, 63)])
def test_packing_and_unpacking_a_cutout_changes_nothing(shape):
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    pixels[3, 5] = np.nan
    assert np.array_equal(image(packed(pixels)), pixels, equal_nan=True)
    assert packed(pixels) == packed(pixels)


def test_only_damaged_packets_are_rejected(file):
    first, second, third = (file(candid).read_bytes() for candid in (1, 2, 3))
    cut = read(first + second[:-500] + third)
    assert (cut[0], cut[-1], len(cut)) == (1, 3, 3) and "corrupt" in cut[1]
    strange = read(first + b"no packet at all" + third)
    assert (strange[0], strange[-1], len(strange)) == (1, 3, 3)
    (reason,) = read(b"no packet at all")
    assert "corrupt" in reason
    (reason,) = read(second[:2000])
    assert "corrupt" in reason
    assert read(b"") == ["empty"]
    flipped = bytearray(second)
    flipped[len(second) - 20 :] = b"\xff" * 20
    result = read(bytes(flipped) + third)
    assert result[-1] == 3 and "corrupt" in result[-2]
    block = next(fastavro.block_reader(io.BytesIO(second)))
    claims_too_much = second[: block.offset] + b"\x02\xfe\xff\xff\xff\xff\xff\x7f"
    result = read(claims_too_much + third)
    assert "a field of" in result[0] and result[-1] == 3


def test_packets_of_another_schema_are_rejected(file, tmp_path):
    schema = {"type": "record", "name": "lsst.alert", "fields": [{"name": "candid", "type": "long"}]}
    with (tmp_path / "other.avro").open("wb") as stream:
        fastavro.writer(stream, fastavro.parse_schema(schema), [{"candid": 5}])
    assert read((tmp_path / "other.avro").read_bytes() + file(7).read_bytes()) == [
        "not the schema of a ZTF alert (no field objectId)",
        7,
    ]


def test_bad_cutouts_are_errors_with_the_reason():
    good = packed(np.ones((63, 63), np.float32))
    for bad, reason in (
        (b"nothing", "not gzip"),
        (good[:-40], "not gzip"),
        (gzip.compress(b"nothing"), "not FITS"),
        (gzip.compress(gzip.decompress(good)[:4000]), "not FITS"),
    ):
        with pytest.raises(ValueError, match=reason):
            image(bad)


def test_missing_files_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such file or folder"):
        list(alerts([tmp_path / "nowhere"]))
    with pytest.raises(InputError, match=r"no \.avro file"):
        list(alerts([tmp_path]))


def test_memory_does_not_grow_with_the_stream(file):
    class Endless(io.RawIOBase):
        def __init__(self, data, times):
            self.parts = iter([data] * times)

        def readable(self):
            return True

        def readinto(self, buffer):
            part = next(self.parts, b"")
            buffer[: len(part)] = part
            return len(part)

    data, peaks = file(1).read_bytes(), []
    for times in (20, 160):
        tracemalloc.start()
        stream = io.BufferedReader(Endless(data, times), buffer_size=2 * len(data))
        assert sum(1 for _ in containers(stream, "stream")) == times
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**18


def test_a_damaged_packet_has_a_source_and_no_identifier(file):
    first, second = (file(candid).read_bytes() for candid in (1, 2))
    good, bad = containers(io.BytesIO(first + second[:-500]), "night.avro")
    assert (good.source, good.objectid) == ("night.avro", "ZTF1")
    assert (bad.source, bad.id) == ("night.avro #2", "")
