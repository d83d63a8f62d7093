"""The stage that simulates the surveys, run from the command line."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def simulate(folder: Path, scale: str = "0.002", seed: str = "0") -> subprocess.CompletedProcess:
    """Run the stage in ``folder`` with the repository's parameters, but few stars."""
    text = (ROOT / "params.yaml").read_text()
    few = {"scale: 0.15": f"scale: {scale}", "ztf_stars: 900": "ztf_stars: 20", "ptf_stars: 900": "ptf_stars: 20"}
    few |= {"simulate:\n    seed: 0": f"simulate:\n    seed: {seed}"}
    for before, after in few.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    (folder / "params.yaml").write_text(text)
    command = [sys.executable, "-m", "stages.periodic.simulate"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def digest(folder: Path) -> str:
    hashed = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        hashed.update(str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b""))
    return hashed.hexdigest()


def test_equal_seeds_give_equal_files_and_other_seeds_other_files(tmp_path):
    assert simulate(tmp_path).returncode == 0
    data = tmp_path / "data" / "simulated"
    assert sorted(path.name for path in data.iterdir()) == ["crts", "ptf", "ztf"]
    first = {path.name: digest(path) for path in data.iterdir()}
    simulate(tmp_path)
    assert {path.name: digest(path) for path in data.iterdir()} == first
    simulate(tmp_path, seed="1")
    assert not set(first.values()) & {digest(path) for path in data.iterdir()}


@pytest.mark.parametrize("scale", ["0", "lots"])
def test_an_error_in_a_parameter_is_one_line_that_names_it(tmp_path, scale):
    run = simulate(tmp_path, scale=scale)
    assert run.returncode == 1
    assert run.stderr.startswith("error: periodic.simulate.scale: must be")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
