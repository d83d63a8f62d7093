"""Reading and transforming the 45,630 files of the published survey in one pass: files per second and memory.

The ideal rate is that of reading, dmdt images and features of a sample of the files in one process, multiplied by the
number of cores. It does not include writing and the exchange of data between processes.
"""

import argparse
import itertools
import os
import resource
import shutil
import tempfile
import threading
import time
from pathlib import Path

import joblib
import psutil

from skylight import params
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import open_survey
from skylight.light_curves.transform import Oversampling, transform_batch, write_arrays
from skylight.params import check
from skylight.params.light_curves import CrtsLayout
from skylight.simulations.crts import simulate_crts

SIZES = (1_000, 45_630)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=SIZES[1])
    most = parser.parse_args().files
    periodic = params.load().periodic
    dmdt = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges)
    vanilla = Oversampling("vanilla", 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        simulate_crts(root / "crts", most / SIZES[1], seed=0)
        data = check(CrtsLayout, {"layout": "crts", "path": str(root / "crts/v0")})
        survey = open_survey(data, periodic.classes)

        sample = list(itertools.islice(survey.sources(), 1_000))
        start = time.perf_counter()
        transform_batch(sample, [1] * len(sample), (dmdt.dm_edges, dmdt.dt_edges), vanilla)
        ideal = len(sample) / (time.perf_counter() - start) * joblib.cpu_count()

        for size in (min(SIZES[0], most), most):
            part = survey.only(list(survey.labels["id"][:size]))
            out = root / "out"
            with PeakMemory() as memory:
                start = time.perf_counter()
                write_arrays(part, dmdt, periodic.classes, vanilla, 0.05, out)
                seconds = time.perf_counter() - start
            print(
                f"{len(part.labels):7,d} files: {len(part.labels) / seconds:7,.0f} files/s, ideal {ideal:,.0f}; "
                f"peak resident memory {memory.peak / 2**20:,.0f} MiB with all worker processes"
            )
            shutil.rmtree(out)
    print(f"largest single process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:,.0f} MiB")


class PeakMemory:
    """The largest resident memory of this process and its children during the block, from samples."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        process = psutil.Process(os.getpid())
        while not self._done.wait(0.1):
            total = 0
            for each in (process, *process.children(recursive=True)):
                try:
                    total += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)

    def __exit__(self, *error) -> None:
        self._done.set()
        self._thread.join()


if __name__ == "__main__":
    main()
