"""Objects of a survey that cannot be used: one record, one report, one limit for every chapter."""

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from skylight.errors import InputError


@dataclass(frozen=True)
class Rejected:
    """A light curve, packet, picture or candidate that cannot be used.

    Attributes
    ----------
    source : str
        Where it stands: the file, and the row or number in it.
    id : str
        Its identifier in the survey; empty where not even that can be read.
    reason : str
        What is wrong with it.
    """

    source: str
    id: str
    reason: str


class RejectionLog:
    """Writes the rejected objects of a survey to a CSV table as they are found, and counts them.

    Parameters
    ----------
    path : Path
        The table (``source,id,reason``), complete when the ``with`` block ends.
    """

    def __init__(self, path: Path):
        self._path, self.count, self.first = path, 0, None

    def __enter__(self) -> "RejectionLog":
        self._file = self._path.open("w", newline="", encoding="utf-8")
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(field.name for field in fields(Rejected))
        return self

    def add(self, rejected: Rejected) -> None:
        """Write one rejected object."""
        self.first = self.first or rejected
        self.count += 1
        self._table.writerow(astuple(rejected))

    def __exit__(self, *error) -> None:
        self._file.close()

    def check(self, total: int, max_rejected: float, parameter: str, objects: str = "objects") -> None:
        """Print how many objects were rejected, and refuse a survey of which too many were.

        Parameters
        ----------
        total : int
            Number of objects, good or bad.
        max_rejected : float
            Largest share of them that may be rejected.
        parameter : str
            The parameter that says so (``periodic.transform.max_rejected``).
        objects : str
            What the objects are called (``light curves``).

        Raises
        ------
        InputError
            More than that share was rejected, or no object is left.
        """
        if self.first is None and total:
            return
        what = f"{self.count} of {total} {objects} rejected"
        if self.count > max_rejected * total or self.count == total:
            first = f"; the first: {self.first.source}: {self.first.reason}" if self.first else ""
            raise InputError(f"{what}, {parameter} allows a share of {max_rejected:g}{first}")
        print(f"{what}; {self._path.name} lists them")
