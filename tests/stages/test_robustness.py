"""Signals, full and read-only disks, other users and other checkouts: the same hashes, or an error of one line.

A short chain with one stage of each kind is run once; everything else is compared with that.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import profile
from tests.stages.conftest import Clone

pytestmark = pytest.mark.slow

CHAIN = [f"periodic-{step}" for step in ("simulate", "transform", "train", "test", "heatmaps")]
SCRIPTS = {stage: f"stages.{stage.replace('-', '.')}" for stage in CHAIN} | {"report": "stages.report.build"}
STRANGER = ("unshare", "--user", "--map-user=65534", "--map-group=65534")  # a user without rights and without a home
MOUNTS = ("unshare", "--map-root-user", "--mount")


@pytest.fixture(scope="module")
def chain(clone) -> Clone:
    """A clone in which the chain was run: ``seconds`` and ``made`` have the time and the hashes of each script."""
    clone = clone()
    clone.change(**profile("tiny", "periodic"))
    (clone.path / "dvc.lock").unlink()  # as if it had never run: what is not locked is made anew
    clone.commit("tiny")
    clone.seconds, clone.made = {}, {}
    for stage, script in SCRIPTS.items():
        start = time.monotonic()
        clone.run(script)
        clone.seconds[stage] = time.monotonic() - start
        clone.made[stage] = made(clone.path, stage)
    return clone


def outputs(stage: str) -> list[str]:
    """Return the paths of the outputs of a stage."""
    declared = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][stage]
    entries = declared["outs"] + declared.get("metrics", [])
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def made(root: Path, stage: str) -> dict[str, str]:
    """Return the hash of every file of the outputs of a stage, half-written ones aside."""
    found = {}
    for output in outputs(stage):
        place = root / output
        for path in [place] if place.is_file() else filter(Path.is_file, place.rglob("*")):
            found[str(path.relative_to(root))] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def halves(root: Path) -> list[Path]:
    return [path for folder in ("data", "out", ".checkpoints") for path in (root / folder).rglob("partial.*")]


def one_line(said: str) -> str:
    """Return the line of an error, and check that it is the only one and that there is no traceback."""
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in said and "Exception" not in said, said
    return line


def interrupted(chain: Clone, stage: str, number: signal.Signals, moment: float) -> tuple[int, str]:
    """Start a script, send a signal to all its processes at a moment, and return its status and what it said."""
    run = subprocess.Popen(
        [sys.executable, "-m", SCRIPTS[stage]],
        cwd=chain.path,
        env=chain.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a run in the background ignores it
    )
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, number)
    _, said = run.communicate(timeout=60)
    return run.returncode, said


@pytest.mark.parametrize("stage", SCRIPTS)
def test_a_stage_that_is_interrupted_at_any_moment_leaves_whole_outputs_only(chain, stage):
    """After Ctrl-C the script says one line, and its processes nothing."""
    for output in outputs(stage):
        place = chain.path / output
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    draw = random.Random(stage)
    try:
        for number in (signal.SIGINT, signal.SIGKILL):
            moment = max(0.3, draw.uniform(0.1, 0.9) * chain.seconds[stage])
            status, said = interrupted(chain, stage, number, moment)
            assert made(chain.path, stage).items() <= chain.made[stage].items()
            if number == signal.SIGINT and status:  # 0: it was faster than before
                assert status in (130, -number), said
                assert one_line(said) == "error: interrupted" and str(chain.path) not in said
                assert not halves(chain.path)
            assert number == signal.SIGINT or status in (0, -number)
    finally:
        chain.run(SCRIPTS[stage])
    assert made(chain.path, stage) == chain.made[stage] and not halves(chain.path)


def possible(*command: str) -> None:
    """Skip a test where a command cannot be run, as in a container without namespaces."""
    try:
        ran = subprocess.run([*command, "true"], capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    if ran.returncode:
        pytest.skip(f"{' '.join(command)}: {ran.stderr.strip()}")


FULL, READ_ONLY = "size=2m", "ro"  # options of mount
WORDS = {FULL: "No space left on device", READ_ONLY: "Read-only file system"}


@pytest.mark.parametrize(
    ("stage", "folder", "options", "left"),
    [
        ("periodic-simulate", "data/simulated", FULL, 2**16),
        ("periodic-transform", "data/processed", FULL, 2**16),
        ("periodic-transform", "data/processed", READ_ONLY, 0),
        ("periodic-train", ".checkpoints", FULL, 2**16),
        ("periodic-train", "out/periodic/networks", READ_ONLY, 0),
        ("periodic-test", "out/periodic/metrics", FULL, 0),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line(chain, stage, folder, options, left):
    """The disk has 2 MB, of which ``left`` bytes are left, or may not be written; only this process sees it."""
    possible(*MOUNTS)
    (chain.path / folder).mkdir(exist_ok=True)
    fill = "" if options == READ_ONLY else f"head -c {2**21 - left} /dev/zero > {folder}/filler &&"
    line = f"mount -t tmpfs -o {options} none {folder} && {fill} {{ {sys.executable} -m {SCRIPTS[stage]}; "
    line += f"code=$?; ls -A {folder}; exit $code; }}"
    ran = subprocess.run(
        [*MOUNTS, "bash", "-c", line], cwd=chain.path, env=chain.environment, capture_output=True, text=True
    )
    assert ran.returncode == 1, ran.stderr
    assert one_line(ran.stderr).rstrip(")").endswith(WORDS[options])
    assert "partial" not in ran.stdout


ELSEWHERE = {
    "in a worktree, as a stranger without a home, in the C locale": (
        "git worktree add -q --detach '{place}'",
        (*STRANGER, "env", "-u", "HOME"),
        {"LC_ALL": "C", "PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu"},
    ),
    "in a shallow clone, in Turkish": (
        "git clone -q --depth 1 file://$PWD '{place}'",
        (),
        {"LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0"},
    ),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_elsewhere_it_gives_the_same_hashes(chain, tmp_path, where):
    """Its path has spaces and letters that are not ASCII."""
    checkout, wrapped, environment = ELSEWHERE[where]
    if wrapped:
        possible(*wrapped)
    subprocess.run(["localedef", "-i", "tr_TR", "-f", "UTF-8", tmp_path / "tr_TR.UTF-8"], check=False)
    place = tmp_path / "my Überraschung (ı)"
    chain.shell(checkout.format(place=place))
    command = [*wrapped, sys.executable, "-m", "dvc", "repro", CHAIN[-1]]
    environment = chain.environment | environment | {"LOCPATH": str(tmp_path)}
    ran = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert all(made(place, stage) == chain.made[stage] for stage in CHAIN)


def test_two_runs_at_once_do_each_others_outputs_no_harm(chain):
    command = [sys.executable, "-m", "dvc", "repro", "-f", "-s", "periodic-transform"]
    options = {"cwd": chain.path, "env": chain.environment, "text": True}
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert 0 in [run.returncode for run in runs], said
    assert not any("Traceback" in each for each in said), said
    assert made(chain.path, "periodic-transform") == chain.made["periodic-transform"] and not halves(chain.path)
    assert chain.repro("-s", "periodic-transform") == set()


@pytest.mark.parametrize("key", ["x; touch pwned; #", '"; $(touch pwned); "', "my survey"])
def test_a_key_of_params_yaml_never_reaches_the_shell(chain, tmp_path, key):
    """DVC puts keys into commands before any code of ours can refuse them."""
    copy = chain.cloned_to(tmp_path / "copy")
    copy.change(**{"periodic.transfer.surveys": {key: {"path": "params.yaml"}}})
    said = copy.run("dvc", "repro", "-s", f"periodic-transform-transfer@{key}", fails=True)
    assert f"error: periodic.transfer.surveys.{key}: a name must be 1 to 100 letters" in said
    assert not list(copy.path.rglob("pwned"))


@pytest.mark.parametrize(
    ("stage", "keys", "outputs"),
    [
        ("periodic-transform-transfer", "periodic.transfer.surveys", ["data/victim", "out/periodic/victim.json"]),
        ("periodic-transfer", "periodic.transfer.surveys", ["out/victim", "out/periodic/metrics/victim.json"]),
        ("bars-train", "bars.networks", ["out/victim.weights.h5", "out/victim/plots"]),
        ("bars-heatmaps", "bars.networks", ["out/victim"]),
    ],
)
def test_a_key_of_params_yaml_deletes_nothing(clone, stage, keys, outputs):
    """DVC makes paths of outputs from keys, and removes most outputs before a stage runs."""
    copy = clone()
    settings = yaml.safe_load((copy.path / "params.yaml").read_text())["bars"]["networks"]["vgg16"]
    copy.change(**{keys: {"../../victim": settings | {"path": "params.yaml"}}})
    for output in outputs:
        (copy.path / output).mkdir(parents=True)
        (copy.path / output / "mine").touch()
    for dependency in ("victim.py", "skylight/networks/../../victim.py"):
        (copy.path / dependency).touch()
    copy.run("dvc", "repro", "-f", "-s", f"{stage}@../../victim", fails=True)
    assert all((copy.path / output / "mine").is_file() for output in outputs)


def test_a_source_archive_says_what_it_lacks(chain, tmp_path):
    chain.shell(f"git archive HEAD | tar -x -C {tmp_path}")
    options = {"env": chain.environment | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}, "cwd": tmp_path}
    ran = subprocess.run(
        ["make", "-s", "-o", ".venv/user", f"BIN={Path(sys.executable).parent}", "figures"],
        capture_output=True,
        text=True,
        **options,
    )
    assert ran.returncode == 2 and one_line(ran.stderr).startswith("error: this folder is not a Git repository")
