"""Answer the volunteers' questions about the training and test pictures (Bhambra et al. 2022, section 3.1).

python -m stages.bars.test vgg16    # or another network of bars.networks
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.galaxies.arrays import load
from skylight.galaxies.questions import ANSWERS
from skylight.outputs import save_table

OUT = Path("out/bars")


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    network = bars.network(name)

    from skylight.galaxies.regression import predict
    from skylight.networks.galaxy_zoo import load_galaxy_zoo
    from skylight.training.fit import deterministic

    deterministic(bars.train.seed)
    weights = OUT / "networks" / f"{name}.weights.h5"
    model = load_galaxy_zoo(weights, name, bars.transform.size, network.width, network.min_filters)
    for part, source in {"train": "training", "test": "test"}.items():
        pictures = load("data/processed/bars", source)
        table = pd.DataFrame(predict(model, pictures.images, np.arange(len(pictures))), columns=ANSWERS)
        table.insert(0, "GalaxyID", pictures.ids)
        save_table(OUT / "predictions" / name / f"{part}.csv", table)


if __name__ == "__main__":
    main()
