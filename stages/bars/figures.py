"""Draw the figures of the galaxy-bars chapter."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies import plots
from skylight.galaxies.arrays import load
from skylight.galaxies.heatmaps import read_heatmaps
from skylight.galaxies.images import read_mask
from skylight.galaxies.length_scores import best
from skylight.galaxies.map_scores import CENTRE, CHANCE
from skylight.galaxies.questions import ANSWERS
from skylight.galaxies.vote_scores import read_predictions
from skylight.outputs import writing
from skylight.params.bars import Bars

OUT = Path("out/bars")
EXAMPLES = 6  # galaxies that are drawn with their maps


@script
def main() -> None:
    bars = params.load().bars
    lengths = pd.read_csv(OUT / "tables" / "barlengths.csv")
    tried = pd.read_csv(OUT / "tables" / "barlength_correlations_val.csv")
    tested = pd.read_csv(OUT / "tables" / "barlength_correlations_test.csv").set_index("model")
    curves = {name: plotting.read_curves(OUT / "training" / name) for name in bars.networks}
    control = plotting.read_curves(OUT / "training" / "control")
    localisation = json.loads((OUT / "metrics" / "localisation.json").read_text(encoding="utf-8"))
    figures = {
        "heatmaps": examples(bars, lengths, tried, tested),
        "barlengths": scatter(lengths),
        "parameter_grid": plots.parameter_grid(tried, tested),
        "training": plots.training_curves(curves, "vote fractions"),
        "training_control": plots.training_curves({"control": control}, "length / diameter"),
        "vote_fractions": vote_differences(bars),
    }
    if localisation:
        names = [*bars.networks, "averageheatmaps", CENTRE, CHANCE]
        figures["localisation"] = plots.localisation_bars({name: localisation[name] for name in names})
    with writing(OUT / "figures") as folder:
        for name, figure in figures.items():
            plotting.save(figure, folder / f"{name}.png")


def examples(bars: Bars, lengths: pd.DataFrame, tried: pd.DataFrame, tested: pd.DataFrame) -> plots.Figure:
    """Draw galaxies from short bars to long ones, with the maps of the networks and their mean, the best one first."""
    names = [*bars.networks, "averageheatmaps"]
    first = names.index(best(tried[tried["model"].isin(names)])["model"])
    order = [first, *(i for i in range(len(names)) if i != first)]
    places = np.linspace(0.03, 0.97, EXAMPLES) * (len(lengths) - 1)
    chosen = lengths.sort_values("hoyle_length").iloc[places]
    pictures = load("data/processed/bars", "catalogue")
    folders = [OUT / "heatmaps" / name / str(bars.heatmaps.smooth_noise) for name in bars.networks]
    heatmaps = [read_heatmaps(folders, asset) for asset in chosen["asset_id"]]
    heatmaps = [np.concatenate([maps, maps.mean(axis=0, keepdims=True)])[order] for maps in heatmaps]
    images = pictures.images[pictures.rows(chosen["asset_id"])]
    size, crop, truth = images.shape[1], bars.transform.crop, bars.data.truth
    unknown = np.zeros((size, size), bool)
    masks = [read_mask(truth, asset, crop, size) if truth else unknown for asset in chosen["asset_id"]]
    return plots.bars_on_maps(chosen, images, heatmaps, masks, tested.loc[[names[i] for i in order]])


def scatter(lengths: pd.DataFrame) -> plots.Figure:
    """Draw the lengths of the best estimator and of the control, on the galaxies that tested the control."""
    metrics = json.loads((OUT / "metrics" / "barlengths.json").read_text(encoding="utf-8"))
    shared, name = metrics["on_the_control's_galaxies"], metrics["best_on_validation"]
    correlations = {name: shared["saliency"]["correlation"], "control": shared["control"]["correlation"]}
    return plots.length_scatter(lengths.dropna(subset="control"), correlations)


def vote_differences(bars: Bars) -> plots.Figure:
    """Draw the errors of the ensemble on the validation part."""
    solutions = survey.read_solutions(Path(bars.data.path) / survey.SOLUTIONS)
    share, seed = 1 - bars.train.validation_split, bars.data.split_seed
    _, validation = survey.shuffle_split(solutions, share, seed, "bars.train.validation_split")
    predicted = read_predictions(OUT / "ensemble" / "train.csv")
    volunteers = validation.set_index("GalaxyID").filter(predicted.index, axis=0)
    return plots.vote_differences(predicted.loc[volunteers.index] - volunteers[ANSWERS])


if __name__ == "__main__":
    main()
