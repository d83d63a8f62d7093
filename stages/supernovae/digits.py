"""The self-contained example: a dense and a convolutional network read handwritten digits, and every rule explains why.

Real data: the digits that come with scikit-learn, or MNIST where ``supernovae.digits.mnist`` points to it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from keras import optimizers

from skylight import params, plotting
from skylight.attribution.relevance import lrp
from skylight.candidates.digits import read_digits
from skylight.errors import script
from skylight.networks.digits import digits_network
from skylight.networks.weights import save_npy_weights
from skylight.outputs import save_json, writing
from skylight.training.fit import array_batches, deterministic, digest, fit, ordered_batches

OUT = Path("out/supernovae")
NETWORKS = {"mlp": "dense network", "cnn": "convolutional network"}


@script
def main() -> None:
    settings = params.load().supernovae.digits
    digits = read_digits(settings.mnist, settings.test_fraction, settings.seed)
    metrics, maps, predicted = {"test_digits": len(digits.y_test)}, {}, {}
    with writing(OUT / "digits") as folder:
        for kind in NETWORKS:
            model = train(kind, digits, settings, folder)
            answers = model.predict(digits.x_test, verbose=0).argmax(axis=1)
            metrics[kind] = {"accuracy": float((answers == digits.y_test).mean())}
            if kind == "mlp":
                examples = first_right(digits.y_test, answers)
            predicted[kind] = answers[examples]
            for rule in settings.rules:
                maps[kind, rule] = lrp(model, digits.x_test[examples], rule=rule)[..., 0]
            save_npy_weights(model, folder / kind)
        np.savez(folder / "maps.npz", **{f"{kind}_{rule}": values for (kind, rule), values in maps.items()})
    save_json(OUT / "metrics/digits.json", metrics)
    with writing(OUT / "figures_digits") as folder:
        figure = heatmaps(digits.x_test[examples, ..., 0], maps, predicted)
        plotting.save(figure, folder / "digits.png")


def train(kind: str, digits, settings, folder: Path):
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


def first_right(labels: np.ndarray, answers: np.ndarray) -> list[int]:
    """The first test digit of each kind that is read right, or else the first."""
    rows = []
    for digit in np.unique(labels):
        members = np.flatnonzero(labels == digit)
        right = members[answers[members] == digit]
        rows.append(int((right if len(right) else members)[0]))
    return rows


def heatmaps(images: np.ndarray, maps: dict, predicted: dict):
    """A column a digit; a row the images, then one a network and rule, each map scaled by itself."""
    rows = len(maps) + 1
    figure, axes = plt.subplots(
        rows, len(images), figsize=(plotting.PAGE, 0.58 * rows + 0.3), squeeze=False, gridspec_kw={"wspace": 0.04}
    )
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(image, cmap="gray_r", origin="upper")
    axes[0, 0].set_ylabel("digit", rotation=0, ha="right", va="center")
    for line, ((kind, rule), values) in zip(axes[1:], maps.items(), strict=True):
        for ax, heatmap in zip(line, values, strict=True):
            norm = plotting.diverging_norm(heatmap, 100)
            shown = ax.imshow(heatmap / norm.vmax, cmap=plotting.DIVERGING, vmin=-1, vmax=1, origin="upper")
        line[0].set_ylabel(f"{NETWORKS[kind].split()[0]}\n{rule}", rotation=0, ha="right", va="center")
    for ax, *read in zip(axes[0], *predicted.values(), strict=True):
        ax.set_title("read as " + " / ".join(map(str, dict.fromkeys(read))), fontsize=7)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.4, aspect=40, label="relevance / largest of the map")
    return figure


if __name__ == "__main__":
    main()
