"""Train VGG6 with two outputs on the triplets (the network of braXAI; Duev et al. 2019, section 3)."""

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from keras import callbacks, optimizers

from skylight import params
from skylight.alerts.triplets import CLASSES, load
from skylight.errors import InputError, script
from skylight.networks.vgg6 import vgg6
from skylight.outputs import save_table, writing
from skylight.training.augmentation import flipped_batches
from skylight.training.fit import deterministic, digest, fit
from skylight.training.splits import inverse_frequencies, parts

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")


@script
def main() -> None:
    settings = params.load().realbogus.train
    survey = load(DATA)
    triplets, labels = survey.triplets, survey.labels
    part = parts(survey.objectids, settings.test_fraction, settings.validation_fraction, settings.split_seed)
    save_table(OUT / "tables/split.csv", pd.DataFrame({"candid": survey.candids, "part": part}))
    train, held_out = part == "train", np.flatnonzero(part == "validation")
    for index, name in enumerate(CLASSES):
        if not (labels[train] == index).any():
            raise InputError(f"{DATA}/label.npy: no {name} alert in the training part, both classes are needed")

    deterministic(settings.seed)
    model = vgg6(len(CLASSES))
    model.compile(optimizers.Adam(settings.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(
        model,
        flipped_batches(
            triplets,
            np.flatnonzero(train),
            labels,
            inverse_frequencies(labels[train])[labels],
            settings.batch_size,
            settings.seed,
        ),
        steps=-(-int(train.sum()) // settings.batch_size),
        epochs=settings.epochs,
        name="realbogus",
        depends_on=digest(triplets, labels, part),
        parameters=settings.model_dump(),
        curves=OUT / "training",
        validation=tf.data.Dataset.from_tensor_slices((triplets[held_out], labels[held_out])).batch(1024),
        callbacks=[callbacks.EarlyStopping("val_loss", patience=settings.patience, restore_best_weights=True)],
    )
    with writing(OUT / "networks/vgg6.weights.h5") as aside:
        model.save_weights(aside)


if __name__ == "__main__":
    main()
