"""A user's files at the edge of the libraries that read them: checked before they are opened, errors in one line."""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from skylight.errors import InputError


def check_file(path: Path, missing: str = "no such file") -> int:
    """Check, before it is opened, that a path is a plain file: the opening of a pipe would wait for its other end.

    Parameters
    ----------
    path : Path
        The file.
    missing : str
        What to say if there is none.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    InputError
        There is no file, or a folder, pipe or device in its place.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: {missing}") from None
    except (OSError, ValueError) as error:  # links in a circle, a name too long; ValueError: no file can have this name
        raise InputError(f"{path}: {reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is a pipe or device")
    return status.st_size


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


def reason(error: Exception) -> str:
    """Return what an error says in one line of at most 200 printable characters; its type if it says nothing."""
    text = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0]
    return "".join(c if c.isprintable() else "?" for c in text)[:200] or type(error).__name__
