"""Measure bars on the heatmaps and compare the lengths with the catalogue (Bhambra et al. 2022, sections 3.3 and 4).

python -m stages.bars.measure val     # all settings, on the validation part
python -m stages.bars.measure test    # the best setting of each estimator, on the test part, and the control
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import InputError, script
from skylight.evaluation.bootstrap import sample_counts
from skylight.galaxies import bar_length
from skylight.galaxies import catalogue as survey
from skylight.galaxies import length_scores as scores
from skylight.galaxies.arrays import load
from skylight.outputs import save_json, save_table
from skylight.params.bars import Bars

OUT = Path("out/bars")
TABLES = OUT / "tables"


@script
def main() -> None:
    (part,) = sys.argv[1:]
    bars = params.load().bars
    share, seed = bars.measure.validation_split, bars.data.split_seed
    catalogue = survey.read_catalogue(bars.data.path)
    val, test = survey.shuffle_split(catalogue, share, seed, "bars.measure.validation_split")
    if part == "val":
        try_settings(bars, val)
    elif part == "test":
        test_best(bars, val, test)
    else:
        raise InputError(f"the part must be val or test, got {part!r}")


def try_settings(bars: Bars, val: pd.DataFrame) -> None:
    """Compare the lengths of every estimator and setting with the catalogue."""
    grid = {key: getattr(bars.measure, key) for key in scores.SETTING}
    val, lengths = measure(bars, val, grid)
    names = bar_length.estimator_names(bars.networks)
    table = scores.score_grid(reference(bars, val), names, lengths, grid, bars.heatmaps.smooth_noise)
    save_table(TABLES / "barlength_correlations_val.csv", table)


def test_best(bars: Bars, val: pd.DataFrame, test: pd.DataFrame) -> None:
    """Measure the test part, each estimator at its best setting and with its scale of the validation part."""
    tried = pd.read_csv(TABLES / "barlength_correlations_val.csv")
    names = bar_length.estimator_names(bars.networks)
    settings = scores.best_settings(tried, names)
    if bars.measure.test_setting:
        settings = dict.fromkeys(names, bars.measure.test_setting.model_dump())
    grid = scores.grid_of(settings)
    val, on_val = measure(bars, val, grid)
    test, on_test = measure(bars, test, grid)
    on_val, on_test = (scores.at_settings(lengths, names, grid, settings) for lengths in (on_val, on_test))
    scales = {name: scores.scale_factor(on_val[name], val) for name in names}
    table = test.assign(**{name: scales[name] * on_test[name] for name in names})
    control = pd.read_csv(TABLES / "control_predictions.csv")[["objid", "cnn_length"]]
    table = table.merge(control.rename(columns={"cnn_length": "control"}), on="objid", how="left")
    table["hoyle_length"] = survey.catalogue_arcsec(table)
    save_table(TABLES / "barlengths.csv", table[["objid", "asset_id", "PETROR90_R", "hoyle_length", *names, "control"]])

    everyone, shared = reference(bars, table), table.dropna(subset="control").reset_index(drop=True)
    tested = reference(bars, shared)
    noise = bars.heatmaps.smooth_noise
    rows = [everyone.score(name, table[name], settings[name], noise) for name in names]
    rows = pd.DataFrame([*rows, tested.score("control", shared["control"])])
    rows["scale"] = rows["model"].map(scales)
    save_table(TABLES / "barlength_correlations_test.csv", rows)
    best = scores.best(tried)["model"]
    save_json(OUT / "metrics" / "barlengths.json", scores.summary(everyone, tested, shared, rows, best))


def measure(bars: Bars, galaxies: pd.DataFrame, grid: dict[str, list]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the galaxies that have heatmaps and their lengths in arcsec."""
    folders = [OUT / "heatmaps" / name / str(bars.heatmaps.smooth_noise) for name in bars.networks]
    pictures = load("data/processed/bars", "catalogue")
    return bar_length.measure(galaxies, pictures, folders, bars.transform.crop, grid)


def reference(bars: Bars, galaxies: pd.DataFrame) -> scores.Reference:
    """Return what lengths of these galaxies are compared with."""
    true = survey.true_lengths(bars.data.truth, galaxies["asset_id"]) if bars.data.truth else None
    samples = sample_counts(len(galaxies), bars.measure.bootstrap, bars.measure.seed)
    return scores.Reference(galaxies, true, samples)


if __name__ == "__main__":
    main()
