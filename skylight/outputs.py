"""Writing outputs: aside first, then renamed, so that a killed script leaves nothing half-written."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write a file or folder to; it replaces ``path`` when the block ends well.

    The aside path keeps the suffix of ``path``, which many writers choose their format by.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"partial.{path.name}")
    remove(aside)
    try:
        yield aside
        if path.is_dir():
            remove(path)
        aside.replace(path)
    except BaseException:
        remove(aside)
        raise
    print(f"wrote {path}")


def remove(path: Path) -> None:
    """Remove the file or the folder ``path``, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def save_json(path: str | Path, content: Any, digits: int = 6) -> None:
    """Write ``content`` as JSON: sorted keys, floats rounded to ``digits`` places, non-finite ones null."""
    with writing(path) as aside:
        text = json.dumps(_rounded(content, digits), indent=2, sort_keys=True, allow_nan=False)
        aside.write_text(text + "\n")


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


def save_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write ``table`` as CSV, without its index, floats to six significant digits."""
    with writing(path) as aside:
        table.to_csv(aside, index=False, float_format="%.6g", lineterminator="\n")


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Write ``array`` as ``.npy``."""
    with writing(path) as aside:
        np.save(aside, array)
