"""Read a pickle of arrays without running it.

A pickle is a program: it names functions and calls them, and NumPy's own functions kill the process if their arguments
are wrong. Here a name stands for a record of what was said about an array. Arrays are made at the end, after their
types and sizes are compared with the bytes at hand.
"""

import io
import pickle
import re
from pathlib import Path

import numpy as np

from skylight.arrays import checked
from skylight.errors import InputError, reason

_STEPS = 300_000  # of a pickle; a chunk has a few hundred
_NAME = 100  # letters of a name
_ARGUMENTS = 5  # of a function of NumPy
_TYPE = re.compile(r"[biufcSU][0-9]{1,6}")
_HARMLESS = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "GLOBAL", "STACK_GLOBAL"),
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT"),
    *("GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
)
_CORES = ("numpy.core", "numpy._core")


class _Said:
    """What a pickle says about an object: the arguments of its maker, and its state."""

    def __init__(self, *arguments):
        self.arguments, self.state = arguments, None


class _Type(_Said):
    def made(self) -> np.dtype:
        """Return the type, if it is one of plain numbers or text."""
        name = _text(self.arguments[0])
        if not isinstance(name, str) or not _TYPE.fullmatch(name):
            raise ValueError("an array of another type than plain numbers and text")
        order = _text(self.state[1]) if self.state else "="
        if not isinstance(order, str) or order not in ("<", ">", "=", "|"):
            raise ValueError("an array of an unknown byte order")
        return np.dtype(name).newbyteorder(order)


class _Array(_Said):
    def made(self) -> np.ndarray:
        """Return the array."""
        _, shape, dtype, fortran, content = self.state
        return _made(content, dtype, shape, bool(fortran))


class _FromBuffer(_Said):
    def made(self) -> np.ndarray:
        """Return the array."""
        content, dtype, shape, order = self.arguments
        return _made(content, dtype, shape, _text(order) == "F")


class _Encoded(_Said):
    def made(self) -> bytes:
        """Return the bytes that were written as text (protocols 0 to 2 of Python 3)."""
        text, encoding = self.arguments
        if not isinstance(text, str) or _text(encoding) not in ("latin1", "latin-1"):
            raise ValueError("bytes in another encoding than latin1")
        return text.encode("latin1")


class _NoBytes(_Said):
    def made(self) -> bytes:
        """Return the bytes of an empty array."""
        return b""


_ADMITTED = {
    ("_codecs", "encode"): _Encoded,
    ("__builtin__", "bytes"): _NoBytes,
    ("builtins", "bytes"): _NoBytes,
    ("numpy", "ndarray"): _Said,
    ("numpy", "dtype"): _Type,
    **{(f"{core}.multiarray", "_reconstruct"): _Array for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _Said for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _FromBuffer for core in _CORES},
}


def read_pickle(path: Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the arrays of ``needed`` from a pickle of a dictionary of arrays, and those of them that it has if not all.

    Raises
    ------
    InputError
        The file is missing or truncated, names or does anything that an array does not need, or is of other content.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        # Python 2 wrote them: names are bytes. The content is read at once, so that no claim can ask for more.
        content = _Machine(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a broken pickle can raise any exception
        raise InputError(f"{path}: not a whole pickle ({reason(error)})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a dictionary of arrays, got {type(content).__name__.lstrip('_')}")
    arrays = {}
    for name, value in content.items():
        if not isinstance(value, _Array | _FromBuffer):
            raise InputError(f"{path}: {name} must be an array, got {type(value).__name__.lstrip('_')}")
        if name in needed:
            try:
                arrays[name] = value.made()
            except Exception as error:  # what a pickle says about an array may be anything
                raise InputError(f"{path}: {name} is not an array ({reason(error)})") from error
    return arrays


def _made(content, dtype, shape, fortran: bool) -> np.ndarray:
    content = content.made() if isinstance(content, _Encoded | _NoBytes) else content
    if not isinstance(dtype, _Type) or not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
        raise ValueError("an array of Python objects, or no array")
    if not all(type(length) is int for length in shape):
        raise ValueError("an array without a shape")
    return checked(content, dtype.made(), shape, fortran)


def _text(value):
    return value.decode("latin1") if isinstance(value, bytes) else value


class _Machine(pickle._Unpickler):
    """Runs the pickle, with all that could harm taken out.

    The version of the standard library in Python is used, not that in C: its memory is a dictionary, so a pickle cannot
    claim a place number 2^31 in a list, and its steps can be replaced one by one.
    """

    def __init__(self, file: io.BytesIO, encoding: str):
        super().__init__(file, encoding=encoding)
        self._steps = 0

    def find_class(self, module: str, name: str):
        if (module, name) not in _ADMITTED:
            full = f"{module}.{name}"
            raise InputError(f"refused: the pickle names {full[:80]}, only NumPy arrays are admitted")
        return _ADMITTED[module, name]

    def _build(self) -> None:
        """Note a state, where Python would write it into the object."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Said):
            raise ValueError("a state of no array")
        self.stack[-1].state = state

    def _set_items(self) -> None:
        items = self.pop_mark()
        self._set(items[::2], items[1::2])

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key], [value])

    def _dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set(items[::2], items[1::2])

    def _set(self, keys: list, values: list) -> None:
        """Set items of the dictionary on the stack. The hash of a nested tuple could take for ever."""
        keys = [key.arguments[0] if isinstance(key, _Encoded) else key for key in keys]
        if not isinstance(self.stack[-1], dict) or not all(isinstance(k, str | bytes) and len(k) < _NAME for k in keys):
            raise ValueError("a dictionary whose keys are not names")
        self.stack[-1].update(zip(map(_text, keys), values, strict=True))

    def _reduce(self) -> None:
        """Call a function: here, note its arguments. Bytes as arguments would become a number each."""
        arguments = self.stack.pop()
        if not isinstance(arguments, tuple) or len(arguments) > _ARGUMENTS:
            raise ValueError("a function with other arguments than those of an array")
        self.stack[-1] = self.stack[-1](*arguments)

    def _bytes(self) -> None:
        """Read an array of bytes, where Python would first ask for the memory that it claims to need."""
        size = int.from_bytes(self.read(8), "little")
        content = self.read(size)
        if len(content) != size:
            raise ValueError(f"{size} bytes are claimed, {len(content)} are left")
        self.append(content)

    def _refuse(self) -> None:
        raise ValueError("a step that no dictionary of arrays needs")


def _counted(step):
    def run(machine: _Machine) -> None:
        machine._steps += 1
        if machine._steps > _STEPS:
            raise ValueError(f"more than {_STEPS} steps: too many for a dictionary of arrays")
        step(machine)

    return run


def _steps() -> dict[int, object]:
    """Return the steps of the machine by their codes."""
    replaced = {"BUILD": _Machine._build, "REDUCE": _Machine._reduce, "DICT": _Machine._dict}
    replaced |= {"SETITEM": _Machine._set_item, "SETITEMS": _Machine._set_items, "BYTEARRAY8": _Machine._bytes}
    steps = {code: _counted(_Machine._refuse) for code in range(256)}
    for name in _HARMLESS:
        code = getattr(pickle, name)[0]
        steps[code] = _counted(pickle._Unpickler.dispatch[code])
    return steps | {getattr(pickle, name)[0]: _counted(step) for name, step in replaced.items()}


_Machine.dispatch = _steps()
