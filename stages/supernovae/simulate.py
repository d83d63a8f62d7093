"""Simulate HiTS candidates in the file format of the survey, and where their sources are, for the evaluation."""

from pathlib import Path

from skylight import params
from skylight.candidates.hits import PARTS
from skylight.errors import script
from skylight.outputs import writing
from skylight.simulations.hits import simulate


@script
def main() -> None:
    settings = params.load().supernovae.simulate
    counts = {part: getattr(settings, part) for part in PARTS}
    with writing(Path("data/simulated/hits")) as folder:
        simulate(folder, counts, settings.chunk, (settings.snr[0], settings.snr[1]), settings.seed)
    print(f"{sum(counts.values()):,} candidates")


if __name__ == "__main__":
    main()
