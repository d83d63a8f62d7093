"""An example on real data: two networks classify handwritten digits, and LRP explains them by every rule.

The data are the digits that come with scikit-learn, or MNIST if ``supernovae.digits.mnist`` is the path of its file.
"""

from pathlib import Path

import numpy as np
from keras import optimizers

from skylight import params, plotting
from skylight.attribution import lrp
from skylight.candidates import plots
from skylight.candidates.digits import Digits, first_correct, read_digits
from skylight.errors import script
from skylight.networks.digits import digits_network
from skylight.networks.weights import save_npy_weights
from skylight.outputs import save_json, writing
from skylight.training.fit import array_batches, deterministic, digest, fit, ordered_batches

OUT = Path("out/supernovae")


@script
def main() -> None:
    settings = params.load().supernovae.digits
    digits = read_digits(settings.mnist, settings.test_fraction, settings.seed)
    metrics, maps, predicted = {"test_digits": len(digits.y_test)}, {}, {}
    with writing(OUT / "digits") as folder:
        for kind in plots.DIGIT_NETWORKS:
            model = train(kind, digits, settings, folder)
            answers = model.predict(digits.x_test, verbose=0).argmax(axis=1)
            metrics[kind] = {"accuracy": float((answers == digits.y_test).mean())}
            if kind == "mlp":
                examples = first_correct(digits.y_test, answers)
            predicted[kind] = answers[examples]
            for rule in settings.rules:
                maps[kind, rule] = lrp(model, digits.x_test[examples], rule=rule)[..., 0]
            save_npy_weights(model, folder / kind)
        np.savez(folder / "maps.npz", **{f"{kind}_{rule}": values for (kind, rule), values in maps.items()})
    save_json(OUT / "metrics/digits.json", metrics)
    with writing(OUT / "figures_digits") as folder:
        plotting.save(plots.digits(digits.x_test[examples, ..., 0], maps, predicted), folder / "digits.png")


def train(kind: str, digits: Digits, settings, folder: Path):
    """Build and train a network; ``<folder>/training/<kind>`` gets its curves."""
    deterministic(settings.seed)
    model = digits_network(kind, digits.x_train.shape[1:])
    model.compile(optimizers.Adam(settings.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(
        model,
        array_batches(digits.x_train, digits.y_train, settings.batch_size, settings.seed),
        steps=-(-len(digits.x_train) // settings.batch_size),
        epochs=settings.epochs,
        name=f"supernovae-digits/{kind}",
        depends_on=digest(digits.x_train, digits.y_train),
        parameters=settings.model_dump(),
        curves=folder / "training" / kind,
        validation=ordered_batches(digits.x_test, digits.y_test, 500),
        validation_name="test",
    )
    return model


if __name__ == "__main__":
    main()
