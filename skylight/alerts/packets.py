"""Read and write alert packets of the Zwicky Transient Facility (Avro).

A packet (Patterson et al. 2019, PASP 131, 018001; <https://zwickytransientfacility.github.io/ztf-avro-alert>) is an
Avro container with one record per alert: a ``candidate`` block of measurements and three cutouts. Each cutout is a
gzipped FITS image of at most 63 x 63 pixels of 1 arcsec. The archive has one file per alert, but a file may hold many
alerts. A stream is any number of containers, one after the other (``tar -xzOf ztf_public_20200202.tar.gz``,
``cat *.avro``).
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
from skylight.rejected import Rejected

SIDE = 63
"""Rows and columns of a complete cutout."""
CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
LABELS, TRUTH = "candidates.csv", "truth.csv"
"""Tables beside the packets: the labelled ``candidate`` blocks and, in a simulated survey, what each candidate is."""
STREAM = Path("-")
"""Stands for the standard input."""

_MAGIC = b"Obj\x01"
_LARGEST = 2**26  # bytes; far above any field of a packet, while a corrupt length may be any number
_DAMAGE = (ValueError, EOFError, IndexError, KeyError, OverflowError, TypeError, UnicodeDecodeError, OSError)


@dataclass(frozen=True)
class Alert:
    """The part of an alert that a real-bogus network needs.

    Attributes
    ----------
    source : str
        The file, and the number of the alert in it, for messages.
    candid : int
        Identifier of the detection.
    objectid : str
        Identifier of the object (``ZTF18abcdefg``); an object may have many alerts.
    cutouts : tuple of bytes or None
        Gzipped FITS of the science, reference and difference image; ``None`` where the alert has no such image.
    """

    source: str
    candid: int
    objectid: str
    cutouts: tuple[bytes | None, ...]


def alerts(paths: Iterable[Path]) -> Iterator[Alert | Rejected]:
    """Read the alerts of files, of all ``.avro`` files in folders and their subfolders, and of the standard input.

    Only one alert is in memory at a time. Where a container is damaged, one `Rejected` is yielded and reading
    continues with the next container.

    Parameters
    ----------
    paths : iterable of Path
        Files, folders, or `STREAM` (``-``) for the standard input.

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
    """Read the alerts of any number of Avro containers, one after the other in a binary stream.

    Parameters
    ----------
    stream : binary file
        Read to its end; it need not be seekable.
    source : str
        Name of the stream in messages.
    """
    reader, number, blocks = _Reader(stream), 0, None
    if not reader.peek():
        yield Rejected(source, "", "empty")
    while head := reader.peek():
        try:
            if head == _MAGIC:  # the start of a container; no block starts so, its number of records would be negative
                blocks = fastavro.block_reader(reader, reader_schema=_NEEDED)
            elif blocks is None:
                raise ValueError("no container begins here")
            for record in next(blocks, ()):
                number += 1
                yield _alert(record, f"{source} #{number}" if number > 1 else source)
        except (SchemaResolutionError, *_DAMAGE) as error:
            number += 1
            yield Rejected(f"{source} #{number}" if number > 1 else source, "", _reason(error))
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
    """A binary stream for fastavro that can look four bytes ahead and can search for the next container.

    It remembers all bytes since it last looked ahead, which is at most one block of a container. It refuses to read
    more than `_LARGEST` bytes at once, so that a corrupt length cannot fill the memory.
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
        """Move to the next place after the last `peek` where a container may begin, or to the end."""
        self._ahead = bytes(self._since_peek[1:]) + self._ahead
        while (found := self._ahead.find(_MAGIC)) < 0:
            chunk = self._stream.read(2**16)
            if not chunk:
                self._ahead = b""
                return
            self._ahead = self._ahead[1 - len(_MAGIC) :] + chunk
        self._ahead = self._ahead[found:]


def image(cutout: bytes) -> np.ndarray:
    """Unpack a gzipped FITS cutout.

    Returns
    -------
    (rows, columns) float32
        NaN where the survey masked a pixel.

    Raises
    ------
    ValueError
        The cutout is not a gzipped FITS image; the message is the reason.
    """
    try:
        raw = gzip.decompress(cutout)
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise ValueError(f"not gzip ({error})") from None
    with warnings.catch_warnings():
        # The survey's SIMPLE card differs from the standard. A truncated image is an error below.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(io.BytesIO(raw), memmap=False) as hdus:
                data = hdus[0].data
        except Exception as error:  # a corrupt header leads to errors of any type
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"not FITS ({reason})") from None
    if data is None or data.ndim != 2 or not data.size:
        raise ValueError("not FITS (no image of two axes)")
    return data.astype(np.float32)


def packed(pixels: np.ndarray) -> bytes:
    """Pack an image (rows, columns) as the survey does: gzipped FITS of float32, ``SIMPLE`` card as in real packets."""
    rows, columns = pixels.shape
    cards = ("SIMPLE  =  T", f"BITPIX  = {-32:20d}", f"NAXIS   = {2:20d}", f"NAXIS1  = {columns:20d}")
    cards += (f"NAXIS2  = {rows:20d}", "BUNIT   = 'DN      '", "END")
    header = b"".join(card.encode().ljust(80) for card in cards).ljust(2880)
    data = pixels.astype(">f4").tobytes()
    return gzip.compress(header + data.ljust(-(-len(data) // 2880) * 2880, b"\0"), mtime=0)


def write(path: Path, packets: Iterable[dict]) -> None:
    """Write alerts to one Avro container, uncompressed as the survey's own.

    Parameters
    ----------
    path : Path
    packets : iterable of dict
        One dictionary per alert: ``objectId``, ``candid``, ``candidate`` (dictionary; fields that may be null can be
        omitted) and the three `CUTOUTS`, bytes made by `packed`.
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
    """Return the fields of a record. A line of the table is a type and names; ``?`` marks a type that may be null."""
    lines = [line.split() for line in table.strip().splitlines()]
    return [
        {"name": name, "type": [kind[:-1], "null"] if kind.endswith("?") else kind}
        for kind, *names in lines
        for name in names
    ]


def _record_type(name: str, fields: list[dict]) -> dict:
    return {"type": "record", "name": name, "fields": fields}


# Version 3.3 of the public schema, in the order of its fields.
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
# Only these fields are read; fastavro skips the others without unpacking them.
_NEEDED = fastavro.parse_schema(_record_type("ztf.alert", [*_fields("string objectId\nlong candid"), *_IMAGES]))
CANDIDATE_COLUMNS = [field["name"] for field in _fields(_CANDIDATE)]
