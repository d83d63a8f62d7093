"""Many objects in one request: the files of an upload, and the table and the maps that are streamed back."""

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator

from apps.files import cell
from apps.service import answers, drawing
from apps.service.explaining import Answer
from apps.service.models import Network
from skylight.errors import InputError, printable, reason
from skylight.outputs import OutputNames

MOST_FILES = 1000
MOST_UNPACKED = 2**28  # bytes of all files of an archive
AT_ONCE = 64  # objects of a file that are decoded together
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of all members of an archive, so that the same request gives the same bytes


def unpacked(name: str, data: bytes, most: int) -> Iterator[tuple[str, bytes | InputError]]:
    """Yield the files of a zip, or the file itself: a chunk of arrays (``.npz``), which is a zip too, stays whole.

    Parameters
    ----------
    name : str
    data : bytes
    most : int
        Largest size of a file, bytes.

    Yields
    ------
    name : str
    bytes or InputError
        Why a file of the archive cannot be used.
    """
    if not data.startswith(b"PK\x03\x04"):
        yield name, data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if members and all(member.filename.endswith(".npy") for member in members):
                yield name, data
                return
            if len(members) > MOST_FILES:
                raise InputError(f"archive of more than {MOST_FILES} files")
            left = MOST_UNPACKED
            for member in members:
                content = _member(archive, member, min(most, left))
                left -= len(content) if isinstance(content, bytes) else 0
                yield f"{name}/{member.filename}", content
    except zipfile.BadZipFile as error:
        yield name, InputError(f"not a whole archive ({reason(error)})")
    except InputError as error:
        yield name, error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes | InputError:
    """Return a file of an archive, read no further than it may be long."""
    try:
        with archive.open(member) as file:
            content = file.read(most + 1)
    except Exception as error:  # damaged, encrypted or of an unknown compression: errors of any type
        return InputError(f"cannot be unpacked ({reason(error)})")
    return content if len(content) <= most else InputError(f"unpacks to more than {most} bytes")


class Table:
    """The lines of the CSV table: for each object its file and number, the outputs, and why there are none."""

    def __init__(self, network: Network, explained: bool):
        self._outputs, self._explained = network.classes, explained

    def header(self) -> str:
        """Return the first line."""
        return self._line("predicted", self._outputs, ("completeness_gap", "map"), "error", "file", "item")

    def row(self, file: str, item: int | None, outcome: Answer | Exception, name: str = "") -> str:
        """Return the line of one object: its answer, or why it has none."""
        file = printable(file)
        if isinstance(outcome, Exception):
            why = getattr(outcome, "detail", None) or reason(outcome)
            return self._line(None, [None] * len(self._outputs), (None, None), why, file, item)
        said = answers.prediction(outcome)
        outputs = [said.value] if said.probabilities is None else said.probabilities.values()
        return self._line(said.predicted, outputs, (outcome.gap, name), None, file, item)

    def _line(self, predicted, outputs: Iterable, explained: tuple, error, file: str, item) -> str:
        cells = [file, item, predicted, *outputs, *(explained if self._explained else ()), error]
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(["" if each is None else cell(each) for each in cells])
        return line.getvalue()


class Archive:
    """A zip that is sent while it is made: the maps of each object, and at the end the table."""

    def __init__(self, table: Table):
        self._sent = _Sink()
        self._zip, self._names = zipfile.ZipFile(self._sent, "w", zipfile.ZIP_DEFLATED), OutputNames()
        self._table, self._lines = table, [table.header()]

    def row(self, file: str, item: int | None, outcome: Answer | Exception, style: drawing.Style) -> bytes:
        """Return the bytes of the maps of one object."""
        name = ""
        if isinstance(outcome, Answer):
            name = self._names.new(f"{file}_{item}" if outcome.sample.items > 1 else file)
            self._write(f"maps/{name}.png", drawing.png(drawing.overlay(outcome.sample, outcome.maps, style)))
            self._write(f"maps/{name}.npy", drawing.npy(outcome.maps))
        self._lines.append(self._table.row(file, item, outcome, name))
        return self._sent.take()

    def end(self) -> bytes:
        """Return the bytes of the table, and of the list of the archive's files."""
        self._write("results.csv", "".join(self._lines).encode())
        self._zip.close()
        return self._sent.take()

    def _write(self, name: str, content: bytes) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)


class _Sink:
    """A file that one can only write to; `take` returns what was written since the last call."""

    def __init__(self):
        self._parts = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush: `take` is asked for what was written."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


async def lines(table: Table, outcomes: AsyncIterator[tuple]) -> AsyncIterator[bytes]:
    """Yield the table, a line for each object; the first line together with that of the first object."""
    before = table.header()
    async for outcome in outcomes:
        yield (before + table.row(*outcome)).encode()
        before = ""
    yield before.encode()


async def archived(table: Table, outcomes: AsyncIterator[tuple], style: drawing.Style) -> AsyncIterator[bytes]:
    """Yield an archive, the maps of each object as they are made."""
    archive = Archive(table)
    async for outcome in outcomes:
        yield archive.row(*outcome, style)
    yield archive.end()
