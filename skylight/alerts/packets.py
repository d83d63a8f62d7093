"""Read and write alert packets of the Zwicky Transient Facility (Avro).

A packet (Patterson et al. 2019, PASP 131, 018001; <https://zwickytransientfacility.github.io/ztf-avro-alert>) is an
Avro container with one record per alert: a ``candidate`` block of measurements and three cutouts. Each cutout is a
gzipped FITS image of at most 63 x 63 pixels of 1 arcsec. The archive has one file per alert, but a file may hold many
alerts. A stream is any number of containers, one after the other (``tar -xzOf ztf_public_20200202.tar.gz``,
``cat *.avro``).

Fields are found by their names; the names of the records, which brokers change, do not matter. Nothing that a file
claims is believed before it is checked: see `skylight.alerts.avro`.
"""

import gzip
import io
import re
import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fastavro
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from skylight.alerts import avro
from skylight.child import Crashed, Run, here
from skylight.errors import InputError, reason
from skylight.files import check_fits_counts
from skylight.rejected import Rejected

SIDE = 63
"""Rows and columns of a complete cutout."""
LARGEST_PIXEL = 1e30
"""A finite pixel beyond it is no measurement: the survey's references have -3.4e38 where they do not cover the sky."""
CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
LABELS, TRUTH = "candidates.csv", "truth.csv"
"""Tables beside the packets: the labelled ``candidate`` blocks and, in a simulated survey, what each candidate is."""
STREAM = Path("-")
"""Stands for the standard input."""

_NEEDED = ("objectId", "candid", *CUTOUTS)
_ENDINGS = (".avro", ".avro.gz")  # of packets in a folder, in letters of either size
_GZIP, _FITS = b"\x1f\x8b", b"SIMPLE"
_LARGEST = 2**26  # bytes; far above any block of packets, while a corrupt length may be any number
_RATIO = 20  # a gzipped file unpacks to at most 64 MiB and 20 times its own size; packets hardly shrink
_AGAIN = 4  # a stream is searched again for containers at most 256 MiB and 4 times its own size
_WITH_GZIP_HEADER = 31  # to zlib
_IMAGE = 2**20  # bytes of a cutout's FITS file; a complete one has 20,160
_CHUNK = 2**16  # bytes that are searched at once
_PLACES, _APART = 100, 1000  # a stream may be damaged in 100 places, and once every 1,000 bytes
_OBJECT = re.compile(r"[A-Za-z0-9_.+-]{1,16}")


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


def alerts(paths: Iterable[Path], run: Run = here) -> Iterator[Alert | Rejected]:
    """Read the alerts of files, of all packets in folders and their subfolders, and of the standard input.

    In folders, packets are the files that end with ``.avro`` or ``.avro.gz``, in letters of either size. Only one block
    of alerts is in memory at a time. Where a container is damaged, one `Rejected` is yielded and reading continues with
    the next container. An alert whose cutout does not begin as a FITS image does is a `Rejected` too.

    Parameters
    ----------
    paths : iterable of Path
        Files, folders, or `STREAM` (``-``) for the standard input.
    run : callable
        Where the records are decoded: in this process, or in a `skylight.child.Child`.

    Raises
    ------
    InputError
        A path does not exist or cannot be opened, or a folder has no packets.
    """
    for path in paths:
        if path == STREAM:
            yield from containers(sys.stdin.buffer, "standard input", run)
        elif path.is_dir():
            found = False
            for file in _sorted_below(path):
                if file.name.lower().endswith(_ENDINGS) and file.is_file():
                    found = True
                    yield from _of_file(file, run)
            if not found:
                raise InputError(f"{path}: no .avro file in this folder")
        elif path.is_file():
            yield from _of_file(path, run)
        else:
            raise InputError(f"{path}: no such file or folder")


def _of_file(path: Path, run: Run) -> Iterator[Alert | Rejected]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    with stream:
        yield from containers(stream, str(path), run)


def _sorted_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():  # a link may lead back to a folder above
            yield from _sorted_below(path)
        else:
            yield path


def containers(stream: BinaryIO, source: str, run: Run = here) -> Iterator[Alert | Rejected]:
    """Read the alerts of any number of Avro containers, one after the other in a binary stream.

    Parameters
    ----------
    stream : binary file
        Read to its end; it need not be seekable. A gzipped one is unpacked.
    source : str
        Name of the stream in messages.
    run : callable
        Where the records are decoded, see `alerts`.
    """
    reader, number, container, empty = _Reader(stream), 0, None, True
    while head := reader.peek():
        empty = False
        try:
            if head == avro.MAGIC:  # the start of a container; no block starts so, its number of records is negative
                container = avro.Container(reader.read, _NEEDED)
                continue
            if container is None:
                raise ValueError("no container begins here")
            for record in run(avro.records, *container.block()):
                number += 1
                yield _alert(record, f"{source} #{number}" if number > 1 else source)
        except ValueError as error:
            number += 1
            yield Rejected(f"{source} #{number}" if number > 1 else source, "", _reason(error))
            container = None
            reader.skip_to_magic()
    if reader.fault:
        yield Rejected(source, "", f"cannot be read to its end ({reader.fault})")
    elif empty:
        yield Rejected(source, "", "empty")


def _reason(error: ValueError) -> str:
    if isinstance(error, avro.MissingFields):
        if "diaSource" in error.present:
            return "a packet of Rubin: only packets of ZTF are supported"
        return f"not the schema of a ZTF alert ({error})"
    if isinstance(error, Crashed):
        return str(error)
    return f"corrupt, or not Avro ({str(error).splitlines()[0]})"


def _alert(record: dict, source: str) -> Alert | Rejected:
    candid, objectid = record["candid"], record["objectId"]
    if type(candid) is not int:
        return Rejected(source, "", "candid is not a whole number")
    if not isinstance(objectid, str) or not _OBJECT.fullmatch(objectid):
        return Rejected(source, str(candid), f"objectId is no name of up to 16 letters and digits: {objectid!r:.40}")
    cutouts = []
    for name in CUTOUTS:
        cutout = record[name]
        cutout = cutout.get("stampData") if isinstance(cutout, dict) else cutout
        if fault := None if cutout is None else _fault(cutout):
            return Rejected(source, str(candid), f"{name}: {fault}")
        cutouts.append(cutout)
    return Alert(source, candid, objectid, tuple(cutouts))


class _Reader:
    """A binary stream that can look four bytes ahead and can search for the next container.

    It remembers all bytes since it last looked ahead, which is at most the header or one block of a container. It
    refuses to read more than `_LARGEST` bytes at once, so that a corrupt length cannot fill the memory.

    Attributes
    ----------
    fault : str
        Why the stream could not be read to its end; empty if it could.
    """

    def __init__(self, stream: BinaryIO):
        self._stream, self._packed = stream, None
        self._buffer, self._at, self._peeked = bytearray(), 0, 0  # bytes at hand, and places in them
        self._taken = self._again = self._places = 0
        self.fault = ""
        if (start := self._more(len(_GZIP))) == _GZIP:
            self._taken, self._packed = 0, _Counted(start, stream)
            self._stream = io.BufferedReader(gzip.GzipFile(fileobj=self._packed))
        else:
            self._buffer += start

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end of the stream."""
        if not 0 <= size <= _LARGEST:
            raise ValueError(f"a field of {size} bytes")
        self._hold(size)
        self._at, start = min(self._at + size, len(self._buffer)), self._at
        return bytes(memoryview(self._buffer)[start : self._at])

    def _hold(self, size: int) -> None:
        """Make sure that the next bytes are at hand, as far as there are any."""
        if (missing := self._at + size - len(self._buffer)) > 0:
            self._buffer += self._more(missing)

    def _more(self, size: int) -> bytes:
        """Take bytes from the stream; where it cannot be read, it ends and has a `fault`."""
        if self.fault:
            return b""
        try:
            taken = self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            self.fault = reason(error)
            return b""
        self._taken += len(taken)
        if self._packed and self._taken > _LARGEST + _RATIO * self._packed.count:
            self.fault = f"it unpacks to more than {_RATIO} times its size"
            return b""
        return taken

    def peek(self) -> bytes:
        """Look four bytes ahead, and forget what was read before."""
        if self._at == len(self._buffer) or self._at > _CHUNK:
            del self._buffer[: self._at]
            self._at = 0
        self._peeked = self._at
        self._hold(len(avro.MAGIC))
        return bytes(self._buffer[self._at : self._at + len(avro.MAGIC)])

    def skip_to_magic(self) -> None:
        """Move to the next place after the last `peek` where a container may begin, or to the end.

        A container in the bytes of a damaged one is found too. A stream made to be damaged everywhere would take for
        ever: after `_AGAIN` times its size, only what follows the damage is searched, and a stream of nothing but
        damage is given up.
        """
        self._places += 1
        if self._places > _PLACES + self._taken // _APART:
            self.fault = f"it is damaged in more than {self._places - 1} places"
            self._at = len(self._buffer)
            return
        self._again += self._at - self._peeked
        if self._again < 4 * _LARGEST + _AGAIN * self._taken:
            self._at = min(self._peeked + 1, len(self._buffer))
        while (found := self._buffer.find(avro.MAGIC, self._at)) < 0:
            chunk = self._more(_CHUNK)
            if not chunk:
                self._at = len(self._buffer)
                return
            del self._buffer[: max(self._at, len(self._buffer) + 1 - len(avro.MAGIC))]
            self._at = 0
            self._buffer += chunk
        self._at = found


class _Counted:
    """A stream for ``GzipFile``, whose first bytes were taken before; it counts what was read."""

    def __init__(self, start: bytes, stream: BinaryIO):
        self._start, self._stream, self.count = start, stream, 0

    def read(self, size: int) -> bytes:
        taken, self._start = self._start or self._stream.read(size), b""
        self.count += len(taken)
        return taken


def _fault(cutout: bytes) -> str:
    """Return what is wrong with the first bytes of a cutout; empty if nothing is."""
    if not isinstance(cutout, bytes):
        return "not bytes"
    try:
        start = zlib.decompressobj(_WITH_GZIP_HEADER).decompress(cutout, len(_FITS))
    except zlib.error as error:
        return f"not gzip ({error})"
    if start.startswith(_GZIP):
        return "not FITS (gzipped twice)"
    return "" if start == _FITS or len(start) < len(_FITS) else "not FITS (it does not begin with SIMPLE)"


def image(cutout: bytes) -> np.ndarray:
    """Unpack a gzipped FITS cutout.

    Returns
    -------
    (rows, columns) float32
        NaN where the survey masked a pixel, or gave -3.4e38 for one that the reference does not cover.

    Raises
    ------
    ValueError
        The cutout is not a gzipped FITS image, or unpacks to more than 1 MiB; the message is the reason.
    """
    raw = _unzipped(cutout)
    if not raw.startswith(_FITS):
        raise ValueError(f"not FITS ({'gzipped twice' if raw.startswith(_GZIP) else 'it does not begin with SIMPLE'})")
    with warnings.catch_warnings():
        # The survey's SIMPLE card differs from the standard. A truncated image is an error below.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            check_fits_counts(raw)
            with fits.open(io.BytesIO(raw), memmap=False) as hdus:
                # astropy returns an object of another class where the header is corrupt
                data = hdus[0].data if isinstance(hdus[0], fits.PrimaryHDU) else None
                if data is not None and data.ndim == 2 and data.size and data.dtype.kind in "fiu":
                    with np.errstate(over="ignore"):  # infinite where it does not fit; no triplet is made of that
                        return _masked(data.astype(np.float32))
        except Exception as error:  # a corrupt header leads to errors of any type
            raise ValueError(f"not FITS ({reason(error)})") from error
    raise ValueError("not FITS (no image of two axes)")


def _masked(pixels: np.ndarray) -> np.ndarray:
    huge = np.abs(pixels) > LARGEST_PIXEL
    if huge.any():
        pixels[huge & np.isfinite(pixels)] = np.nan
    return pixels


def _unzipped(cutout: bytes) -> bytes:
    """Unpack gzip, at most `_IMAGE` bytes."""
    raw = b""
    while cutout:
        unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
        try:
            raw += unpacker.decompress(cutout, _IMAGE + 1 - len(raw))
        except zlib.error as error:
            raise ValueError(f"not gzip ({error})") from error
        if len(raw) > _IMAGE:
            raise ValueError(f"unpacks to more than {_IMAGE} bytes")
        if not unpacker.eof:
            raise ValueError("not gzip (cut short)")
        cutout = unpacker.unused_data.lstrip(b"\0")  # gzip may be padded, and may follow on gzip
    return raw


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
CANDIDATE_COLUMNS = [field["name"] for field in _fields(_CANDIDATE)]
