"""A user's files at the edge of the libraries that read them: checked before they are opened, errors in one line."""

import contextlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from skylight.errors import InputError, reason

MOST_COUNTED = 999
"""Most axes and columns in the FITS standard."""
_COUNTS = re.compile(rb"(?i)\b(?:Z?NAXIS|TFIELDS) *= *\+?([0-9]{1,20})")
_TEXT_AS_SIZE = re.compile(rb"(?i)\b(?:Z?NAXIS[0-9]*|Z?BITPIX|ZTILE[0-9]+|Z?PCOUNT|Z?GCOUNT|TFIELDS) *= *'")


def check_file(path: Path, missing: str = "no such file", most: int | None = None) -> int:
    """Check a file before it is opened, see `fault`.

    Parameters
    ----------
    path : Path
        The file.
    missing : str
        What to say if there is none.
    most : int, optional
        Largest allowed size in bytes.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    InputError
        The path has a `fault`.
    """
    wrong = fault(path, missing, most)
    if wrong:
        raise InputError(f"{path}: {wrong}")
    return path.stat().st_size


def fault(path: Path, missing: str = "no such file", most: int | None = None) -> str:
    """Return why a path is no plain file of at most ``most`` bytes; empty if it is one.

    The opening of a pipe would wait for its other end, so this is asked before.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return missing
    except (OSError, ValueError) as error:  # links in a circle, a name too long; ValueError: no file can have this name
        return reason(error)
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is a pipe or device"
    if most is not None and status.st_size > most:
        return f"larger than {most >> 20} MiB"
    return ""


def check_fits_counts(data: bytes) -> None:
    """Check a FITS file before astropy opens it.

    It would look for the keys of all axes that a header claims, and repeat a text as often as another axis says.

    Raises
    ------
    ValueError
        It claims more than `MOST_COUNTED` axes or columns, or a size is a text.
    """
    if _TEXT_AS_SIZE.search(data):
        raise ValueError("a header with a text in place of a size")
    if any(int(count) > MOST_COUNTED for count in _COUNTS.findall(data)):
        raise ValueError(f"a header with more than {MOST_COUNTED} axes or columns")


@contextlib.contextmanager
def decoding(name: object, fault: str) -> Iterator[None]:
    """Turn any error of a decoder into an `InputError`: damaged files lead to errors of all types.

    The block should hold the call of the decoder and nothing else.

    Parameters
    ----------
    name : object
        The file, for the message.
    fault : str
        What the file then is ("not a readable image").
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name}: {fault} ({reason(error)})") from error
