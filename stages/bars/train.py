"""Train one network to answer the volunteers' questions (Bhambra et al. 2022, section 3.1).

Run as ``python -m stages.bars.train vgg16`` (or ``resnet50v2``, ``xception``).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.images import save_rejected, small_images, unlisted
from skylight.galaxies.questions import ANSWERS
from skylight.outputs import writing

OUT = Path("out/bars")


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    network, settings = bars.network(name), bars.train
    folder = Path(bars.data.path)

    from skylight.networks.galaxy_zoo import compile_regression, galaxy_zoo, init_output_bias
    from skylight.training.augmentation import Augmentation, image_batches, plain_batches
    from skylight.training.fit import deterministic, digest, fit
    from skylight.training.schedules import learning_schedule

    deterministic(settings.seed)
    shape = (bars.data.size, bars.data.size, 3)
    model = galaxy_zoo(name, shape, len(ANSWERS), network.width, network.momentum, network.weights, network.min_filters)

    solutions = survey.read_solutions(folder / survey.SOLUTIONS)
    train, held_out = survey.split(
        solutions, 1 - bars.data.validation_split, bars.data.seed, "bars.data.validation_split"
    )
    table = pd.concat([train, held_out], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [folder / survey.TRAINING_IMAGES / f"{galaxy}.jpg" for galaxy in table["GalaxyID"]]
        images, kept, rejected = small_images(paths, bars.data.crop, bars.data.size, Path(scratch) / "images.npy")
        rejected = pd.concat([rejected, unlisted(folder / survey.TRAINING_IMAGES, table["GalaxyID"])])
        save_rejected(OUT / name / "rejected.csv", rejected, bars.data.max_rejected)
        answers = table[ANSWERS].to_numpy(np.float32)[kept]
        count = int((kept < len(train)).sum())
        init_output_bias(model, answers[:count].mean(axis=0))
        steps = -(-count // settings.batch_size)
        rate, callbacks = learning_schedule(
            network.learning_rate,
            network.epochs,
            steps,
            settings.schedule,
            factor=settings.reduce_lr.factor,
            patience=settings.reduce_lr.patience,
            stop_after=settings.early_stopping.patience,
        )
        compile_regression(model, rate)

        batches = image_batches(
            images[:count],
            answers[:count],
            settings.batch_size,
            settings.seed,
            Augmentation(**bars.data.augmentation.model_dump()),
        )
        fit(
            model,
            batches,
            steps=steps,
            epochs=network.epochs,
            name=f"bars-{name}",
            parameters=network.model_dump() | settings.model_dump() | {"data": bars.data.model_dump()},
            depends_on=digest(images, answers),
            curves=OUT / name / "training",
            validation=plain_batches(images[count:], answers[count:], 256),
            callbacks=callbacks,
        )
    with writing(OUT / name / "model.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
