"""The whole chapter at a tiny size: every step runs on what the steps before it wrote, and says what is wrong."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from skylight.galaxies.bar_length import bar_lengths
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.questions import ANSWERS
from stages.bars import (
    control_model,
    generate_heatmaps,
    measure,
    measure_barlengths,
    save_figures,
    simulate,
    test_models,
    train_models,
)
from tests.conftest import profile, set_params

ROOT = Path(__file__).parents[3]

MODELS = ["vgg16", "resnet50v2", "xception"]


def run(step, *arguments):
    """Run a step's main as ``python -m stages.bars.<step> ARGUMENTS`` would."""
    argv, sys.argv = sys.argv, [step.__name__, *map(str, arguments)]
    try:
        step.main()
    finally:
        sys.argv = argv


def fails(step, *arguments) -> str:
    """The line that a step ends with."""
    with pytest.raises(SystemExit) as error:
        run(step, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def change_params(change):
    yaml = YAML()
    params = yaml.load(Path("params.yaml"))
    change(params["bars"])
    yaml.dump(params, Path("params.yaml"))


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """A folder in which all steps have run."""
    folder = tmp_path_factory.mktemp("bars")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", folder)
        set_params(folder / "params.yaml", profile("tiny", "bars"))
        run(simulate)
        for model in MODELS:
            run(train_models, model)
        for model in [*MODELS, "ensemble"]:
            run(test_models, model)
        for model in MODELS:
            run(generate_heatmaps, model)
        run(measure_barlengths, "val")
        run(control_model)
        run(measure_barlengths, "test")
        run(save_figures)
    return folder


@pytest.fixture
def copy(chapter, tmp_path, monkeypatch):
    """A copy of that folder, to spoil."""
    shutil.copytree(chapter, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def test_predictions_are_in_the_order_of_the_tree(chapter):
    for model in [*MODELS, "ensemble"]:
        for part, count in (("train", 20), ("test", 6)):
            table = pd.read_csv(chapter / f"out/bars/{model}/predictions_{part}.csv")
            assert list(table) == ["GalaxyID", *ANSWERS]
            assert len(table) == count
            assert table[ANSWERS].ge(0).all(axis=None) and table[ANSWERS].le(1).all(axis=None)


def test_the_ensemble_is_the_mean_and_its_errors_are_those_of_its_predictions(chapter):
    tables = [pd.read_csv(chapter / f"out/bars/{m}/predictions_test.csv", index_col=0) for m in MODELS]
    ensemble = pd.read_csv(chapter / "out/bars/ensemble/predictions_test.csv", index_col=0)
    assert np.allclose(ensemble, sum(tables) / 3, atol=1e-5)
    metrics = json.loads((chapter / "out/bars/metrics/test.json").read_text())
    assert set(metrics) == {"train", "validation", "test"}
    truth = pd.read_csv(chapter / "data/simulated/galaxy_zoo/truth.csv").set_index("GalaxyID")
    expected = np.sqrt(((ensemble - truth.loc[ensemble.index, ANSWERS]) ** 2).to_numpy().mean())
    assert metrics["test"]["ensemble"]["rmse"] == pytest.approx(expected, abs=1e-5)
    bar = ["Class3.1", "Class3.2"]
    expected = np.sqrt(((ensemble[bar] - truth.loc[ensemble.index, bar]) ** 2).to_numpy().mean())
    assert metrics["test"]["ensemble"]["rmse_by_question"]["3 bar"] == pytest.approx(expected, abs=1e-5)


def test_heatmaps_are_as_published(chapter):
    assets = pd.read_csv(chapter / "data/simulated/galaxy_zoo/gz2_filename_mapping.csv")["asset_id"]
    for model in MODELS:
        folder = chapter / f"out/bars/{model}/heatmaps/0.05"
        assert {p.name for p in folder.iterdir()} == {f"{asset}.jpg.npy" for asset in assets}
        heatmap = np.load(folder / f"{assets[0]}.jpg.npy")
        assert (heatmap.shape, heatmap.dtype) == ((1, 71, 71), np.float32)
        assert (heatmap.min(), heatmap.max()) == (0, 1)


def test_correlations_are_those_of_the_measured_lengths(chapter):
    columns = ["model", "smooth_noise", "corr_threshold", "len_threshold", "xinput", "correlation"]
    tried = pd.read_csv(chapter / "out/bars/barlength_correlations_val.csv")
    assert list(tried)[:6] == columns
    assert len(tried) == 5 * 2 * 2 * 2
    table = pd.read_csv(chapter / "out/bars/barlength_correlations_test.csv")
    assert list(table)[:6] == columns
    assert list(table["model"]) == [*MODELS, "averageheatmaps", "averagemeasurements", "control"]
    measured = pd.read_csv(chapter / "out/bars/barlengths.csv")
    assert len(measured) == 10
    assert measured["control"].notna().sum() == 3
    for row in table.itertuples():
        both = measured[["hoyle_length", row.model]].dropna()
        expected = np.corrcoef(both.T)[0, 1]
        assert row.correlation == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_figures_and_metrics_are_written(chapter):
    figures = {p.stem for p in (chapter / "out/bars/figures").iterdir()}
    assert figures == {"heatmaps", "barlengths", "parameter_grid", "training", "vote_fractions", "localisation"}
    localisation = json.loads((chapter / "out/bars/metrics/localisation.json").read_text())
    assert localisation["chance"]["ROC AUC"] == 0.5
    assert not list(chapter.rglob("*partial*"))


def test_the_same_inputs_give_the_same_maps_and_lengths(copy):
    before = {p: p.read_bytes() for p in Path("out/bars/vgg16").rglob("*.npy")}
    lengths = Path("out/bars/barlength_correlations_val.csv").read_bytes()
    run(generate_heatmaps, "vgg16")
    run(measure_barlengths, "val")
    assert {p: p.read_bytes() for p in Path("out/bars/vgg16").rglob("*.npy")} == before
    assert Path("out/bars/barlength_correlations_val.csv").read_bytes() == lengths


def test_parameters_may_fix_the_setting_of_the_test_part(copy):
    setting = {"corr_threshold": 0.8, "len_threshold": 30, "xinput": True}
    change_params(lambda bars: bars["xai"].update(test_setting=setting))
    run(measure_barlengths, "test")
    table = pd.read_csv("out/bars/barlength_correlations_test.csv").set_index("model").drop("control")
    assert (table[list(setting)] == list(setting.values())).all(axis=None)


def test_a_bad_image_is_left_out_of_everything(copy):
    images = sorted(Path("data/simulated/galaxy_zoo/images_gz2/images").iterdir())
    images[0].write_bytes(b"no image")
    for model in MODELS:
        run(generate_heatmaps, model)
        rejected = pd.read_csv(f"out/bars/{model}/rejected_catalogue.csv")
        assert list(rejected["file"]) == [images[0].name]
    run(measure_barlengths, "val")
    run(measure_barlengths, "test")
    run(save_figures)
    change_params(lambda bars: bars["data"].update(max_rejected=0))
    assert "1 images rejected, more than max_rejected = 0" in fails(generate_heatmaps, "vgg16")


def test_what_users_may_get_wrong_is_one_line(copy):
    assert "'exception' (known: vgg16, resnet50v2, xception)" in fails(train_models, "exception")
    assert "part must be val or test, got 'train'" in fails(measure_barlengths, "train")
    Path("out/bars/vgg16/heatmaps/0.05").rename("elsewhere")
    assert "no such heatmap" in fails(measure_barlengths, "val")
    change_params(lambda bars: bars["xai"]["smoothgrad"].update(smooth_samples=12))
    assert "smooth_samples must be a multiple of 8 with symmetries, got 12" in fails(generate_heatmaps, "vgg16")
    change_params(lambda bars: bars["xai"]["smoothgrad"].update(smooth_samples=8))
    change_params(lambda bars: bars["xai"].update(validation_split=0.01))
    assert "bars.xai.validation_split: 0.01 of 15 galaxies leaves the first part empty" in fails(
        measure_barlengths, "val"
    )
    change_params(lambda bars: bars["networks"]["vgg16"].update(weights="imagenet"))
    assert "weights imagenet need width 1" in fails(train_models, "vgg16")


def test_one_galaxy_is_measured_with_the_setting_of_the_test_part(copy, capsys, monkeypatch):
    heatmap = np.random.default_rng(0).random((71, 71))
    monkeypatch.setattr(measure, "explain", lambda bars, images: (np.array([0.5]), heatmap[None]))
    path = Path("out/bars/barlength_correlations_test.csv")
    table = pd.read_csv(path).set_index("model")
    for corr_threshold, len_threshold, scale in ((1.0, 12, 1.0), (1.0, 3, 3.5)):
        row = {"corr_threshold": corr_threshold, "len_threshold": len_threshold, "xinput": False, "scale": scale}
        table.loc["averageheatmaps", list(row)] = list(row.values())
        table.to_csv(path)
        run(measure, next(Path("data/simulated/galaxy_zoo/images_gz2/images").iterdir()))
        pixels = scale * bar_lengths(heatmap, [corr_threshold], [len_threshold])[0, 0]
        crop = YAML().load(Path("params.yaml"))["bars"]["data"]["crop"]
        assert f"length {pixels * crop / 71 * PIXEL_SCALE:.2f} PETROR90_R" in capsys.readouterr().out


def test_one_galaxy_from_the_command_line(copy, capsys):
    jpeg = next(Path("data/simulated/galaxy_zoo/images_gz2/images").iterdir())
    with Image.open(jpeg) as image:
        image.save("galaxy.png")
    run(measure, jpeg, "galaxy.png", "--petror90", 10, "--draw", "drawn")
    lines = [line for line in capsys.readouterr().out.splitlines() if "bar probability" in line]
    assert len(lines) == 2
    assert lines[0].partition(": ")[2] == lines[1].partition(": ")[2]
    length, arcsec = float(lines[0].split()[-5]), float(lines[0].split()[-2])
    assert arcsec == pytest.approx(10 * length, abs=0.1)
    assert {p.name for p in Path("drawn").iterdir()} == {f"{jpeg.stem}_bar.png", "galaxy_bar.png"}
    assert "absent.jpg: no such image" in fails(measure, "absent.jpg")
    assert "--petror90 must be a positive number" in fails(measure, jpeg, "--petror90", -1)
