"""Write outputs to a temporary path and rename them, so that a killed script leaves no incomplete output."""

import contextlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skylight.errors import InputError, reason

if TYPE_CHECKING:
    import pandas as pd

LONGEST_NAME = 200
"""Largest number of bytes in a name without its ending; file systems allow 255 with ending and prefix."""
OUTPUTS = (Path("data/simulated"), Path("data/processed"), Path("out"))
"""Where the outputs of the stages are, relative to the root of the repository."""
PARTIAL = "partial."
"""What the name of a file or folder begins with that is not complete yet."""
FORMULA = "=+-@"
"""A spreadsheet runs a cell that begins with one of these."""


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path for a file or folder; it replaces ``path`` when the block ends without an error.

    The temporary path is in the same folder and has the suffix of ``path``, from which many writers choose the format.
    A folder is replaced only where it is an output of a stage (`is_output`): no other folder with files is ever
    removed.

    Raises
    ------
    InputError
        ``path`` is a folder, and the block made a file; or it is a folder with files, and no output of a stage; or the
        disk is full. Nothing is written.
    """
    path = Path(path)
    _check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{PARTIAL}{path.name}")
    remove(aside)
    try:
        yield aside
        _check_replaceable(path)
        if path.is_dir():
            if not aside.is_dir():
                raise InputError(f"{path}: this is a folder, which a file does not replace")
            remove(path)
        aside.replace(path)
    except OSError as error:
        remove(aside)
        if error.filename is None:  # from a write, such as on a full disk; what was opened has its name in the error
            raise InputError(f"{path}: cannot be written ({reason(error)})") from error
        raise
    except BaseException:
        _keep_rejected(aside, path)
        remove(aside)
        raise
    print(f"wrote {path}", file=sys.stderr)


def _keep_rejected(aside: Path, path: Path) -> None:
    """Keep the table of rejected objects of a folder that is not completed, most often because they are too many."""
    table = aside / "rejected.csv"
    if table.is_file():
        kept = path.with_name(f"{path.name}.rejected.csv")
        table.replace(kept)
        print(f"kept {kept}, the objects rejected until then", file=sys.stderr)


def _check_replaceable(path: Path) -> None:
    if path.is_dir() and not path.is_symlink() and not is_output(path) and any(path.iterdir()):
        raise InputError(f"{path}: this folder exists and is not empty; it is not replaced")


def is_output(path: Path) -> bool:
    """Return whether a path is an output that a stage may replace.

    It lies in a folder of `OUTPUTS` (``out/bars/figures``, ``data/simulated/crts``), where `skylight.params` takes no
    input of the user but simulated surveys.
    """
    place = path.resolve()
    return any(place.is_relative_to(folder.resolve()) and place != folder.resolve() for folder in OUTPUTS)


@contextlib.contextmanager
def writing_new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary path for a folder that the block creates; it is renamed to ``path`` at the end of the block.

    Unlike `writing`, this never replaces a folder that contains files.

    Raises
    ------
    InputError
        ``path`` is a file, or a folder that is not empty.
    """
    check_new_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=path.parent) as aside:
        made = Path(aside) / "folder"
        try:
            yield made
        except BaseException:
            _keep_rejected(made, path)
            raise
        made.replace(path)  # fails if ``path`` has become a folder with files in the meantime
    print(f"wrote {path}", file=sys.stderr)


def check_new_folder(path: Path) -> None:
    """Check that ``path`` does not exist or is an empty folder; `InputError` otherwise."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: exists and is not a folder")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path}: this folder exists and is not empty; name a new folder")


class OutputNames:
    """Makes a unique file name, without ending, from the identifier of each object.

    Letters, digits and ``_ . + -`` are kept; every other character becomes ``_``. A name does not start with a dot and
    has at most `LONGEST_NAME` bytes. The second object with a name gets ``_2`` after it. Names that differ only in case
    count as equal, since some file systems do not distinguish them.
    """

    def __init__(self):
        self._taken = set()

    def new(self, id_: str) -> str:
        """Return the name for the output of the next object."""
        stem = re.sub(r"[^\w.+-]", "_", id_)[:LONGEST_NAME].lstrip(".") or "_"
        stem = stem.encode()[:LONGEST_NAME].decode(errors="ignore")
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name.casefold())
        return name


def remove(path: Path) -> None:
    """Remove the file or folder ``path`` if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def save_json(path: str | Path, content: Any, digits: int = 6) -> None:
    """Write ``content`` as JSON with sorted keys; floats are rounded to ``digits`` decimals, NaN and inf are null."""
    with writing(path) as aside:
        text = json.dumps(_rounded(content, digits), indent=2, sort_keys=True, allow_nan=False)
        aside.write_text(text + "\n", encoding="utf-8")


def _rounded(content: Any, digits: int) -> Any:
    if isinstance(content, dict):
        return {str(key): _rounded(value, digits) for key, value in content.items()}
    if isinstance(content, list | tuple | np.ndarray):
        return [_rounded(value, digits) for value in content]
    if isinstance(content, bool | np.bool_):
        return bool(content)
    if isinstance(content, np.integer):
        return int(content)
    if isinstance(content, float | np.floating):
        return round(float(content), digits) if np.isfinite(content) else None
    return content


def save_table(path: str | Path, table: "pd.DataFrame") -> None:
    """Write ``table`` as CSV without its index, for `read_table`; floats have six significant digits."""
    with writing(path) as aside:
        write_csv(aside, table, "%.6g")


def write_csv(path: Path, table: "pd.DataFrame", float_format: str) -> None:
    """Write ``table`` as CSV without its index; texts that a spreadsheet would run are quoted (`text_cell`)."""
    quoted = _with_texts(table, text_cell)
    quoted.to_csv(path, index=False, float_format=float_format, lineterminator="\n", encoding="utf-8")


def _with_texts(table: "pd.DataFrame", changed: Callable[[Any], Any]) -> "pd.DataFrame":
    """Return a table with other texts; a column in which no text changes keeps its type."""
    texts = {}
    for name in table.select_dtypes(exclude=["number", "bool"]).columns:
        cells = np.array([changed(cell) for cell in table[name]] + [None], dtype=object)[:-1]
        if any(new is not old for new, old in zip(cells, table[name], strict=True)):
            texts[name] = cells
    return table.assign(**texts)


def text_cell(text: Any) -> Any:
    """Return a text for a cell of a CSV table: with a ``'`` before it where a spreadsheet would run it as a formula.

    A number in a text (``-12.5``), and anything that is not a text, is returned as it is.
    """
    if not isinstance(text, str) or not text.startswith((*FORMULA, "\t", "\r", "'")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def read_table(path: str | Path, **options: Any) -> "pd.DataFrame":
    """Read a table of `save_table`; ``options`` are those of `pandas.read_csv`."""
    import pandas as pd

    return _with_texts(
        pd.read_csv(path, encoding="utf-8", **options), lambda cell: cell[1:] if str(cell).startswith("'") else cell
    )


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Write ``array`` as a ``.npy`` file."""
    with writing(path) as aside:
        np.save(aside, array)
