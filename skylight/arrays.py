"""Reading a user's files of arrays."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from skylight.errors import InputError


def read_npz(path: str | Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read all arrays of a ``.npz`` file, by their names.

    Raises
    ------
    InputError
        The file is missing, truncated, of another format or contains Python objects, or an array of ``needed`` is
        missing.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as file:
            names = [name.removesuffix(".npy") for name in file.namelist()]
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a whole .npz file of arrays ({reason})") from None
    check_names(path, arrays, needed)
    return arrays


def check_names(path: str | Path, arrays: dict[str, np.ndarray], needed: tuple[str, ...]) -> None:
    """Check that all of ``needed`` are among the arrays; `InputError` otherwise."""
    for name in needed:
        if name not in arrays:
            raise InputError(f"{path}: no array {name} (needs {', '.join(needed)})")
