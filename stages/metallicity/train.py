"""Train the network to tell galaxies of low metallicity from those of high metallicity (Wu 2020)."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import writing

OUT = Path("out/metallicity")


@script
def main() -> None:
    metallicity = params.load().metallicity
    settings = metallicity.train

    from skylight.galaxies.metal_training import build, train
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    galaxies = load("data/processed/metallicity")
    model = build(galaxies, len(ANSWERS), metallicity.network)
    rows, validation = galaxies.rows("train"), galaxies.rows("validation")
    curves = OUT / "training/classifier"
    train(model, galaxies, galaxies.labels, rows, validation, settings, name="metallicity", curves=curves)
    with writing(OUT / "networks/classifier.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
