"""Measure every rule of LRP and other methods on validation candidates, and compare what they can explain.

Not in the paper. The table has each method once for the logit and once for the log-odds. The score of the chapter's
maps, ``supernovae.heatmaps.score``, was chosen from it (docs/evaluation.md).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.candidates import hits
from skylight.errors import script
from skylight.evaluation.scorecard import scorecard
from skylight.networks.deep_hits import load_deep_hits
from skylight.outputs import save_table

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")


@script
def main() -> None:
    supernovae = params.load().supernovae
    settings = supernovae.methods
    validation = hits.load(DATA, "validation")
    tables, tests = [], []
    for network, members in supernovae.members.items():
        model = load_deep_hits(OUT / "networks" / members[0], **supernovae.network_options[network])
        predicted = model.predict(validation.stamps, batch_size=500, verbose=0).argmax(axis=1)
        right = predicted == validation.labels
        rows = [np.flatnonzero(right & (predicted == c))[: settings.candidates // 2] for c in (0, 1)]
        rows = np.sort(np.concatenate(rows))
        options = {f"lrp {rule}": {"method": "lrp", "rule": rule} for rule in supernovae.heatmaps.rules}
        options |= {name: {} for name in ("saliency", "gradient_x_input", "integrated_gradients")}
        table, differences = scorecard(model, validation.stamps[rows], predicted[rows], options, seed=settings.seed)
        tables.append(table.assign(network=network))
        tests.append(differences.assign(network=network))
    save_table(OUT / "metrics/methods.csv", pd.concat(tables))
    save_table(OUT / "metrics/scores.csv", pd.concat(tests))


if __name__ == "__main__":
    main()
