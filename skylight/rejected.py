"""Objects of a survey that cannot be used: how every chapter lists them and limits their number."""

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from skylight.errors import InputError
from skylight.outputs import text_cell


@dataclass(frozen=True)
class Rejected:
    """A light curve, packet, picture or candidate that cannot be used.

    Attributes
    ----------
    source : str
        Its place: the file, and the row or number in the file.
    id : str
        Its identifier in the survey; empty if it cannot be read.
    reason : str
        What is wrong with it.
    """

    source: str
    id: str
    reason: str


class RejectionLog:
    """Writes the rejected objects of a survey to a CSV table as they are found, and counts them.

    A file name that is not UTF-8 has ``\\udcff`` for its byte 0xff.

    Parameters
    ----------
    path : Path
        The table (``source,id,reason``). It is complete at the end of the ``with`` block.
    """

    def __init__(self, path: Path):
        self._path, self.count, self.first, self._checked = path, 0, None, 0

    def __enter__(self) -> "RejectionLog":
        self._file = self._path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(field.name for field in fields(Rejected))
        return self

    def add(self, rejected: Rejected) -> None:
        """Write one rejected object."""
        self.first = self.first or rejected
        self.count += 1
        self._table.writerow(map(text_cell, astuple(rejected)))

    def __exit__(self, *error) -> None:
        self._file.close()

    def check(self, total: int, max_rejected: float, parameter: str, objects: str = "objects") -> None:
        """Print how many objects were rejected; raise an error if they are too many.

        A survey can be checked part by part: each check counts the objects that were added after the one before.

        Parameters
        ----------
        total : int
            Number of all objects, good and rejected.
        max_rejected : float
            Largest allowed share of rejected objects.
        parameter : str
            Name of the parameter that sets ``max_rejected`` (``periodic.transform.max_rejected``).
        objects : str
            Name of the objects for the messages (``light curves``).

        Raises
        ------
        InputError
            A larger share was rejected, or no good object is left.
        """
        count, self._checked = self.count - self._checked, self.count
        rejected, self.first = self.first, None
        if not count and total:
            return
        what = f"{count} of {total} {objects} rejected"
        if count > max_rejected * total or count == total:
            first = f"; the first: {rejected.source}: {rejected.reason}" if rejected else ""
            raise InputError(f"{what}, {parameter} allows a share of {max_rejected:g}{first}")
        print(f"{what}; {self._path.name} lists them")
