"""Train the convolutional network on the dmdt images (Mahabal et al. 2017, section 4)."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.outputs import save_table, writing
from skylight.training.splits import balance, first_copies, split

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    settings = periodic.train
    images, labels, ids = (np.load(DATA / f"{name}.npy") for name in ("X_2d", "y", "lcid"))

    is_test = split(ids, settings.test_fraction, settings.shuffle_seed, settings.split_seed)
    parts = pd.DataFrame({"lcid": ids, "part": np.where(is_test, "test", "train")})
    save_table(OUT / "tables/split.csv", parts[first_copies(ids)])

    import tensorflow as tf
    from keras import optimizers

    from skylight.networks.periodic_cnn import periodic_cnn
    from skylight.training.fit import array_batches, deterministic, digest, fit

    deterministic(settings.seed)
    train_images, train_labels = balance(images[~is_test], labels[~is_test], settings.sampling, settings.seed)
    held_out = is_test & first_copies(ids)
    model = periodic_cnn(len(periodic.classes), images.shape[1:])
    model.compile(optimizers.Adam(settings.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(
        model,
        array_batches(train_images, train_labels, settings.batch_size, settings.seed),
        steps=-(-len(train_images) // settings.batch_size),
        epochs=settings.epochs,
        name="periodic",
        parameters=settings.model_dump(),
        depends_on=digest(train_images, train_labels),
        curves=OUT / "training",
        # Only drawn beside the training curves, as published; nothing is chosen by it.
        validation=tf.data.Dataset.from_tensor_slices((images[held_out], labels[held_out])).batch(1024),
        validation_name="test",
    )
    with writing(OUT / "networks/cnn.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
