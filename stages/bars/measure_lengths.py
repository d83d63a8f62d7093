"""Measure bars on the heatmaps and compare with the catalogue (Bhambra et al. 2022, sections 3.3 and 4).

Run as ``python -m stages.bars.measure_lengths val``, which tries the whole grid of settings on the validation part,
then ``... test``, which uses the best of each estimator (or the one in the parameters) and adds the control.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from tqdm import tqdm

from skylight import params
from skylight.errors import InputError, script
from skylight.evaluation.bootstrap import correlation, sample_counts
from skylight.galaxies import catalogue as survey
from skylight.galaxies import length_scores as lengths
from skylight.galaxies.bar_length import estimates, estimator_names
from skylight.galaxies.catalogue import catalogue_arcsec
from skylight.galaxies.heatmaps import read_heatmaps
from skylight.galaxies.images import grey, read_image, shrink
from skylight.outputs import save_json, save_table
from skylight.params.bars import BarlengthMask, Bars

OUT = Path("out/bars")
SETTING = ["corr_threshold", "len_threshold", "xinput"]


@script
def main() -> None:
    (part,) = sys.argv[1:]
    bars = params.load().bars
    catalogue = survey.read_catalogue(bars.data.path)
    val, test = survey.split(catalogue, bars.xai.validation_split, bars.data.seed, "bars.xai.validation_split")
    if part == "val":
        try_grid(bars, val)
    elif part == "test":
        test_best(bars, val, test)
    else:
        raise InputError(f"the part must be val or test, got {part!r}")


def try_grid(bars: Bars, val: pd.DataFrame) -> None:
    val, measured = measure(bars, val, bars.xai.barlength_mask)
    row = judge(bars, val)
    rows = []
    for place in np.ndindex(measured.shape[1:]):
        model = estimator_names(bars.models)[place[0]]
        setting = {key: getattr(bars.xai.barlength_mask, key)[i] for key, i in zip(SETTING, place[1:], strict=True)}
        rows.append(row(model, measured[:, *place], setting))
    save_table(OUT / "barlength_correlations_val.csv", pd.DataFrame(rows))


def test_best(bars: Bars, val: pd.DataFrame, test: pd.DataFrame) -> None:
    tried = pd.read_csv(OUT / "barlength_correlations_val.csv")
    models = estimator_names(bars.models)
    settings = {model: best_setting(bars, tried[tried["model"] == model]) for model in models}
    grid = BarlengthMask(**{key: sorted({setting[key] for setting in settings.values()}) for key in SETTING})
    val, on_val = measure(bars, val, grid)
    table, on_test = measure(bars, test, grid)
    row, rows, scales = judge(bars, table), [], {}
    for e, (model, setting) in enumerate(settings.items()):
        place = (slice(None), e, *(getattr(grid, key).index(setting[key]) for key in SETTING))
        # Maps fade towards the ends of a bar: one factor, from the validation part, makes lengths comparable.
        scales[model] = lengths.scale_factor(on_val[place], val)
        table[model] = scales[model] * on_test[place]
        rows.append(row(model, table[model], setting))
    control = pd.read_csv(OUT / "control" / "predictions.csv")[["objid", "cnn_length"]]
    table = table.merge(control.rename(columns={"cnn_length": "control"}), on="objid", how="left")
    shared = table.dropna(subset="control").reset_index(drop=True)
    row_of_shared = judge(bars, shared)
    rows.append(row_of_shared("control", shared["control"]))
    rows = pd.DataFrame(rows).assign(scale=lambda t: t["model"].map(scales))
    save_table(OUT / "barlength_correlations_test.csv", rows)
    table["hoyle_length"] = catalogue_arcsec(table)
    save_table(OUT / "barlengths.csv", table[["objid", "asset_id", "PETROR90_R", "hoyle_length", *models, "control"]])

    best = lengths.best(tried)["model"]
    samples = sample_counts(len(shared), bars.xai.bootstrap, bars.xai.seed)
    metrics = {
        "best_on_validation": best,
        "test": rows[rows["model"] == best].iloc[0].to_dict(),
        "on_the_control's_galaxies": {
            "galaxies": len(shared),
            "saliency": row_of_shared(best, shared[best]),
            "control": rows[rows["model"] == "control"].iloc[0].to_dict(),
            **lengths.difference(shared[best].to_numpy(), shared["control"].to_numpy(), shared, samples),
        },
        "ceiling": lengths.ceiling(table),
        # What a ruler that takes every bar for the same share of its galaxy reaches, by the sizes alone.
        "sizes_alone": correlation(table["PETROR90_R"].to_numpy(), catalogue_arcsec(table)),
        "galaxies": len(table),
    }
    save_json(OUT / "metrics" / "barlengths.json", metrics)


def measure(bars: Bars, catalogue: pd.DataFrame, grid: BarlengthMask) -> tuple[pd.DataFrame, np.ndarray]:
    """The galaxies that have heatmaps, and their lengths in arcsec, (N, estimators, C, L, X)."""
    folders = [OUT / model / "heatmaps" / str(bars.xai.smoothgrad.smooth_noise) for model in bars.models]
    images = Path(bars.data.path) / survey.CATALOGUE_IMAGES
    found, measured = [], []
    for galaxy in tqdm(catalogue.itertuples(), total=len(catalogue), desc="measuring", unit="galaxy"):
        heatmaps = read_heatmaps(folders, galaxy.asset_id)
        if heatmaps is None:
            continue
        size = heatmaps.shape[1]
        image = read_image(images / f"{galaxy.asset_id}.jpg")
        luminance = grey(shrink(image, bars.data.crop, size))
        pixel = bars.data.crop / size * survey.PIXEL_SCALE * galaxy.PETROR90_R
        found.append(galaxy.Index)
        measured.append(pixel * estimates(heatmaps, luminance, grid.corr_threshold, grid.len_threshold, grid.xinput))
    if not found:
        raise InputError(f"{folders[0]}: no heatmap of any galaxy of this part of the catalogue")
    return catalogue.loc[found].reset_index(drop=True), np.array(measured)


def best_setting(bars: Bars, tried: pd.DataFrame) -> dict:
    if bars.xai.test_setting:
        return bars.xai.test_setting.model_dump()
    best = lengths.best(tried)
    return {
        "corr_threshold": float(best["corr_threshold"]),
        "len_threshold": int(best["len_threshold"]),
        "xinput": bool(best["xinput"]),
    }


def judge(bars: Bars, catalogue: pd.DataFrame) -> Callable[..., dict]:
    """A function from an estimator's lengths of these galaxies, in arcsec, to its row of the published table.

    The published columns come first, then errors and more figures.
    """
    samples = sample_counts(len(catalogue), bars.xai.bootstrap, bars.xai.seed)
    true = survey.true_lengths(bars.data.truth, catalogue["asset_id"]) if bars.data.truth else None

    def row(model: str, arcsec: ArrayLike, setting: dict | None = None) -> dict:
        noise = bars.xai.smoothgrad.smooth_noise if model != "control" else None
        figures = lengths.compare(np.asarray(arcsec), catalogue, true, samples)
        return {"model": model, "smooth_noise": noise, **(setting or dict.fromkeys(SETTING))} | figures

    return row


if __name__ == "__main__":
    main()
