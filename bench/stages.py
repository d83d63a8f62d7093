"""Measure time and memory of every stage: ``python -m bench.stages --machine "2 cores of ..., no GPU" [STAGE...]``.

The stages run one after the other in a temporary clone of HEAD, each after those that it needs. The table
`bench/stages.csv`, which the report shows, gets the results. With names of stages (``periodic-train``) or chapters
(``periodic``), only these and the stages that they need are run, and only their rows are replaced.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from skylight.outputs import save_table
from skylight.report.pages import TIME_COLUMNS
from skylight.report.pipeline import Stage, read_stages

TABLE = Path("bench/stages.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the stages of the pipeline.")
    parser.add_argument("names", nargs="*", metavar="STAGE", help="stages or chapters (default: all)")
    parser.add_argument("--machine", required=True, help="description of the machine for the report")
    arguments = parser.parse_args()
    stages = read_stages()
    unknown = set(arguments.names) - {name for s in stages for name in (s.name, s.group, s.chapter)}
    if unknown:
        parser.error(f"no stage and no chapter {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "-q", ".", folder], check=True)
        rows = [
            {"stage": stage.name, **timed(stage.command, folder), "machine": arguments.machine}
            for stage in in_order(stages, arguments.names)
        ]
    measured = pd.DataFrame(rows, columns=TIME_COLUMNS)
    measured = measured.round({"seconds": 1, "processor_seconds": 1, "peak_memory_mib": 0})
    before = pd.read_csv(TABLE)
    known = pd.concat([before[~before["stage"].isin(measured["stage"])], measured])
    order = {stage.name: place for place, stage in enumerate(stages)}
    known = known[known["stage"].isin(order)].sort_values("stage", key=lambda names: names.map(order))
    save_table(TABLE, known)


def in_order(stages: list[Stage], names: list[str]) -> list[Stage]:
    """Return the stages that ``names`` choose and all stages that they need, each after those that it needs."""
    by_name, ordered = {stage.name: stage for stage in stages}, {}

    def visit(stage: Stage) -> None:
        for name in sorted(stage.after):
            visit(by_name[name])
        ordered[stage.name] = stage

    for stage in stages:
        if not names or {stage.name, stage.group, stage.chapter} & set(names):
            visit(stage)
    return list(ordered.values())


def timed(command: str, folder: str) -> dict[str, float]:
    """Measure the wall time and the processor time (user + system, of all processes; seconds) of a command, and the
    largest memory of any of its processes (MiB).

    In Linux the peak memory of a new process is at least that of the process which started it. The memory of the
    benchmark itself is therefore the smallest value that can be measured.
    """
    print(command, flush=True)
    start = time.perf_counter()
    process = subprocess.Popen(shlex.split(command), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    printed = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"error: {command} failed\n{printed[-2000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    processor_seconds = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "processor_seconds": processor_seconds, "peak_memory_mib": usage.ru_maxrss / unit}


if __name__ == "__main__":
    main()
