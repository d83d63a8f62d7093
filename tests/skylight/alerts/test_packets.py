"""Alert packets: written as the survey writes them, read from files and streams, and damaged ones skipped."""

import gzip
import io
import time
import tracemalloc

import fastavro
import numpy as np
import pytest

from skylight.alerts import packets as ztf_alerts
from skylight.alerts.packets import CUTOUTS, alerts, containers, image, packed, write
from skylight.alerts.triplets import triplets
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
        (gzip.compress(b"nothing", mtime=0), "not FITS"),
        (gzip.compress(gzip.decompress(good)[:4000], mtime=0), "not FITS"),
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


def test_real_packets_whose_difference_image_is_gzipped_twice_are_rejected(real_data):
    found = list(alerts([real_data("ztf_alerts_more") / "malformed"]))
    assert [each.id for each in found] == ["516401801315010009", "516442330015015017", "516476004815015005"]
    assert {each.reason for each in found} == {"cutoutDifference: not FITS (gzipped twice)"}


def test_all_real_packets_with_whole_images_are_read(real_data):
    found = list(alerts([real_data("ztf_alerts_more") / "packets"]))
    assert len(found) == 256 and not [each for each in found if isinstance(each, Rejected)]


def test_a_packet_with_a_bad_cutout_is_rejected_and_the_others_of_its_file_are_read(tmp_path):
    good = packet(1)
    twice, text = gzip.compress(good["cutoutDifference"]), gzip.compress(b"no FITS at all")
    bad = [
        {"cutoutDifference": twice},
        {"cutoutScience": b"nothing"},
        {"cutoutTemplate": text},
        {"objectId": "../../x"},
    ]
    write(tmp_path / "a.avro", [good, *(packet(k) | each for k, each in enumerate(bad, start=2)), packet(6)])
    first, *rejected, last = alerts([tmp_path / "a.avro"])
    assert (first.candid, last.candid) == (1, 6)
    assert [(each.source.rpartition("#")[2], each.id) for each in rejected] == [(str(k), str(k)) for k in (2, 3, 4, 5)]
    reasons = ["cutoutDifference: not FITS (gzipped twice)", "cutoutScience: not gzip", "cutoutTemplate: not FITS"]
    for each, reason in zip(rejected, [*reasons, "objectId is no name of up to 16 letters"], strict=True):
        assert reason in each.reason


def renamed(schema, names: dict):
    """Return a schema with other names of its records, and with every field allowed to be null."""
    if isinstance(schema, list):
        return [renamed(each, names) for each in schema]
    if isinstance(schema, str):
        return names.get(schema, schema)
    result = {key: schema[key] for key in ("type", "items") if key in schema}
    result = {key: renamed(value, names) for key, value in result.items()}
    if "name" in schema:
        result["name"] = names[schema["name"]]
        kinds = {field["name"]: renamed(field["type"], names) for field in schema["fields"]}
        nullable = {name: kind if isinstance(kind, list) else [kind, "null"] for name, kind in kinds.items()}
        result["fields"] = [{"name": name, "type": kind} for name, kind in nullable.items()]
    return result


BROKERS = {
    "fink": ["fink.topLevelRecord", "fink.topLevelRecord.candidate", "fink.prv", "fink.topLevelRecord.cutoutScience"],
    "ampel": ["ampel_alert", "ampel_candidate", "ampel_prv", "ampel_stamp"],
}


@pytest.mark.parametrize("broker", BROKERS)
def test_fields_are_found_by_name_whatever_a_broker_calls_the_records(broker, file):
    block = next(fastavro.block_reader(file(1).open("rb")))
    ours = ["ztf.alert", "ztf.alert.candidate", "ztf.alert.prv_candidate", "ztf.alert.cutout"]
    schema = renamed(block.writer_schema, dict(zip(ours, BROKERS[broker], strict=True)))
    schema["fields"].append({"name": "roid", "type": "int"})
    rows, stream = [record | {"roid": 3} for record in block], io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(schema), [*rows, rows[0] | {"candid": None}])
    found = list(containers(io.BytesIO(stream.getvalue()), "s"))
    assert found[0] == next(alerts([file(1)])).__class__("s", 1, "ZTF1", found[0].cutouts)
    assert found[0].cutouts == next(alerts([file(1)])).cutouts
    assert found[1] == Rejected("s #2", "", "candid is not a whole number")


def test_packets_of_rubin_are_not_supported():
    names = ("diaSourceId", "diaSource", "diaObject", "cutoutScience", "cutoutTemplate", "cutoutDifference")
    fields = [{"name": name, "type": ["null", "bytes"]} for name in names]
    schema, stream = {"type": "record", "name": "lsst.v7_4.alert", "fields": fields}, io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(schema), [dict.fromkeys(names)])
    assert read(stream.getvalue()) == ["a packet of Rubin: only packets of ZTF are supported"]


def test_gzipped_files_and_endings_in_capitals_are_found_and_read(file, tmp_path):
    content = file(1, 2).read_bytes()
    folder = tmp_path / "night" / "below"
    folder.mkdir(parents=True)
    (folder / "a.avro.gz").write_bytes(gzip.compress(content))
    (folder / "b.AVRO").write_bytes(file(3).read_bytes())
    (folder / "c.avro").write_bytes(gzip.compress(file(4).read_bytes()))  # by content, not by ending
    (folder / "note.txt").write_text("no packet")
    (folder / "d.avro").mkdir()
    (folder / "again").symlink_to(tmp_path / "night")
    assert [each.candid for each in alerts([tmp_path / "night"])] == [1, 2, 3, 4]


def test_a_damaged_gzip_file_gives_the_alerts_before_the_damage(file, tmp_path):
    content = b"".join(file(k).read_bytes() for k in range(1, 9))
    (tmp_path / "cut.avro.gz").write_bytes(gzip.compress(content)[:-20_000])
    found = list(alerts([tmp_path / "cut.avro.gz"]))
    assert [each.candid for each in found[:6]] == [1, 2, 3, 4, 5, 6]
    assert "cannot be read to its end (Compressed file ended" in found[-1].reason


def test_a_gzip_bomb_is_refused(tmp_path):
    (tmp_path / "bomb.avro.gz").write_bytes(gzip.compress(bytes(200_000_000)))
    tracemalloc.start()
    *_, last = alerts([tmp_path / "bomb.avro.gz"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24 and "it unpacks to more than 20 times its size" in last.reason


def test_a_stream_of_nothing_but_beginnings_is_given_up():
    start = time.process_time()
    found = read(b"Obj\x01" * 1_000_000)
    assert time.process_time() - start < 1
    assert len(found) < 5000 and "damaged in more than" in found[-1]


def test_blocks_that_say_the_wrong_number_of_records_are_rejected(file):
    content, block = file(1).read_bytes(), next(fastavro.block_reader(file(1).open("rb")))
    for count in (b"\x00", b"\x01", b"\x04"):  # 0, -1, 2 records where there is 1
        found = read(content[: block.offset] + count + content[block.offset + 1 :] + file(7).read_bytes())
        assert found[-1] == 7 and "corrupt" in found[-2]


def test_a_stream_that_is_damaged_everywhere_is_not_searched_for_ever(file):
    head = file(1).read_bytes()[: next(fastavro.block_reader(file(1).open("rb"))).offset]
    content = head + b"\x02" + b"\x80\x80\x80\x20"  # each claims a block of 32 MiB
    start = time.process_time()
    found = read(content * 1000 + file(2).read_bytes())
    assert time.process_time() - start < 5
    assert "corrupt" in found[0]


def fits_of(*cards: str, data: bytes = b"") -> bytes:
    header = b"".join(card.encode().ljust(80) for card in (*cards, "END"))
    return gzip.compress(header.ljust(2880) + data.ljust(-(-len(data) // 2880) * 2880, b"\0"), mtime=0)


def cards(**values) -> list[str]:
    return [f"{key:<8}= {value:>20}" for key, value in {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 2, **values}.items()]


@pytest.mark.parametrize(
    ("cutout", "reason"),
    [
        (fits_of(*cards(NAXIS1=63, NAXIS2="6 3"), data=bytes(15876)), "not FITS"),
        (fits_of("SIMPLE  =  T", "BITPIX  = spam", "NAXIS   = 2", data=bytes(15876)), "not FITS"),
        (fits_of(*cards(NAXIS1=30000, NAXIS2=30000)), "not FITS"),
        (fits_of(*cards(NAXIS1=-63, NAXIS2=63), data=bytes(15876)), "not FITS"),
        (fits_of(*cards(NAXIS=0)), "no image of two axes"),
        (fits_of(*cards(NAXIS=999)), "not FITS"),
        (fits_of(*cards(NAXIS=4294967297)), "not FITS .a header with more than 999 axes or columns"),
        (
            fits_of(*cards(NAXIS1=63, NAXIS2=63, GROUPS="#x?"), data=bytes(15876)),
            "not FITS",
        ),  # _CorruptedHDU of astropy
        (fits_of(*cards(NAXIS1=0, NAXIS2=63, GROUPS="T", PCOUNT=1, GCOUNT=3), data=bytes(999)), "not FITS"),
        (gzip.compress(bytes(100_000_000), mtime=0), "unpacks to more than 1048576 bytes"),
        (gzip.compress(packed(np.ones((63, 63))), mtime=0), "gzipped twice"),
        (packed(np.ones((63, 63))) + b"more", "not gzip"),
        (gzip.compress(b"SIMPLE", mtime=0), "not FITS"),
        (gzip.compress(b"", mtime=0), "not FITS"),
    ],
)
def test_a_hostile_cutout_is_an_error_with_the_reason(cutout, reason):
    tracemalloc.start()
    with pytest.raises(ValueError, match=reason) as error:
        image(cutout)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25 and "\n" not in str(error.value)


def test_pixels_that_the_reference_does_not_cover_are_masked():
    pixels = np.random.default_rng(0).normal(100, 5, (63, 63)).astype(np.float32)
    pixels[:5], pixels[5, :7] = -np.finfo(np.float32).max, np.finfo(np.float32).max
    found = image(packed(pixels))
    assert np.isnan(found[:5]).all() and np.isnan(found[5, :7]).all()
    assert np.array_equal(found[6:], pixels[6:]) and np.array_equal(found[5, 7:], pixels[5, 7:])


def test_a_cutout_in_two_parts_with_padding_is_read_as_before():
    pixels = np.arange(63.0 * 63).reshape(63, 63).astype(np.float32)
    raw = gzip.decompress(packed(pixels))
    assert np.array_equal(image(gzip.compress(raw[:7000]) + gzip.compress(raw[7000:]) + bytes(50)), pixels)


def test_a_corrupt_card_in_one_cutout_rejects_one_alert(tmp_path):
    corrupt = fits_of(*cards(NAXIS1=63, NAXIS2=63, GROUPS="#x?"), data=bytes(15876))
    write(tmp_path / "a.avro", [packet(1), packet(2) | {"cutoutTemplate": corrupt}, packet(3)])
    first, second, third = triplets(alerts([tmp_path / "a.avro"]))
    assert (first[0].candid, third[0].candid) == (1, 3)
    assert second.id == "2" and second.reason.startswith("cutoutTemplate: not FITS")
