"""Test the networks and the ensemble (Reyes et al. 2018, table II): error rates by threshold and SNR, invariance."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution.orientation import turned
from skylight.candidates import hits
from skylight.errors import script
from skylight.evaluation.bootstrap import resamples
from skylight.evaluation.detection import accuracy_gain, rates_by_snr, rates_with_errors, trade_off
from skylight.evaluation.rotation_equivariance import TURNS
from skylight.networks.deep_hits import load_deep_hits
from skylight.outputs import save_json, save_table

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")
CHUNK = 5000  # candidates turned at once


@script
def main() -> None:
    supernovae = params.load().supernovae
    settings = supernovae.test
    test = hits.load(DATA, "test")
    labels, snr = test.labels, test.table["snr"].to_numpy()

    scores, invariance = {}, {}
    for network, members in supernovae.members.items():
        answers = []
        for member in members:
            model = load_deep_hits(OUT / "networks" / member, **supernovae.network_options[network])
            answers.append(predict(model, test.stamps, 0))
        scores[network] = answers[0]
        if len(members) > 1:
            scores[f"{network}_ensemble"] = np.mean(answers, axis=0)
        moved = [np.abs(predict(model, test.stamps, turn) - answers[-1]).max() for turn in range(1, TURNS)]
        invariance[network] = float(max(moved))

    samples = resamples(len(labels), settings.bootstrap, settings.seed)
    metrics = {name: rates_with_errors(labels, values, samples) for name, values in scores.items()}
    for name in scores:
        metrics[name]["gain_over_deep_hits"] = accuracy_gain(labels, scores[name], scores["deep_hits"], samples)
    metrics = {"networks": metrics, "largest_change_under_quarter_turns": invariance, "candidates": len(labels)}
    save_json(OUT / "metrics/test.json", metrics, digits=8)
    save_table(OUT / "tables/predictions.csv", test.table.join(pd.DataFrame(scores).add_prefix("p_")))
    curves = [trade_off(labels, values).assign(network=name) for name, values in scores.items()]
    save_table(OUT / "tables/det.csv", pd.concat(curves))
    bins = [rates_by_snr(labels, s, snr, settings.snr_edges).assign(network=name) for name, s in scores.items()]
    save_table(OUT / "tables/snr.csv", pd.concat(bins))


def predict(model, images: np.ndarray, turn: int) -> np.ndarray:
    """Predict the probability of a real source for images turned by ``turn`` quarters, (N,) float64."""
    parts = [
        model.predict(turned(images[start : start + CHUNK], turn), batch_size=500, verbose=0)[:, 1]
        for start in range(0, len(images), CHUNK)
    ]
    return np.concatenate(parts).astype(float)


if __name__ == "__main__":
    main()
