"""The CRTS network on another survey, as it is and fine-tuned on part of that survey's labelled objects.

python -m stages.periodic.transfer --survey ztf
"""

import argparse
from pathlib import Path

import numpy as np
from keras import optimizers

from skylight import params
from skylight.errors import script
from skylight.evaluation.classification import prediction_table, scores
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import save_json, save_table, writing
from skylight.training.fit import array_batches, deterministic, digest, fit
from skylight.training.splits import split

OUT = Path("out/periodic")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--survey", required=True, help="a key of periodic.transfer.surveys")
    name = parser.parse_args().survey

    periodic = params.load().periodic
    settings, classes = periodic.transfer, periodic.classes
    data = Path("data/processed/periodic_transfer") / name
    images, labels, ids = (np.load(data / f"{array}.npy") for array in ("X_2d", "y", "lcid"))

    deterministic(settings.seed)
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), images.shape[1:])
    before = model.predict(images, batch_size=1024, verbose=0)
    predictions = prediction_table(ids, labels, before, classes)
    metrics = {"objects": len(ids), "predicted": predictions["predicted"].value_counts().to_dict()}
    if (labels >= 0).all():
        is_test = split(ids, 1 - settings.train_fraction, settings.seed, settings.seed)
        fine_tune(model, images[~is_test], labels[~is_test], name, settings)
        after = model.predict(images, batch_size=1024, verbose=0)
        predictions["part"] = np.where(is_test, "test", "train")
        predictions["predicted_fine_tuned"] = np.array(classes)[after.argmax(axis=1)]
        metrics["test_objects"] = int(is_test.sum())
        metrics["as_it_is"] = scores(labels[is_test], before[is_test].argmax(axis=1), classes)
        metrics["fine_tuned"] = scores(labels[is_test], after[is_test].argmax(axis=1), classes)
        with writing(OUT / f"transfer/{name}/cnn.weights.h5") as aside:
            model.save_weights(aside)
    save_table(OUT / f"transfer/{name}/predictions.csv", predictions)
    save_json(OUT / f"metrics/transfer_{name}.json", metrics)


def fine_tune(model, images: np.ndarray, labels: np.ndarray, name: str, settings) -> None:
    """Train all layers on, from the weights of the first survey."""
    model.compile(optimizers.Adam(settings.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(
        model,
        array_batches(images, labels, settings.batch_size, settings.seed),
        steps=-(-len(images) // settings.batch_size),
        epochs=settings.epochs,
        name=f"periodic_transfer_{name}",
        parameters=settings.model_dump(exclude={"surveys"}),
        depends_on=digest(images, labels, *model.get_weights()),
        curves=OUT / f"transfer/{name}/training",
    )


if __name__ == "__main__":
    main()
