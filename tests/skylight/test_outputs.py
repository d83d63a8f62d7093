"""An output is complete or does not exist; scripts report errors in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from skylight.errors import InputError, script
from skylight.outputs import LONGEST_NAME, OutputNames, save_json, writing, writing_new_folder


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_new_folder_replaces_all_of_the_old_one(tmp_path):
    for name in ("first", "second"):
        with writing(tmp_path / "folder") as aside:
            aside.mkdir()
            (aside / name).write_text("")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


def test_json_is_sorted_and_rounded_and_has_no_nan(tmp_path):
    content = {"b": np.float32(0.1), "a": {"n": np.int64(3), "nan": float("nan")}, "c": np.array([1 / 3])}
    save_json(tmp_path / "m.json", content)
    assert (tmp_path / "m.json").read_text().index('"a"') < (tmp_path / "m.json").read_text().index('"b"')
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": {"n": 3, "nan": None}, "b": 0.1, "c": [0.333333]}


def test_a_script_reports_the_users_error_in_one_line(capsys):
    @script
    def main():
        raise InputError("table.csv row 3: no id")

    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == "error: table.csv row 3: no id"


@pytest.mark.parametrize(("first", "left"), [("import json", "True"), ("import duckdb", "False")])
def test_a_script_collects_garbage_less_often_and_not_at_the_exit(first, left):
    program = f"""
{first}
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 0))  # runs last
from skylight.errors import script
usual = gc.get_threshold()[0]
script(lambda: print(gc.get_threshold()[0] > 50 * usual))()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", left] and not ran.stderr


def test_a_new_folder_never_replaces_what_is_there(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("")
    (tmp_path / "link").symlink_to("full")
    (tmp_path / "file").write_text("")
    for name in ("full", "link", "file"):
        with pytest.raises(InputError, match=name), writing_new_folder(tmp_path / name) as folder:
            folder.mkdir()
    with pytest.raises(OSError), writing_new_folder(tmp_path / "late") as folder:
        folder.mkdir()
        (tmp_path / "late").mkdir()
        (tmp_path / "late/mine").write_text("")  # meanwhile
    assert [path.name for path in (tmp_path / "late").iterdir()] == ["mine"]
    assert {path.name for path in tmp_path.iterdir()} == {"full", "link", "file", "late"}


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_folder_is_there_when_all_is_written(tmp_path, exists):
    path = tmp_path / ("empty" if exists else "a/b")
    if exists:
        path.mkdir()
    with pytest.raises(RuntimeError), writing_new_folder(path) as folder:
        folder.mkdir()
        raise RuntimeError
    with writing_new_folder(path) as folder:
        folder.mkdir()
        (folder / "file").write_text("whole")
    assert (path / "file").read_text() == "whole" and [each.name for each in path.parent.iterdir()] == [path.name]


def test_names_of_outputs_are_safe_and_unique():
    names = OutputNames()
    assert names.new("star 1") == "star_1" and names.new("star_1") == "star_1_2" and names.new("STAR_1") == "STAR_1_3"
    assert names.new("..") == "_" and names.new("") == "__2" and names.new("../../evil") == "_.._evil"
    assert names.new("a\x00\n\x1b/b\\c") == "a____b_c" and names.new(".hidden") == "hidden"
    assert names.new("RR Lyræ+3.5-2") == "RR_Lyræ+3.5-2" and names.new("\udcff") == "__3"
    long = [names.new("é" * 300), names.new("é" * 300)]
    assert all(len(f"partial.{name}.png".encode()) <= 255 for name in long) and len(set(long)) == 2
    assert len(long[0].encode()) == LONGEST_NAME
