"""The timing of stages: order, wall time, memory, and what it says of a stage that fails."""

import sys

import pytest

from bench.stages import in_order, timed
from skylight.report.pipeline import Stage


def stage(name: str, *after: str) -> Stage:
    return Stage(name, f"python -m stages.{name}", (), (), (), after)


# As dvc.yaml may have them: a stage before one that it needs.
STAGES = [
    stage("stars-draw", "stars-train"),
    stage("stars-train", "stars-read"),
    stage("stars-read"),
    stage("moons-read"),
]


def test_every_stage_comes_after_those_it_needs_and_no_other_is_run():
    assert [s.name for s in in_order(STAGES, ["stars"])] == ["stars-read", "stars-train", "stars-draw"]
    assert [s.name for s in in_order(STAGES, ["stars-train"])] == ["stars-read", "stars-train"]
    assert {s.name for s in in_order(STAGES, [])} == {s.name for s in STAGES}


def test_time_and_memory_are_those_of_the_command(tmp_path):
    wait = f'{sys.executable} -c "import time; time.sleep(0.5)"'
    fill = f'{sys.executable} -c "held = bytearray(800 * 2**20)"'
    waited, filled = timed(wait, str(tmp_path)), timed(fill, str(tmp_path))
    assert 0.5 <= waited["seconds"] < 5
    assert waited["peak_memory_mib"] < 800 <= filled["peak_memory_mib"] < 1000


def test_a_stage_that_fails_ends_it_with_what_it_said(tmp_path):
    with pytest.raises(SystemExit, match=r"failed\nno such star"):
        timed("echo no such star >&2; exit 3", str(tmp_path))
