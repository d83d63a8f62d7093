"""An output is complete or does not exist; scripts report errors in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skylight.errors import InputError, script
from skylight.outputs import LONGEST_NAME, OutputNames, read_table, save_json, save_table, writing, writing_new_folder

ROOT = Path(__file__).parents[2]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_new_folder_replaces_all_of_the_old_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        with writing("out/bars/figures") as aside:
            aside.mkdir()
            (aside / name).write_text("")
    assert [path.name for path in (tmp_path / "out/bars/figures").iterdir()] == ["second"]


@pytest.mark.parametrize("path", ["mine", ".", "..", "out", "data", "data/raw", "link", "out/../mine", "out/up"])
def test_no_folder_but_an_output_is_replaced(tmp_path, monkeypatch, path):
    root = tmp_path / "root"
    for name in ("mine", "out/bars", "data/raw", "data/processed/bars"):
        (root / name).mkdir(parents=True)
        (root / name / "survey").write_text("years of work")
    (root / "link").symlink_to("mine")
    (root / "out/up").symlink_to(root)
    monkeypatch.chdir(root)
    if path in ("link", "out/up"):  # a link is replaced, not what it leads to
        with writing(path) as aside:
            aside.mkdir()
    else:
        with pytest.raises(InputError, match="is not replaced"), writing(path) as aside:
            aside.mkdir()
    surveys = sorted(str(found.relative_to(root)) for found in root.rglob("survey"))
    assert surveys == ["data/processed/bars/survey", "data/raw/survey", "mine/survey", "out/bars/survey"]
    assert not list(tmp_path.rglob("partial.*"))


def test_a_file_does_not_replace_a_folder(tmp_path, monkeypatch):
    (tmp_path / "res.csv").mkdir()
    (tmp_path / "res.csv/mine").write_text("")
    with pytest.raises(InputError, match=r"res\.csv: this folder exists"):
        save_json(tmp_path / "res.csv", {})
    assert (tmp_path / "res.csv/mine").exists()
    monkeypatch.chdir(tmp_path)
    Path("out/bars/figures").mkdir(parents=True)
    for path in ("out/bars", "out/bars/figures"):
        with pytest.raises(InputError, match="this is a folder, which a file does not replace"):
            save_json(path, {})
    assert Path("out/bars/figures").is_dir() and not list(tmp_path.rglob("partial.*"))


def test_texts_that_a_spreadsheet_would_run_are_quoted_and_read_back(tmp_path):
    ids = ["=1+1", "+A1", "-x", "@f", "'=q", "\tx", "-12.5", "+3", "1e5", "RR Lyr", "", "-"]
    table = pd.DataFrame({"id": ids, "value": np.arange(len(ids)) - 4.5})
    save_table(tmp_path / "t.csv", table)
    cells = [line.rsplit(",", 1)[0] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    assert cells[:5] == ["'=1+1", "'+A1", "'-x", "'@f", "''=q"] and cells[6:10] == ["-12.5", "+3", "1e5", "RR Lyr"]
    assert (tmp_path / "t.csv").read_text().splitlines()[1].endswith(",-4.5")
    back = read_table(tmp_path / "t.csv", dtype={"id": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(back, table)
    save_table(tmp_path / "empty.csv", table[:0])
    assert list(read_table(tmp_path / "empty.csv")) == ["id", "value"]


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(13, "Permission denied", "out/t"), "out/t: Permission denied"),
        (OSError("1000 requested and 8 written"), "1000 requested and 8 written"),
    ],
)
def test_a_script_reports_what_the_machine_refuses_in_one_line(error, said):
    @script
    def main():
        raise error

    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == f"error: {said}"


def test_a_full_disk_is_an_error_that_names_the_output(tmp_path):
    full = "^.*/a.txt: cannot be written \\(No space left on device\\)$"
    with pytest.raises(InputError, match=full), writing(tmp_path / "a.txt") as aside:
        aside.write_text("half")
        Path("/dev/full").write_text("the other half")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "error: interrupted"), (signal.SIGTERM, 143, "")]
)
@pytest.mark.parametrize("threads", [False, True])
def test_a_signal_ends_a_script_and_its_workers_in_one_line(tmp_path, number, status, said, threads):
    program = f"""
import os, sys, time
from pathlib import Path
from skylight.errors import script
from skylight.outputs import writing
import joblib

@script
def main():
    workers = joblib.Parallel(n_jobs=2, return_as="generator", batch_size=1, prefer={"threads" if threads else None!r})
    with writing("half") as aside:
        aside.mkdir()
        for pid in workers(joblib.delayed(work)(i) for i in range(40)):
            pass

def work(i):
    Path(f"worker{{os.getpid()}}").touch()
    time.sleep(60 if i > 1 else 0)
main()
"""
    (tmp_path / "program.py").write_text(program)
    run = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Ctrl-C is ignored by all that a shell has started in the background, as a test run may be.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: len(list(tmp_path.glob("worker*"))) >= (1 if threads else 2))
    time.sleep(0.5)
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does
    else:
        run.send_signal(number)
    _, stderr = run.communicate(timeout=20)
    assert (run.returncode, stderr.strip()) == (status, said)
    assert not list(tmp_path.glob("*half"))
    workers = [int(path.name.removeprefix("worker")) for path in tmp_path.glob("worker*")]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


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


@pytest.mark.parametrize("way", [writing, writing_new_folder])
def test_the_table_of_rejected_objects_of_a_failed_folder_is_kept_where_the_message_says(tmp_path, capsys, way):
    with pytest.raises(InputError, match="3 of 4 rejected"), way(tmp_path / "stars") as folder:
        folder.mkdir()
        (folder / "rejected.csv").write_text("source,id,reason\na.csv,17,no magnitude\n")
        raise InputError("3 of 4 rejected")
    kept = tmp_path / "stars.rejected.csv"
    assert kept.read_text().endswith("a.csv,17,no magnitude\n") and list(tmp_path.iterdir()) == [kept]
    assert capsys.readouterr().err == f"kept {kept}, the objects rejected until then\n"
