"""Differences between two runs are found, described with their place, and compared with the tolerance."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from skylight.reproduction import differences, locked

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)
CHANGED = ARRAY + np.where(ARRAY == 6, np.float32(0.5), 0).astype(np.float32)


def weights(path, value):
    with h5py.File(path, "w") as file:
        file["layers/dense/0"] = ARRAY
        file["layers/dense/1"] = value


def picture(path, value):
    Image.fromarray((20 * value).astype(np.uint8)).save(path)


WRITERS = {
    "a.npy": (np.save, "[1, 2]: 6.0 became 6.5"),
    "a.npz": (lambda path, value: np.savez(path, x=ARRAY, y=value), "y[1, 2]: 6.0 became 6.5"),
    "a.weights.h5": (weights, "layers/dense/1[1, 2]: 6.0 became 6.5"),
    "a.csv": (
        lambda path, value: path.write_text(f"id,score\n1,0.5\n2,{value[1, 2]}\n"),
        "line 3, score: 6.0 became 6.5",
    ),
    "a.json": (
        lambda path, value: path.write_text(json.dumps({"x": [1, {"y": float(value[1, 2])}], "z": "t"})),
        "x.1.y: 6.0 became 6.5",
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_first_difference_is_described_unless_within_the_tolerance(name, tmp_path):
    write, said = WRITERS[name]
    for folder, value in (("old", ARRAY), ("new", CHANGED), ("same", ARRAY)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, value)
    old, new, same = (tmp_path / folder for folder in ("old", "new", "same"))
    assert list(differences("out", old, same)) == []
    (line,) = differences("out", old, new)
    assert line.startswith(f"out/{name}: {said}")
    (line,) = differences("out", old, new, tolerance=1e-5)
    assert line.startswith(f"out/{name}: {said}")
    assert list(differences("out", old, new, tolerance=0.1)) == []


def test_figures_are_compared_unless_there_is_a_tolerance(tmp_path):
    picture(tmp_path / "old.png", ARRAY)
    picture(tmp_path / "new.png", ARRAY + (ARRAY == 6))
    (line,) = differences("p.png", tmp_path / "old.png", tmp_path / "new.png")
    assert line.startswith("p.png: pixel [1, 2]: 120.0 became 140.0 (1 of 12 differ")
    assert list(differences("p.png", tmp_path / "old.png", tmp_path / "new.png", tolerance=1e-5)) == []


def test_missing_and_new_files_and_files_of_other_formats(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "gone.txt").write_text("x")
    (new / "added.txt").write_text("x")
    (old / "both.bin").write_bytes(b"abcd")
    (new / "both.bin").write_bytes(b"abXd")
    lines = list(differences("out", old, new))
    assert lines[0].startswith("out/added.txt: differs; the output of dvc.lock is not here")
    assert lines[1:] == ["out/both.bin: byte 2 of 4 (now 4)", "out/gone.txt: missing in the fresh clone"]


def test_differences_of_shape_text_and_nan(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    np.save(tmp_path / "b.npy", ARRAY[:2])
    (line,) = differences("x", tmp_path / "a.npy", tmp_path / "b.npy", tolerance=1.0)
    assert line == "x: float32 (3, 4) became float32 (2, 4)"
    np.save(tmp_path / "c.npy", np.where(ARRAY == 6, np.nan, ARRAY))
    (line,) = differences("x", tmp_path / "a.npy", tmp_path / "c.npy", tolerance=1.0)
    assert "[1, 2]: 6.0 became nan" in line
    for name, text in (("a.csv", "id,class\n1,EW\n"), ("b.csv", "id,class\n1,EA\n"), ("c.csv", "id,class\n")):
        (tmp_path / name).write_text(text)
    (line,) = differences("x", tmp_path / "a.csv", tmp_path / "b.csv", tolerance=1.0)
    assert line == "x: line 2, class: 'EW' became 'EA'"
    (line,) = differences("x", tmp_path / "a.csv", tmp_path / "c.csv", tolerance=1.0)
    assert line == "x: line 2, id is only in the old file"


def test_hashes_are_read_by_output(tmp_path):
    text = "stages:\n  a:\n    outs:\n    - {path: x, md5: '1'}\n    - {path: y, md5: 2.dir}\n  b:\n    cmd: c\n"
    (tmp_path / "dvc.lock").write_text(text)
    assert locked(tmp_path / "dvc.lock") == {"x": "1", "y": "2.dir"}
