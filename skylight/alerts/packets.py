"""Alert packets of the Zwicky Transient Facility: their Avro schema, reading and writing them.

A packet (Patterson et al. 2019, PASP 131, 018001; <https://zwickytransientfacility.github.io/ztf-avro-alert>) is an
Avro container with a record an alert: a ``candidate`` block of measurements and three cutouts, each a gzipped FITS
image of at most 63 x 63 pixels of 1 arcsec. The archive has a file an alert; a file may also hold many, and a stream
is any number of containers one after the other (``tar -xzOf ztf_public_20200202.tar.gz``, ``cat *.avro``).
"""

import gzip
import io
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fastavro
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from fastavro.read import SchemaResolutionError

from skylight.errors import InputError

SIDE = 63
"""Rows and columns of a whole cutout."""
CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
LABELS, TRUTH = "candidates.csv", "truth.csv"
"""Beside the packets: the labelled ``candidate`` blocks, and of a simulated survey what each candidate is."""
STREAM = Path("-")

_MAGIC = b"Obj\x01"
_LARGEST = 2**26  # bytes; no field of a packet comes near, a corrupt length may be anything
_DAMAGE = (ValueError, EOFError, IndexError, KeyError, OverflowError, TypeError, UnicodeDecodeError, OSError)


@dataclass(frozen=True)
class Alert:
    """The part of a packet that a real-bogus network needs."""

    source: str
    """The file, and the number of the alert in it, for messages."""
    candid: int
    objectid: str
    cutouts: tuple[bytes | None, ...]
    """Gzipped FITS of the science, reference and difference image; ``None`` where the packet has none."""


@dataclass(frozen=True)
class Rejected:
    """A packet that cannot be used; ``candid`` is ``None`` where not even that can be read."""

    source: str
    candid: int | None
    reason: str


def alerts(paths: Iterable[Path]) -> Iterator[Alert | Rejected]:
    """Read the alerts of files, of all ``.avro`` files in folders and below, and of the standard input (``-``).

    One alert is in memory at a time, whatever the length. What cannot be read comes out as `Rejected`, and reading
    goes on with the next container.

    Raises
    ------
    InputError
        A path does not exist, or a folder has no ``.avro`` file.
    """
    for path in paths:
        if path == STREAM:
            yield from containers(sys.stdin.buffer, "standard input")
        elif path.is_dir():
            files = (file for file in _sorted_below(path) if file.suffix == ".avro")
            found = False
            for file in files:
                found = True
                with file.open("rb") as stream:
                    yield from containers(stream, str(file))
            if not found:
                raise InputError(f"{path}: no .avro file in this folder")
        elif path.is_file():
            with path.open("rb") as stream:
                yield from containers(stream, str(path))
        else:
            raise InputError(f"{path}: no such file or folder")


def _sorted_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _sorted_below(path)
        else:
            yield path


def containers(stream: BinaryIO, source: str) -> Iterator[Alert | Rejected]:
    """Read the alerts of any number of Avro containers that follow one another."""
    reader, number, blocks = _Reader(stream), 0, None
    if not reader.peek():
        yield Rejected(source, None, "empty")
    while head := reader.peek():
        try:
            if head == _MAGIC:  # no block begins like this: the number of its records would be negative
                blocks = fastavro.block_reader(reader, reader_schema=_NEEDED)
            elif blocks is None:
                raise ValueError("no container begins here")
            for record in next(blocks, ()):
                number += 1
                yield _alert(record, f"{source} #{number}" if number > 1 else source)
        except (SchemaResolutionError, *_DAMAGE) as error:
            number += 1
            yield Rejected(f"{source} #{number}" if number > 1 else source, None, _reason(error))
            blocks = None
            reader.skip_to_magic()


def _reason(error: Exception) -> str:
    if isinstance(error, SchemaResolutionError):
        return "not the schema of a ZTF alert"
    return f"corrupt, or not Avro ({(str(error) or 'cut short').splitlines()[0]})"


def _alert(record: dict, source: str) -> Alert:
    cutouts = tuple(record[name] and record[name]["stampData"] for name in CUTOUTS)
    return Alert(source, record["candid"], record["objectId"], cutouts)


class _Reader:
    """A binary stream that looks four bytes ahead, can go back to where it looked, and reads no more than a packet.

    What it holds is one block of a container.
    """

    def __init__(self, stream: BinaryIO):
        self._stream, self._ahead, self._given = stream, b"", 0
        self._since_peek = bytearray()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST:
            raise ValueError(f"a field of {size} bytes")
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(taken) < size:
            taken += self._stream.read(size - len(taken))
        self._given += len(taken)
        self._since_peek += taken
        return taken

    def tell(self) -> int:
        return self._given

    def peek(self) -> bytes:
        self._since_peek.clear()
        if len(self._ahead) < len(_MAGIC):
            self._ahead += self._stream.read(len(_MAGIC) - len(self._ahead))
        return self._ahead[: len(_MAGIC)]

    def skip_to_magic(self) -> None:
        """Go to the first place after the last `peek` where a container may begin, or to the end."""
        self._ahead = bytes(self._since_peek[1:]) + self._ahead
        while (found := self._ahead.find(_MAGIC)) < 0:
            chunk = self._stream.read(2**16)
            if not chunk:
                self._ahead = b""
                return
            self._ahead = self._ahead[1 - len(_MAGIC) :] + chunk
        self._ahead = self._ahead[found:]


def image(cutout: bytes) -> np.ndarray:
    """Unpack a gzipped FITS cutout: (rows, columns) float32, NaN where the survey has masked a pixel.

    Raises
    ------
    ValueError
        It is not a gzipped FITS image; the message is the reason.
    """
    try:
        raw = gzip.decompress(cutout)
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise ValueError(f"not gzip ({error})") from None
    with warnings.catch_warnings():
        # The survey's own SIMPLE card is not quite to the standard; what is cut short is an error below.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(io.BytesIO(raw), memmap=False) as hdus:
                data = hdus[0].data
        except (OSError, ValueError, TypeError, KeyError, fits.VerifyError) as error:
            raise ValueError(f"not FITS ({error})") from None
    if data is None or data.ndim != 2 or not data.size:
        raise ValueError("not FITS (no image of two axes)")
    return data.astype(np.float32)


def packed(pixels: np.ndarray) -> bytes:
    """Pack (rows, columns) as the survey does: gzipped FITS of float32, with its own spelling of ``SIMPLE``."""
    rows, columns = pixels.shape
    cards = ("SIMPLE  =  T", f"BITPIX  = {-32:20d}", f"NAXIS   = {2:20d}", f"NAXIS1  = {columns:20d}")
    cards += (f"NAXIS2  = {rows:20d}", "BUNIT   = 'DN      '", "END")
    header = b"".join(card.encode().ljust(80) for card in cards).ljust(2880)
    data = pixels.astype(">f4").tobytes()
    return gzip.compress(header + data.ljust(-(-len(data) // 2880) * 2880, b"\0"), mtime=0)


def write(path: Path, packets: Iterable[dict]) -> None:
    """Write records of the alert schema to one Avro container, uncompressed as the survey's.

    Parameters
    ----------
    path : Path
    packets : iterable of dict
        ``objectId``, ``candid``, ``candidate`` (dictionary; fields that may be null may be left out) and the three
        `CUTOUTS`, bytes of `packed`.
    """
    with path.open("wb") as file:
        fastavro.writer(file, _SCHEMA, (_record(packet) for packet in packets), sync_marker=bytes(16))


def _record(packet: dict) -> dict:
    names = {"cutoutScience": "targ_sci", "cutoutTemplate": "ref", "cutoutDifference": "targ_scimref"}
    candid, pid = packet["candid"], packet["candidate"]["pid"]
    cutouts = {}
    for name, kind in names.items():
        middle = "" if kind == "ref" else f"_pid{pid}"
        cutouts[name] = {"fileName": f"candid{candid}{middle}_{kind}.fits.gz", "stampData": packet[name]}
    fixed = {"schemavsn": "3.3", "publisher": "simulated", "prv_candidates": None}
    return fixed | packet | cutouts


def _fields(table: str) -> list[dict]:
    """The fields of a record, from lines of a type and names; ``?`` marks a type that may be null."""
    lines = [line.split() for line in table.strip().splitlines()]
    return [
        {"name": name, "type": [kind[:-1], "null"] if kind.endswith("?") else kind}
        for kind, *names in lines
        for name in names
    ]


def _record_type(name: str, fields: list[dict]) -> dict:
    return {"type": "record", "name": name, "fields": fields}


# Version 3.3 of the public schema, field by field in its order.
_CANDIDATE = """
double jd
int fid
long pid
float? diffmaglim
string? pdiffimfilename programpi
int programid
long candid
string isdiffpos
long? tblid
int? nid rcid field
float? xpos ypos
double ra dec
float magpsf sigmapsf
float? chipsf magap sigmagap distnr magnr sigmagnr chinr sharpnr sky magdiff fwhm classtar mindtoedge magfromlim
float? seeratio aimage bimage aimagerat bimagerat elong
int? nneg nbad
float? rb ssdistnr ssmagnr
string? ssnamenr
float? sumrat magapbig sigmagapbig
double ranr decnr
float? sgmag1 srmag1 simag1 szmag1 sgscore1 distpsnr1
int ndethist ncovhist
double? jdstarthist jdendhist scorr
int? tooflag
long? objectidps1 objectidps2
float? sgmag2 srmag2 simag2 szmag2 sgscore2 distpsnr2
long? objectidps3
float? sgmag3 srmag3 simag3 szmag3 sgscore3 distpsnr3
int nmtchps
long rfid
double jdstartref jdendref
int nframesref
string rbversion
float? dsnrms ssnrms dsdiff magzpsci magzpsciunc magzpscirms
int nmatches
float? clrcoeff clrcounc zpclrcov zpmed clrmed clrrms neargaia neargaiabright maggaia maggaiabright exptime drb
string drbversion
"""
_PREVIOUS = """
double jd
int fid
long pid
float? diffmaglim
string? pdiffimfilename programpi
int programid
long? candid
string? isdiffpos
long? tblid
int? nid rcid field
float? xpos ypos
double? ra dec
float? magpsf sigmapsf chipsf magap sigmagap distnr magnr sigmagnr chinr sharpnr sky magdiff fwhm classtar
float? mindtoedge magfromlim seeratio aimage bimage aimagerat bimagerat elong
int? nneg nbad
float? rb ssdistnr ssmagnr
string? ssnamenr
float? sumrat magapbig sigmagapbig
double? ranr decnr scorr
float? magzpsci magzpsciunc magzpscirms clrcoeff clrcounc
string rbversion
"""

_CUTOUT = _record_type("ztf.alert.cutout", _fields("string fileName\nbytes stampData"))
_IMAGES = [{"name": name, "type": [_CUTOUT if name == CUTOUTS[0] else "ztf.alert.cutout", "null"]} for name in CUTOUTS]
_PREVIOUS_CANDIDATES = {"type": "array", "items": _record_type("ztf.alert.prv_candidate", _fields(_PREVIOUS))}
_SCHEMA = fastavro.parse_schema(
    _record_type(
        "ztf.alert",
        [
            *_fields("string schemavsn publisher objectId\nlong candid"),
            {"name": "candidate", "type": _record_type("ztf.alert.candidate", _fields(_CANDIDATE))},
            {"name": "prv_candidates", "type": [_PREVIOUS_CANDIDATES, "null"]},
            *_IMAGES,
        ],
    )
)
# What is read of a packet: the rest is skipped without being unpacked.
_NEEDED = fastavro.parse_schema(_record_type("ztf.alert", [*_fields("string objectId\nlong candid"), *_IMAGES]))
CANDIDATE_COLUMNS = [field["name"] for field in _fields(_CANDIDATE)]
