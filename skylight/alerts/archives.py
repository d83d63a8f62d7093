"""Read alert packets out of tar archives, plain or gzipped, such as a night of the public archive of ZTF."""

import gzip
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from skylight.alerts.packets import Alert, alerts, containers
from skylight.child import Run, here
from skylight.errors import reason
from skylight.files import fault
from skylight.rejected import Rejected

ENDINGS = (".avro", ".avro.gz")
"""How the names of packets end, in letters of either size; other members of an archive are left out."""

_GZIP, _MAGIC, _MAGIC_AT = b"\x1f\x8b", b"ustar", 257
_LARGEST, _RATIO = 2**26, 20  # an archive unpacks to at most 64 MiB and 20 times its own size; packets hardly shrink


def read_alerts(paths: Iterable[Path], run: Run = here) -> Iterator[Alert | Rejected]:
    """Read the alerts of tar archives and of all that `skylight.alerts.packets.alerts` reads, with the same errors.

    An archive is known by its content. Those inside of a folder are left out.
    """
    for path in paths:
        yield from archived_alerts(path, run) if is_archive(path) else alerts([path], run)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, perhaps gzipped, by its content."""
    if fault(path):
        return False
    try:
        with path.open("rb") as stream:
            start = _Unpacked(stream).read(_MAGIC_AT + len(_MAGIC))
    except (OSError, EOFError, zlib.error):
        return False
    return start.endswith(_MAGIC)


def archived_alerts(path: Path, run: Run = here) -> Iterator[Alert | Rejected]:
    """Read the packets of a tar archive, member by member. Nothing is unpacked to the disk, and links are left out.

    Parameters
    ----------
    path : Path
        The archive.
    run : callable
        Where the records are decoded, see `skylight.alerts.packets.alerts`.
    """
    found = False
    try:
        with (
            path.open("rb") as stream,
            tarfile.open(fileobj=_Unpacked(stream), mode="r|", errors="surrogateescape") as archive,
        ):
            for member in archive:
                if member.isfile() and member.name.lower().endswith(ENDINGS):
                    found = True
                    yield from containers(archive.extractfile(member), f"{path}/{member.name}", run)
                archive.members = []  # tarfile would keep them all
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        yield Rejected(str(path), "", f"cannot be read to its end ({reason(error)})")
        return
    if not found:
        yield Rejected(str(path), "", "no .avro file in this archive")


class _Unpacked:
    """The content of a stream, unpacked if it is gzipped, no further than the limit."""

    def __init__(self, stream: BinaryIO):
        packed = stream.read(len(_GZIP)) == _GZIP
        stream.seek(0)
        self._stream, self._content, self._taken = stream, gzip.GzipFile(fileobj=stream) if packed else stream, 0

    def read(self, size: int) -> bytes:
        taken = self._content.read(size)
        self._taken += len(taken)
        if self._taken > _LARGEST + _RATIO * self._stream.tell():
            raise ValueError(f"it unpacks to more than {_RATIO} times its size")
        return taken
