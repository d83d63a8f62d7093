"""Train one network to answer the volunteers' questions (Bhambra et al. 2022, section 3.1).

python -m stages.bars.train vgg16    # or another network of bars.networks
"""

import sys
from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import script
from skylight.galaxies.arrays import load
from skylight.galaxies.catalogue import SOLUTIONS, read_solutions, shuffle_split
from skylight.galaxies.questions import ANSWERS
from skylight.outputs import writing

OUT = Path("out/bars")


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    network, settings = bars.network(name), bars.train

    from skylight.galaxies.regression import train
    from skylight.networks.galaxy_zoo import galaxy_zoo
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    shape = (bars.transform.size, bars.transform.size, 3)
    model = galaxy_zoo(name, shape, len(ANSWERS), network.width, network.momentum, network.weights, network.min_filters)

    pictures = load("data/processed/bars", "training")
    solutions = read_solutions(Path(bars.data.path) / SOLUTIONS)
    share, seed = 1 - settings.validation_split, bars.data.split_seed
    parts = shuffle_split(solutions, share, seed, "bars.train.validation_split")
    rows, validation = (pictures.rows(part["GalaxyID"]) for part in parts)
    answers = solutions.set_index("GalaxyID").loc[pictures.ids, ANSWERS].to_numpy(np.float32)
    curves = OUT / "training" / name
    train(model, pictures.images, answers, rows, validation, network, settings, name=f"bars-{name}", curves=curves)
    with writing(OUT / "networks" / f"{name}.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
