"""Measure every method of explanation on validation alerts, and compare what it can explain (not in the paper).

The table has each method once for the logit and once for the log-odds. The score of the chapter's maps,
``realbogus.heatmaps.score``, was chosen from it (docs/evaluation.md).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts.triplets import load
from skylight.errors import InputError, script
from skylight.evaluation.scorecard import scorecard
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_table

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")


@script
def main() -> None:
    realbogus = params.load().realbogus
    settings = realbogus.methods
    survey, split = load(DATA), pd.read_csv(OUT / "tables/split.csv")
    rows = survey.rows(split["candid"][split["part"] == "validation"])
    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    probabilities = model.predict(survey.triplets[rows], batch_size=1024, verbose=0)
    predicted = probabilities.argmax(axis=1)
    sure = (predicted == survey.labels[rows]) & (probabilities.max(axis=1) >= realbogus.heatmaps.min_probability)
    chosen = np.sort(np.concatenate([np.flatnonzero(sure & (predicted == c))[: settings.alerts // 2] for c in (0, 1)]))
    if not len(chosen):
        raise InputError("realbogus.heatmaps.min_probability: no validation alert is classified right with it")

    background = np.load(OUT / "heatmaps/background.npy")
    options = {name: {"layer": "conv4"} for name in ("gradcam", "hirescam", "layercam")}
    options |= {name: {} for name in ("saliency", "gradient_x_input", "integrated_gradients")}
    options |= {"smoothgrad": {"samples": settings.samples}, "deep_shap": {"background": background}}
    options |= {f"lrp {rule}": {"method": "lrp", "rule": rule} for rule in settings.lrp_rules}
    table, differences = scorecard(model, survey.triplets[rows[chosen]], predicted[chosen], options, seed=settings.seed)
    save_table(OUT / "metrics/methods.csv", table)
    save_table(OUT / "metrics/scores.csv", differences)


if __name__ == "__main__":
    main()
