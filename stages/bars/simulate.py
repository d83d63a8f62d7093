"""Simulate Galaxy Zoo 2 and the bar-length catalogue, in the published layout."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.outputs import writing
from skylight.simulations.galaxy_zoo import SurveyPlan, simulate


@script
def main() -> None:
    settings = params.load().bars.simulate
    with writing(Path("data/simulated/galaxy_zoo")) as folder:
        simulate(folder, SurveyPlan(**settings.model_dump()))


if __name__ == "__main__":
    main()
