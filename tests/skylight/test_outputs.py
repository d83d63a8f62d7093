"""Outputs are whole or not there."""

import json
import subprocess
import sys

import numpy as np
import pytest

from skylight.errors import InputError, script
from skylight.outputs import save_json, writing


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("first", "second"):
        with writing(tmp_path / "folder") as aside:
            aside.mkdir()
            (aside / name).write_text("")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


def test_json_is_sorted_rounded_and_valid(tmp_path):
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
def test_a_script_has_garbage_looked_for_less_often_and_not_at_the_exit(first, left):
    program = f"""
{first}
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 0))  # called last
from skylight.errors import script
usual = gc.get_threshold()[0]
script(lambda: print(gc.get_threshold()[0] > 50 * usual))()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", left] and not ran.stderr
