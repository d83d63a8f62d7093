"""The command line: help, versions, wrong usage, and errors that come before TensorFlow is loaded."""

import os
import re
import subprocess
import sys

import pytest

from apps.command_line import COMMANDS
from apps.files import Explanations, existing, result_table
from skylight import __version__
from skylight.errors import printable
from tests.apps.test_score import packet
from tests.conftest import ROOT

NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


def in_a_process(*words, cwd, stdin=b"", code=None) -> subprocess.CompletedProcess:
    """Run a command in a process of its own, as a user does."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    command = [sys.executable, *(["-c", code] if code else ["-m", "skylight", *map(str, words)])]
    return subprocess.run(
        command, cwd=cwd, env=environment | {"PYTHONPATH": str(ROOT)}, input=stdin, capture_output=True
    )


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example(skylight, name):
    status, lines, _ = skylight(name, "--help")
    assert status == 0 and any(line.startswith(f"    skylight {name}") for line in lines)


def test_every_command_is_listed_with_its_summary(skylight):
    status, lines, _ = skylight("--help")
    text = " ".join(" ".join(lines).split())
    for module, name in zip(COMMANDS, NAMES, strict=True):
        assert f"{name} {module.__doc__.splitlines()[0].rstrip('.')}" in text
    assert status == 0


def test_version(skylight):
    assert skylight("--version") == (0, [f"skylight {__version__}"], [])
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: the following arguments are required: COMMAND; see skylight --help"),
        (["weigh"], "error: argument COMMAND: invalid choice: 'weigh'"),
        (["score"], "error: the following arguments are required: FILE; see skylight score --help"),
        (["score", "x", "--colour"], "error: unrecognized arguments: --colour"),
        (["triplets", "x"], "error: the following arguments are required: --out; see skylight triplets --help"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(skylight, words, message):
    status, out, (line,) = skylight(*words)
    assert status == 2 and not out and line.startswith(message)


def test_check_reports_every_faulty_key(workplace, skylight):
    assert skylight("check") == (0, ["params.yaml: fine"], [])
    file = workplace / "params.yaml"
    file.write_text(re.sub(r"epochs: \d+", "epochs: 0", file.read_text(), count=2))
    status, out, errors = skylight("check")
    assert status == 1 and not out and len(errors) == 2
    assert errors[0] == "error: periodic.train.epochs: must be at least 1, got 0"
    file.unlink()
    assert skylight("check")[::2] == (1, ["error: params.yaml: No such file or directory"])


CASES = [
    (["classify", "nofile.csv"], 1, "error: nofile.csv: no such file"),
    (["classify", "."], 1, "error: .: is a folder"),
    (["classify", "bad.csv"], 1, "error: bad.csv: line 1: not a number: 'x'"),
    (["classify", "bad.csv", "--weights", "no.h5"], 1, "error: no.h5: no such file"),
    (["classify", "bad.csv", "--out", "table.txt"], 2, "error: --out table.txt: must end in .csv or .json"),
    (["classify", "bad.csv", "--out", "bad.csv"], 2, "error: --out bad.csv: is an input"),
    (["classify", "bad.csv", "--out", "out/../bad.csv"], 2, "error: --out out/../bad.csv: is an input"),
    (["score", "nofile.avro"], 1, "error: nofile.avro: no such file or folder"),
    (["score", "bad.csv", "--explain", "out"], 2, "error: --explain out: this folder exists and is not empty"),
    (["score", "bad.csv", "--explain", ".."], 2, "error: --explain ..: name a new folder"),
    (["score", "bad.csv", "--explain", "bad.csv"], 2, "error: --explain bad.csv: exists and is not a folder"),
    (["score", "bad.csv", "--explain", "bad.csv/new"], 2, "error: --explain bad.csv/new: nothing can be written in"),
    (["candidates", "nofile.npz"], 1, "error: nofile.npz: no such file"),
    (["candidates", "bad.csv", "--out", "folder.csv"], 2, "error: --out folder.csv: is a folder"),
    (["measure", "nofile.jpg"], 1, "error: nofile.jpg: no such file"),
    (
        ["measure", "bad.csv"],
        1,
        "error: out/bars/networks/vgg16.weights.h5: no such file; `dvc repro bars-train@vgg16`",
    ),
    (["measure", "bad.csv", "--petror90", "-1"], 2, "error: --petror90 must be a positive number, got -1.0"),
    (["triplets", "bad.csv", "--out", "."], 2, "error: --out .: name a new folder"),
    (["triplets", "nofile.avro", "--out", "new"], 1, "error: nofile.avro: no such file or folder"),
]
CODE = """
import sys
from apps.command_line import main
for words in {cases}:
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    print("status", status, file=sys.stderr)
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""


def test_errors_come_before_tensorflow_is_loaded(workplace):
    (workplace / "bad.csv").write_text("1,2,x,4\n1,3,4,5\n")
    (workplace / "folder.csv").mkdir()
    before = {path: path.stat().st_mtime_ns for path in workplace.rglob("*")}
    ran = in_a_process(cwd=workplace, code=CODE.format(cases=[words for words, _, _ in CASES]))
    assert ran.returncode == 0, ran.stderr.decode()
    lines = ran.stderr.decode().splitlines()
    assert len(lines) == 2 * len(CASES)
    for (words, status, message), line, end in zip(CASES, lines[::2], lines[1::2], strict=True):
        assert line.startswith(message) and end == f"status {status}", words
    assert {path: path.stat().st_mtime_ns for path in workplace.rglob("*")} == before


@pytest.mark.slow
def test_stderr_has_no_line_of_tensorflow(workplace):
    (workplace / "one.avro").write_bytes(packet(workplace / "p.avro", 5))
    ran = in_a_process("score", "-", cwd=workplace, stdin=(workplace / "one.avro").read_bytes())
    assert ran.returncode == 0 and ran.stderr == b""
    assert re.fullmatch(rb"5 +[01]\.\d{4} +standard input\n", ran.stdout)


@pytest.mark.slow
def test_a_closed_pipe_ends_the_command_quietly(workplace):
    (workplace / "many.avro").write_bytes(packet(workplace / "p.avro", *range(200)))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    line = f"{sys.executable} -m skylight score many.avro | head -1"
    ran = subprocess.run(["bash", "-c", line], cwd=workplace, env=environment, capture_output=True)
    assert ran.stdout.startswith(b"0 ") and b"Traceback" not in ran.stderr and b"BrokenPipe" not in ran.stderr


def test_what_cannot_be_printed_is_escaped():
    assert printable("a\nb\x1b[31m é") == "a\\nb\\x1b[31m é"
    assert printable(os.fsdecode(b"\xff.csv")) == "\\udcff.csv"


def test_tables_are_csv_or_json_and_numbers_have_six_digits(tmp_path):
    rows = [{"file": "a,b", "n": 3, "p": 1 / 3, "q": float("nan")}, {"file": "é", "n": 4, "p": 1.0, "q": 1e-9}]
    for suffix in (".csv", ".json"):
        with result_table(tmp_path / f"t{suffix}", list(rows[0])) as write:
            for row in rows:
                write(row)
        with result_table(tmp_path / f"empty{suffix}", ["file"]):
            pass
    assert (tmp_path / "t.csv").read_text() == 'file,n,p,q\n"a,b",3,0.333333,\né,4,1,1e-09\n'
    assert (tmp_path / "t.json").read_text() == (
        '[\n  {"file": "a,b", "n": 3, "p": 0.333333, "q": null},\n'
        '  {"file": "\\u00e9", "n": 4, "p": 1.0, "q": 1e-09}\n]\n'
    )
    assert (tmp_path / "empty.csv").read_text() == "file\n" and (tmp_path / "empty.json").read_text() == "[]\n"


def test_a_table_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), result_table(tmp_path / "t.csv", ["n"]) as write:
        write({"n": 1})
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_names_of_figures_stay_inside_the_folder(tmp_path):
    import matplotlib.pyplot as plt

    explanations = Explanations(tmp_path / "new/explained")
    names = [explanations.save(name, plt.figure()) for name in ("../../evil", "a/b", "a_b", "A_B", "x" * 400)]
    assert names == ["_.._evil", "a_b", "a_b_2", "A_B_3", "x" * 200]
    found = {path.name for path in (tmp_path / "new/explained").iterdir()}
    assert found == {f"{name}{suffix}" for name in names for suffix in (".png", ".npz")}


def test_inputs_that_cannot_be_opened_are_reported_and_the_others_are_used(tmp_path, capsys):
    from apps.files import Problems

    good, problems = tmp_path / "good.csv", Problems()
    good.write_text("1")
    long = tmp_path / ("x" * 300)
    assert existing([good, tmp_path / "no.csv", tmp_path, long], problems) == [good]
    assert problems.count == 3 and problems.status == 1
    assert capsys.readouterr().err.splitlines()[2].endswith("File name too long")
