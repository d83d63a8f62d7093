"""Simulate SDSS galaxies with gas metallicities, in the published layout."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.outputs import writing
from skylight.simulations.metallicity import SurveyPlan, simulate


@script
def main() -> None:
    settings = params.load().metallicity.simulate
    with writing(Path("data/simulated/sdss_metallicity")) as folder:
        simulate(folder, SurveyPlan(**settings.model_dump()))


if __name__ == "__main__":
    main()
