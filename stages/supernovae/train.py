"""Train Deep-HiTS, an ensemble of CAP networks, and CAP with batch normalisation (Reyes et al. 2018, section III).

The networks are trained one after the other. A killed run continues at the epoch where it stopped
(`skylight.training.fit`).
"""

import json
from pathlib import Path

from skylight import params
from skylight.candidates import hits
from skylight.errors import script
from skylight.outputs import save_json, writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")


@script
def main() -> None:
    supernovae = params.load().supernovae
    data = {part: hits.load(DATA, part) for part in ("train", "validation")}

    from skylight.networks.weights import save_npy_weights
    from skylight.training.fit import digest, forget

    inputs = digest(data["train"].stamps, data["train"].labels, data["validation"].stamps)
    metrics = {}
    with writing(OUT / "networks") as networks, writing(OUT / "training") as curves:
        for network, members in supernovae.members.items():
            for i, member in enumerate(members):
                seed = supernovae.train.seed + i
                options = supernovae.network_options[network]
                model = train(member, options, supernovae.train, seed, data, inputs, curves)
                save_npy_weights(model, networks / member)
                metrics[member] = json.loads((curves / member / "metrics.json").read_text(encoding="utf-8"))
    forget("supernovae")
    save_json(OUT / "metrics/train.json", metrics)


def train(name: str, options: dict, settings, seed: int, data: dict[str, hits.Candidates], inputs: str, curves: Path):
    """Build and train one member on data with the digest ``inputs``; the folder ``<curves>/<name>`` gets its curves."""
    from keras import optimizers

    from skylight.networks.deep_hits import deep_hits
    from skylight.training.fit import array_batches, deterministic, digest, fit, ordered_batches

    deterministic(seed)
    model = deep_hits(**options)
    rate = optimizers.schedules.ExponentialDecay(settings.learning_rate, settings.halve_every, 0.5, staircase=True)
    model.compile(
        optimizers.SGD(rate, momentum=settings.momentum), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    training, validation = data["train"], data["validation"]
    fit(
        model,
        array_batches(training.stamps, training.labels, settings.batch_size, seed),
        steps=-(-len(training.stamps) // settings.batch_size),
        epochs=settings.epochs,
        name=f"supernovae/{name}",
        depends_on=digest(inputs, seed),
        parameters=settings.model_dump(),
        curves=curves / name,
        validation=ordered_batches(validation.stamps, validation.labels, 500),
        keep=True,
    )
    return model


if __name__ == "__main__":
    main()
