"""Simulate the surveys, each in its own format: CRTS for the training, ZTF and PTF for the transfer."""

from pathlib import Path

from skylight import errors, outputs, params
from skylight.simulations.crts import simulate_crts
from skylight.simulations.ptf import simulate_ptf
from skylight.simulations.ztf import simulate_ztf

DATA = Path("data/simulated")


@errors.script
def main() -> None:
    simulate = params.load().periodic.simulate
    with outputs.writing(DATA / "crts") as folder:
        stars = simulate_crts(folder, simulate.scale, simulate.seed)
    print(f"{stars} light curves of CRTS")
    with outputs.writing(DATA / "ztf") as folder:
        stars = simulate_ztf(folder, simulate.ztf_stars, simulate.seed + 1)
    print(f"{stars} stars of ZTF")
    with outputs.writing(DATA / "ptf") as folder:
        stars = simulate_ptf(folder, simulate.ptf_stars, simulate.seed + 2)
    print(f"{stars} stars of PTF")


if __name__ == "__main__":
    main()
