"""Train the convolutional network on the dmdt images (Mahabal et al. 2017, section 4)."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import InputError, script
from skylight.light_curves import arrays
from skylight.outputs import save_table, writing
from skylight.training.splits import balance, split

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    settings = periodic.train
    data = arrays.load(DATA)

    is_test = split(data.ids, settings.test_fraction, settings.shuffle_seed, settings.split_seed)
    parts = pd.DataFrame({"lcid": data.ids, "part": np.where(is_test, "test", "train")})
    absent = sorted(set(range(len(periodic.classes))) - set(data.labels[~is_test]))
    if absent:
        raise InputError(
            f"periodic.classes: no object of {periodic.classes[absent[0]]} is in the training part; "
            "leave the class out, or take another periodic.train.split_seed"
        )
    save_table(OUT / "tables/split.csv", parts.drop_duplicates("lcid"))

    import tensorflow as tf
    from keras import optimizers

    from skylight.networks.periodic_cnn import periodic_cnn
    from skylight.training.fit import array_batches, deterministic, digest, fit

    deterministic(settings.seed)
    train, test = data[~is_test], data[is_test].objects()
    images, labels = balance(train.images, train.labels, settings.sampling, settings.seed, "periodic.train.sampling")
    model = periodic_cnn(len(periodic.classes), images.shape[1:])
    model.compile(optimizers.Adam(settings.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(
        model,
        array_batches(images, labels, settings.batch_size, settings.seed),
        steps=-(-len(images) // settings.batch_size),
        epochs=settings.epochs,
        name="periodic",
        parameters=settings.model_dump(),
        depends_on=digest(images, labels),
        curves=OUT / "training",
        # Only for the figure of the curves, as published; no choice depends on it.
        validation=tf.data.Dataset.from_tensor_slices((test.images, test.labels)).batch(1024),
        validation_name="test",
    )
    with writing(OUT / "networks/cnn.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
