"""Simulate labelled alert packets of ZTF, real and bogus in the published ratio."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.outputs import writing
from skylight.simulations.alerts import simulate

DATA = Path("data/simulated/ztf_alerts")


@script
def main() -> None:
    settings = params.load().realbogus.simulate
    with writing(DATA) as folder:
        counts = simulate(folder, settings.alerts, settings.seed)
    print(f"{counts['real']} real and {counts['bogus']} bogus alerts")


if __name__ == "__main__":
    main()
