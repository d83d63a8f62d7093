"""Reading a user's files of arrays: plain numbers or text, and never more than the bytes at hand."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from skylight.errors import InputError, reason

_HEADER = 10_000  # characters of the header of a .npy file
_AXES = 32  # of an array
_UNPACKED, _RATIO = 2**26, 20  # all members of a .npz unpack to at most 64 MiB and 20 times the size of the file


def read_npz(path: str | Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read all arrays of a ``.npz`` file, by their names.

    Raises
    ------
    InputError
        The file is missing, truncated, of another format or contains Python objects; an array claims to be larger than
        it is; the arrays unpack to more than 64 MiB and 20 times the size of the file; or an array of ``needed`` is
        missing.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as file:
            members = [member for member in file.infolist() if member.filename.endswith(".npy")]
            total, most = sum(member.file_size for member in members), _UNPACKED + _RATIO * Path(path).stat().st_size
            if total > most:
                raise ValueError(f"it unpacks to {total} bytes, more than {most}")
            arrays = {member.filename.removesuffix(".npy"): array(bytearray(file.read(member))) for member in members}
    except Exception as error:  # a broken or hostile archive leads to errors of any type
        raise InputError(f"{path}: not a whole .npz file of arrays ({reason(error)})") from error
    check_names(path, arrays, needed)
    return arrays


def read_npy(path: str | Path) -> np.ndarray:
    """Read a ``.npy`` file.

    Raises
    ------
    InputError
        The file is missing, is no such file, contains Python objects, or claims to be larger than it is.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        return array(bytearray(Path(path).read_bytes()))
    except Exception as error:  # a broken header leads to errors of any type
        raise InputError(f"{path}: is not a NumPy array file ({reason(error)})") from error


def array(content: bytearray) -> np.ndarray:
    """Return the array in the bytes of a ``.npy`` file, without a copy.

    Raises
    ------
    Exception
        Of any type, from NumPy, if the bytes are not those of such a file; `ValueError` for types or sizes that
        `checked` refuses.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream, max_header_size=_HEADER)
    return checked(memoryview(content)[stream.tell() :], dtype, shape, fortran)


def checked(content, dtype: np.dtype, shape: tuple[int, ...], fortran: bool = False) -> np.ndarray:
    """Return bytes as an array, without a copy.

    Parameters
    ----------
    content : bytes-like
        The values; what follows them is ignored.
    dtype : numpy.dtype
        Numbers, booleans or text.
    shape : tuple of int
    fortran : bool
        Whether the first index varies fastest.

    Raises
    ------
    ValueError
        The type is another, or the bytes are too few.
    """
    if dtype.kind not in "biufcSU" or dtype.subdtype or not dtype.itemsize:
        raise ValueError(f"an array of {str(dtype)[:40]}: only plain numbers and text are read")
    if len(shape) > _AXES or not all(0 <= length < 2**48 for length in shape):
        raise ValueError("an array of impossible shape")
    count = math.prod(shape)
    if count * dtype.itemsize > len(content):
        raise ValueError(f"an array of shape {str(shape)[:40]} in {len(content)} bytes")
    return np.frombuffer(content, dtype, count).reshape(shape, order="F" if fortran else "C")


def check_names(path: str | Path, arrays: dict[str, np.ndarray], needed: tuple[str, ...]) -> None:
    """Check that all of ``needed`` are among the arrays; `InputError` otherwise."""
    for name in needed:
        if name not in arrays:
            raise InputError(f"{path}: no array {name} (needs {', '.join(needed)})")
