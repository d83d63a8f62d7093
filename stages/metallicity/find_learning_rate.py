"""Find a learning rate by the range test (Smith 2017, arXiv:1506.01186), as the published classifier did."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import save_json, save_table

OUT = Path("out/metallicity")


@script
def main() -> None:
    metallicity = params.load().metallicity

    from skylight.galaxies.metal_training import range_test, suggestions

    galaxies = load("data/processed/metallicity")
    settings, sweep = metallicity.train, metallicity.find_learning_rate
    found = range_test(galaxies, galaxies.rows("train"), metallicity.network, settings, sweep)
    save_table(OUT / "tables/learning_rates.csv", found)
    save_json(OUT / "metrics/learning_rate.json", suggestions(found))


if __name__ == "__main__":
    main()
