"""What all commands share: their inputs and outputs, checked before any work, and the inputs that cannot be used."""

import argparse
import contextlib
import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skylight.errors import InputError, printable, same_on_every_machine
from skylight.files import decoding, fault
from skylight.outputs import OutputNames, check_new_folder, text_cell, writing

STANDARD_INPUT = Path("-")


class UsageError(InputError):
    """An option has a value that it cannot have: exit status 2."""


class Problems:
    """The inputs that cannot be used: one line on stderr for each."""

    def __init__(self):
        self.count = 0

    def report(self, reason: object) -> None:
        """Print the reason, with the name of the file, in one line."""
        self.count += 1
        tqdm.write(f"error: {printable(reason)}", file=sys.stderr)

    @property
    def status(self) -> int:
        """The exit status."""
        return 1 if self.count else 0


def add_outputs(parser: argparse.ArgumentParser, explained: str) -> None:
    """Add the options that all commands have."""
    parser.add_argument("--out", type=Path, metavar="TABLE", help="also write the results to a .csv or .json file")
    parser.add_argument("--explain", type=Path, metavar="DIR", help=f"write {explained} to a new folder")


def check_outputs(arguments: argparse.Namespace, inputs: Sequence[Path]) -> None:
    """Check ``--out`` and ``--explain``; `UsageError` where one would overwrite an input or a folder."""
    out, folder = arguments.out, arguments.explain
    if out is not None:
        if out.suffix not in (".csv", ".json"):
            raise UsageError(f"--out {out}: must end in .csv or .json")
        if out.is_dir():
            raise UsageError(f"--out {out}: is a folder")
        _check_parent("--out", out)
    if folder is not None:
        check_folder("--explain", folder)
    for option, path in (("--out", out), ("--explain", folder)):
        for given in inputs if path is not None else ():
            if given != STANDARD_INPUT and os.path.realpath(given) == os.path.realpath(path):
                raise UsageError(f"{option} {path}: is an input")


def check_folder(option: str, folder: Path) -> None:
    """`UsageError` unless the folder is new or empty: a command deletes nothing that it did not make."""
    if folder.name in ("", ".."):
        raise UsageError(f"{option} {folder}: name a new folder")
    try:
        check_new_folder(folder)
    except InputError as error:
        raise UsageError(f"{option} {error}") from None
    _check_parent(option, folder)


def _check_parent(option: str, path: Path) -> None:
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"{option} {path}: nothing can be written in {parent}")


def check_made(path: Path, stage: str) -> None:
    """`InputError` where an output of the pipeline, or the file that the user gave in its place, is missing."""
    if not path.exists():
        raise InputError(f"{path}: no such file; `dvc repro {stage}` makes it")


def check_weights(path: Path, default: Path, stage: str) -> None:
    """As `check_made`; a file that the user named is made by no stage."""
    if path == default:
        check_made(path, stage)
    elif wrong := fault(path):
        raise InputError(f"{path}: {wrong}")


def add_network(parser: argparse.ArgumentParser, weights: Path) -> None:
    """Add the options of a command that applies one network."""
    parser.add_argument("--weights", type=Path, default=weights, help="of the network; default: %(default)s")
    parser.add_argument(
        "--background",
        type=Path,
        metavar="FILE",
        help="inputs that SHAP compares with; default: background.npy beside the weights, or that of the pipeline",
    )


def background_file(arguments: argparse.Namespace, made: Path, stage: str) -> Path:
    """Return the file of the inputs that SHAP compares with; ``made`` is that of the pipeline.

    Raises
    ------
    InputError
        There is none. The message says how to get it without another training.
    """
    beside = arguments.weights.with_name("background.npy")
    path = arguments.background or (beside if beside.is_file() else made)
    if arguments.background is None and not path.exists():
        raise InputError(
            f"{path}: no such file, and --explain needs inputs that SHAP compares with: give an array of them by "
            f"--background; `dvc repro -s {stage}` makes the file from the network that is there, and trains none"
        )
    if wrong := fault(path):
        raise InputError(f"{path}: {wrong}")
    return path


def load_background(path: Path, shape: tuple[int, ...], most: int) -> np.ndarray:
    """Read inputs (N, ...) of a network, at most ``most`` of them, evenly from first to last.

    Raises
    ------
    InputError
        The file is damaged or holds other arrays than inputs of this ``shape``.
    """
    with decoding(path, "not an array of numbers"):
        inputs = np.load(path, mmap_mode="r", allow_pickle=False)
    if inputs.shape[1:] != shape or not len(inputs) or inputs.dtype.kind not in "fiu":
        wanted = " x ".join(map(str, ("N", *shape)))
        raise InputError(
            f"{path}: must be numbers of {wanted}, got {inputs.dtype} of {' x '.join(map(str, inputs.shape))}"
        )
    rows = np.linspace(0, len(inputs) - 1, min(most, len(inputs))).round().astype(int)
    inputs = np.asarray(inputs[rows], dtype=np.float32)
    if not np.isfinite(inputs).all():
        raise InputError(f"{path}: has values that are not finite")
    return inputs


def existing(paths: Iterable[Path], problems: Problems, folders: bool = False) -> list[Path]:
    """Return the paths that can be opened, and report the others."""
    found = []
    for path in paths:
        reason = None if path == STANDARD_INPUT and folders else _fault(path, folders)
        if reason:
            problems.report(f"{path}: {reason}")
        else:
            found.append(path)
    return found


def _fault(path: Path, folders: bool) -> str | None:
    try:
        if not path.exists():
            return "no such file or folder" if folders else "no such file"
    except OSError as error:
        return error.strerror
    if path.is_dir() and not folders:
        return "is a folder"
    return None if os.access(path, os.R_OK) else "permission denied"


def note(text: object) -> None:
    """Print what a user may want to know about an input that was used, in one line on stderr."""
    tqdm.write(printable(text), file=sys.stderr)


@contextlib.contextmanager
def result_table(path: Path | None, columns: Sequence[str]) -> Iterator[Callable[[dict], None]]:
    """Yield a function that writes one row to a .csv or .json table; without a path it does nothing.

    Rows are written as they come, numbers with six significant digits, those that are not finite as an empty
    cell or null. The file is there when the block ends well.
    """
    if path is None:
        yield lambda row: None
        return
    with writing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            table = csv.DictWriter(file, columns, lineterminator="\n")
            table.writeheader()
            yield lambda row: table.writerow({name: cell(value) for name, value in row.items()})
            return
        between = "["

        def write(row: dict) -> None:
            nonlocal between
            rounded = {name: _rounded(value) for name, value in row.items()}
            file.write(f"{between}\n  {json.dumps(rounded)}")
            between = ","

        yield write
        file.write(("[" if between == "[" else "\n") + "]\n")


def cell(value: object) -> object:
    """Return a value for a cell of a CSV table: numbers with six significant digits, nothing if they are not finite."""
    if not isinstance(value, float):
        return text_cell(value)
    return f"{value:.6g}" if math.isfinite(value) else ""


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def print_row(cells: Iterable[object]) -> None:
    """Print a row of the results on the standard output, columns apart by blanks."""
    words = (f"{cell:.4f}" if isinstance(cell, float) else printable(cell) for cell in cells)
    tqdm.write("  ".join(f"{word:<8}" for word in words).rstrip(), file=sys.stdout)


def progress(items: Iterable, what: str, unit: str) -> Iterable:
    """Show a progress bar on a terminal."""
    return tqdm(items, desc=what, unit=unit, disable=None, leave=False)


class Explanations:
    """The folder of ``--explain``: a figure and the maps of each object, named after it.

    Parameters
    ----------
    folder : Path
        New or empty; made here.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._names = folder, OutputNames()

    def save(self, id_: str, figure, **maps) -> str:
        """Write ``<name>.png`` and the arrays ``<name>.npz`` of one object; return the name."""
        from skylight import plotting

        name = self._names.new(id_)
        for suffix, write in (
            (".npz", lambda path: np.savez(path, **maps)),
            (".png", lambda path: plotting.save(figure, path)),
        ):
            aside = self.folder / f"partial.{name}{suffix}"
            write(aside)
            aside.replace(self.folder / f"{name}{suffix}")
        return name


def import_tensorflow() -> None:
    """Import TensorFlow and look for its devices without the lines that it logs meanwhile.

    Some of them it writes before it reads any setting, so stderr is turned aside; on an error they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            same_on_every_machine()
            tf.config.list_physical_devices()
        except BaseException:
            os.dup2(stderr, 2)
            lines.seek(0)
            os.write(2, lines.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
