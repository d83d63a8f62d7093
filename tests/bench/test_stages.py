"""The benchmark of stages: their order, wall time, memory, and the error of a stage that fails."""

import ast
import subprocess
import sys

import pytest

from bench.stages import in_order, timed
from skylight.report.pipeline import Stage
from tests.conftest import ROOT


def stage(name: str, *after: str) -> Stage:
    return Stage(name, f"python -m stages.{name}", (), (), (), after)


# As in dvc.yaml, a stage can stand before one that it needs.
STAGES = [
    stage("stars-draw", "stars-train"),
    stage("stars-train", "stars-read"),
    stage("stars-read"),
    stage("moons-read"),
]


def test_a_stage_runs_after_those_that_it_needs_and_no_others_run():
    assert [s.name for s in in_order(STAGES, ["stars"])] == ["stars-read", "stars-train", "stars-draw"]
    assert [s.name for s in in_order(STAGES, ["stars-train"])] == ["stars-read", "stars-train"]
    assert {s.name for s in in_order(STAGES, [])} == {s.name for s in STAGES}


@pytest.mark.slow
def test_time_and_memory_of_a_command(tmp_path):
    wait = f'{sys.executable} -c "import time; time.sleep(0.5)"'
    fill = f'{sys.executable} -c "held = bytearray(800 * 2**20)"'
    # In its own process: the peak memory of a child is at least that of the process that forked it, here pytest.
    script = f"from bench.stages import timed; print([timed(c, {str(tmp_path)!r}) for c in ({wait!r}, {fill!r})])"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    waited, filled = ast.literal_eval(run.stdout.splitlines()[-1])
    assert 0.5 <= waited["seconds"] < 5 and waited["processor_seconds"] < 0.5
    assert waited["peak_memory_mib"] < 800 <= filled["peak_memory_mib"] < 1000


def test_a_stage_that_fails_is_an_error_with_its_output(tmp_path):
    with pytest.raises(SystemExit, match=r"failed\nno such star"):
        timed(f"{sys.executable} -c 'import sys; sys.exit(\"no such star\")'", str(tmp_path))
