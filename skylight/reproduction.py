"""Check that a fresh clone makes the same outputs: ``python -m skylight.reproduction [--tolerance T] [STAGE...]``.

It clones HEAD into a temporary folder, runs the whole pipeline there, and compares every output with the hash in
``dvc.lock``. With a tolerance, numbers may differ by that much. Figures are then not compared, since they are drawn
from the numbers.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from skylight.errors import InputError, script


@script
def main() -> None:
    parser = argparse.ArgumentParser(description="Run the pipeline in a fresh clone and compare every output.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="only these and those they need (default: all)")
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest allowed difference (default: 0)")
    arguments = parser.parse_args()
    if not arguments.tolerance >= 0:
        raise InputError(f"--tolerance must be at least 0, got {arguments.tolerance}")

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", here, fresh], check=True)
        committed = locked(fresh / "dvc.lock")
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        command = [sys.executable, "-m", "dvc", "repro", "-f", *arguments.stages]
        if subprocess.run(command, cwd=fresh, env=environment).returncode:
            raise InputError("dvc repro failed in the fresh clone (see above)")
        made = locked(fresh / "dvc.lock")
        if arguments.stages:  # stages that did not run keep their hashes in the dvc.lock of the clone
            made = {path: digest for path, digest in made.items() if (fresh / path).exists()}
        lines = [
            line
            for path, digest in sorted(made.items())
            if committed.get(path) != digest
            for line in differences(path, here / path, fresh / path, arguments.tolerance)
        ]
    for path in sorted(set(committed) - set(made)) if not arguments.stages else []:
        lines.append(f"{path}: in dvc.lock, but no stage made it")
    if lines:
        print(*lines, sep="\n")
        sys.exit(f"{len(lines)} files differ from what dvc.lock holds")
    print(f"{len(made)} outputs are the same")


def locked(lock: Path) -> dict[str, str]:
    """Read the hash of every output, by path."""
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def differences(name: str, old: Path, new: Path, tolerance: float = 0.0) -> Iterator[str]:
    """Compare two files or two folders; yield one line for each file that differs, with its first difference."""
    if not old.exists():
        yield f"{name}: differs; the output of dvc.lock is not here to compare with (run dvc checkout or dvc pull)"
        return
    if old.is_dir() and new.is_dir():
        parts = {path.relative_to(root) for root in (old, new) for path in root.rglob("*") if path.is_file()}
        for part in sorted(parts):
            yield from differences(f"{name}/{part.as_posix()}", old / part, new / part, tolerance)
    elif not new.exists():
        yield f"{name}: missing in the fresh clone"
    elif old.is_dir() or new.is_dir():
        yield f"{name}: a file in one, a folder in the other"
    elif old.read_bytes() != new.read_bytes():
        difference = _first_difference(old, new, tolerance)
        if difference:
            yield f"{name}: {difference}"


def _first_difference(old: Path, new: Path, tolerance: float) -> str | None:
    """Describe the first difference of two files of one format; None if there is none beyond the tolerance."""
    if old.suffix == ".png" and tolerance:
        return None
    read = _READERS.get(old.suffix)
    if read is None:
        return _first_byte(old.read_bytes(), new.read_bytes())
    before, after = dict(read(old)), dict(read(new))
    for place in [*before, *(place for place in after if place not in before)]:
        if place not in before or place not in after:
            return f"{place} is only in the {'new' if place in after else 'old'} file"
        difference = _differs(before[place], after[place], tolerance)
        if difference:
            return f"{place}{difference}".removeprefix(": ")
    return None if tolerance else _first_byte(old.read_bytes(), new.read_bytes())


def _differs(before: object, after: object, tolerance: float) -> str | None:
    """Describe the difference of two arrays, numbers or texts; None if there is none beyond the tolerance."""
    if not isinstance(before, np.ndarray):
        try:
            before, after = float(before), float(after)
        except (TypeError, ValueError):
            return None if before == after else f": {before!r} became {after!r}"
    old, new = np.asarray(before), np.asarray(after)
    if old.shape != new.shape or old.dtype != new.dtype:
        return f": {old.dtype} {old.shape} became {new.dtype} {new.shape}"
    if old.dtype.kind not in "fiub":
        unequal = old != new
    else:
        old, new = old.astype(float), new.astype(float)
        scale = max(1.0, np.abs(old[np.isfinite(old)]).max(initial=0))
        with np.errstate(invalid="ignore"):
            unequal = (np.abs(old - new) > tolerance * scale) | (np.isfinite(old) != np.isfinite(new))
    if not unequal.any():
        return None
    if not old.ndim:
        return f": {before!r} became {after!r}"
    place = tuple(int(axis[0]) for axis in unequal.nonzero())
    share = f"{unequal.sum()} of {unequal.size} differ"
    if old.dtype.kind == "f":
        share += f", by at most {np.nanmax(np.abs(old - new)):.3g}"
    return f"{list(place)}: {old[place]} became {new[place]} ({share})"


def _first_byte(old: bytes, new: bytes) -> str:
    place = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"byte {place} of {len(old)} (now {len(new)})"


def _read_array(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    yield "", np.load(path)


def _read_arrays(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with np.load(path) as arrays:
        yield from arrays.items()


def _read_weights(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    import h5py

    with h5py.File(path) as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            yield name, file[name][()]


def _read_picture(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    from PIL import Image

    with Image.open(path) as image:
        yield "pixel ", np.asarray(image)


def _read_table(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") or [[]]
    yield "header", ",".join(header)
    for number, row in enumerate(rows, start=2):
        for place, cell in enumerate(row):
            yield f"line {number}, {header[place] if place < len(header) else place}", cell


def _read_json(path: Path) -> Iterator[tuple[str, object]]:
    def leaves(content: object, key: str) -> Iterator[tuple[str, object]]:
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for name, value in items:
            inner = f"{key}.{name}" if key else str(name)
            yield from leaves(value, inner) if isinstance(value, dict | list) else [(inner, value)]

    yield from leaves(json.loads(path.read_text(encoding="utf-8")), "")


_READERS = {
    ".npy": _read_array,
    ".npz": _read_arrays,
    ".h5": _read_weights,
    ".png": _read_picture,
    ".csv": _read_table,
    ".tsv": _read_table,
    ".json": _read_json,
}

if __name__ == "__main__":
    main()
