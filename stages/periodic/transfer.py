"""Test the CRTS network on another survey, before and after fine-tuning on a part of its labelled objects.

python -m stages.periodic.transfer --survey ztf
"""

import argparse
from pathlib import Path

import numpy as np
from keras import optimizers

from skylight import params
from skylight.errors import script
from skylight.evaluation.classification import prediction_table, scores
from skylight.light_curves import arrays
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import remove, save_json, save_table, writing
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
    data = arrays.load(Path("data/processed/periodic_transfer") / name)
    labels = data.labels
    remove(OUT / "transfer" / name)  # DVC leaves it; a survey without labels has no network

    deterministic(settings.seed)
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), data.images.shape[1:])
    before = model.predict(data.images, batch_size=1024, verbose=0)
    predictions = prediction_table(data.ids, labels, before, classes)
    metrics = {"objects": len(data), "predicted": predictions["predicted"].value_counts().to_dict()}
    if (labels >= 0).all():
        is_test = split(data.ids, 1 - settings.train_fraction, settings.seed, settings.seed)
        fine_tune(model, data.images[~is_test], labels[~is_test], name, settings)
        after = model.predict(data.images, batch_size=1024, verbose=0)
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
    """Train all layers, starting from the weights of the CRTS network."""
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
