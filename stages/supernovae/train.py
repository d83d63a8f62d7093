"""Train Deep-HiTS, an ensemble of CAP networks, and CAP with batch normalisation (Reyes et al. 2018, section III).

One after the other, each as `skylight.training.fit` does; a killed run goes on where it was, whichever network
that was in.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.outputs import save_json, writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")


@script
def main() -> None:
    supernovae = params.load().supernovae
    images = {part: np.load(DATA / f"{part}.npy", mmap_mode="r") for part in ("train", "validation")}
    labels = {part: pd.read_csv(DATA / f"{part}.csv")["label"].to_numpy() for part in images}

    from skylight.networks.weights import save_npy_weights
    from skylight.training.fit import digest, forget

    data = digest(images["train"], labels["train"], images["validation"])
    metrics = {}
    with writing(OUT / "networks") as networks, writing(OUT / "training") as curves:
        for network, members in supernovae.members.items():
            for i, member in enumerate(members):
                seed = supernovae.train.seed + i
                options = supernovae.network_options[network]
                model = train(member, options, supernovae.train, seed, images, labels, data, curves)
                save_npy_weights(model, networks / member)
                metrics[member] = json.loads((curves / member / "metrics.json").read_text())
    forget("supernovae")
    save_json(OUT / "metrics/train.json", metrics)


def train(name: str, options: dict, settings, seed: int, images: dict, labels: dict, data: str, curves: Path):
    """Build and train one member; the folder ``curves/<name>`` gets its curves."""
    from keras import optimizers

    from skylight.networks.deep_hits import deep_hits
    from skylight.training.fit import array_batches, deterministic, digest, fit, ordered_batches

    deterministic(seed)
    model = deep_hits(**options)
    rate = optimizers.schedules.ExponentialDecay(settings.learning_rate, settings.halve_every, 0.5, staircase=True)
    model.compile(
        optimizers.SGD(rate, momentum=settings.momentum), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    count = len(images["train"])
    fit(
        model,
        array_batches(images["train"], labels["train"], settings.batch_size, seed),
        steps=-(-count // settings.batch_size),
        epochs=settings.epochs,
        name=f"supernovae/{name}",
        depends_on=digest(data, seed),
        parameters=settings.model_dump(),
        curves=curves / name,
        validation=ordered_batches(images["validation"], labels["validation"], 500),
        keep=True,
    )
    return model


if __name__ == "__main__":
    main()
