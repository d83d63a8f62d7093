"""Train the control: an Xception that regresses the catalogue's lengths directly (Bhambra et al. 2022, section 3.4).

It learns ``length_scaled`` from all but the last ``test_split`` of the shuffled catalogue and is tested on that.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.catalogue import LENGTH_UNIT, catalogue_arcsec
from skylight.galaxies.images import save_rejected, small_images
from skylight.outputs import save_table, writing

OUT = Path("out/bars/control")


@script
def main() -> None:
    bars = params.load().bars
    folder, network, settings = Path(bars.data.path), bars.control, bars.train

    from skylight.networks.galaxy_zoo import compile_regression, galaxy_zoo, init_output_bias
    from skylight.training.augmentation import Augmentation, image_batches, plain_batches
    from skylight.training.fit import deterministic, digest, fit
    from skylight.training.schedules import learning_schedule

    deterministic(settings.seed)
    shape = (bars.data.size, bars.data.size, 3)
    model = galaxy_zoo("xception", shape, 1, network.width, network.momentum, network.weights, network.min_filters)

    catalogue = survey.read_catalogue(folder)
    rest, test = survey.split(catalogue, 1 - bars.xai.test_split, bars.data.seed, "bars.xai.test_split")
    train, held_out = survey.split(rest, 1 - bars.data.validation_split, bars.data.seed, "bars.data.validation_split")
    table = pd.concat([train, held_out, test], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [folder / survey.CATALOGUE_IMAGES / f"{asset}.jpg" for asset in table["asset_id"]]
        images, kept, rejected = small_images(paths, bars.data.crop, bars.data.size, Path(scratch) / "images.npy")
        save_rejected(OUT / "rejected.csv", rejected, bars.data.max_rejected)
        first, last = np.searchsorted(kept, [len(train), len(rest)])
        lengths = table["length_scaled"].to_numpy(np.float32)[kept, None]
        init_output_bias(model, lengths[:first].mean(axis=0))
        steps = -(-int(first) // settings.batch_size)
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
            images[:first],
            lengths[:first],
            settings.batch_size,
            settings.seed,
            Augmentation(**bars.data.augmentation.model_dump()),
        )
        fit(
            model,
            batches,
            steps=steps,
            epochs=network.epochs,
            name="bars-control",
            parameters=network.model_dump() | settings.model_dump() | {"data": bars.data.model_dump()},
            depends_on=digest(images, lengths),
            curves=OUT / "training",
            validation=plain_batches(images[first:last], lengths[first:last], 256),
            callbacks=callbacks,
        )
        predicted = model.predict(plain_batches(images[last:], None, 256), verbose=0)[:, 0]
    with writing(OUT / "model.weights.h5") as aside:
        model.save_weights(aside)
    test = table.iloc[kept[last:]]
    predictions = test[["objid", "asset_id"]].rename(columns={"asset_id": "GalaxyID"})
    predictions["cnn_length"] = LENGTH_UNIT * predicted * test["PETROR90_R"]
    predictions["hoyle_length"] = catalogue_arcsec(test)
    save_table(OUT / "predictions.csv", predictions)


if __name__ == "__main__":
    main()
