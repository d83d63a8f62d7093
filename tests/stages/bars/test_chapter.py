"""The galaxy-bars chapter through DVC at a tiny scale, with simulated galaxies."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from skylight.galaxies.questions import ANSWERS
from tests.conftest import profile
from tests.house import stages
from tests.stages.conftest import Clone

pytestmark = pytest.mark.slow

MODELS = ["vgg16", "resnet50v2", "xception"]
SHARED = {f"bars-{step}" for step in ("ensemble", "measure-val", "measure-test", "localisation", "figures")}
CHAPTER = SHARED | {"bars-simulate", "bars-transform", "bars-control"}
CHAPTER |= {f"bars-{step}@{model}" for step in ("train", "test", "heatmaps") for model in MODELS}


@pytest.fixture(scope="module")
def tiny(clone):
    """Return a clone in which the chapter has run once."""
    clone = clone()
    clone.change(**profile("tiny", "bars"))
    assert clone.repro("bars-figures") == CHAPTER
    return clone


@pytest.fixture
def copy(tiny, tmp_path):
    """Return a copy of that clone, for tests that change its files."""
    return Clone(shutil.copytree(tiny.path, tmp_path / "copy", symlinks=True))


def fails(clone, *command) -> str:
    """Return the line that a stage ends with."""
    (line,) = [line for line in clone.run(*command, fails=True).splitlines() if line.startswith("error: ")]
    return line


def test_pictures_are_decoded_once(tiny):
    data = tiny.path / "data/processed/bars"
    for part, count in (("training", 20), ("test", 6), ("catalogue", 15)):
        images = np.load(data / f"{part}.npy", mmap_mode="r")
        assert (images.shape, images.dtype) == ((count, 71, 71, 3), np.uint8)
        assert len(set(np.load(data / f"{part}_ids.npy"))) == count
    assert (data / "rejected.csv").read_text() == "source,id,reason\n"
    pictures = {name for name, (_, deps) in stages().items() if any("/images_" in dep for dep in deps)}
    assert pictures == {"bars-transform"}


def test_predictions_are_in_the_order_of_the_decision_tree(tiny):
    folders = [tiny.path / f"out/bars/predictions/{model}" for model in MODELS] + [tiny.path / "out/bars/ensemble"]
    for folder in folders:
        for part, count in (("train", 20), ("test", 6)):
            table = pd.read_csv(folder / f"{part}.csv")
            assert list(table) == ["GalaxyID", *ANSWERS]
            assert len(table) == count
            assert table[ANSWERS].ge(0).all(axis=None) and table[ANSWERS].le(1).all(axis=None)


def test_the_ensemble_is_the_mean_and_its_errors_are_those_of_its_predictions(tiny):
    out = tiny.path / "out/bars"
    tables = [pd.read_csv(out / f"predictions/{model}/test.csv", index_col=0) for model in MODELS]
    ensemble = pd.read_csv(out / "ensemble/test.csv", index_col=0)
    assert np.allclose(ensemble, sum(tables) / 3, atol=1e-5)
    metrics = json.loads((out / "metrics/test.json").read_text())
    assert set(metrics) == {"train", "validation", "test"}
    truth = pd.read_csv(tiny.path / "data/simulated/galaxy_zoo/truth.csv").set_index("GalaxyID")
    expected = np.sqrt(((ensemble - truth.loc[ensemble.index, ANSWERS]) ** 2).to_numpy().mean())
    assert metrics["test"]["ensemble"]["rmse"] == pytest.approx(expected, abs=1e-5)
    bar = ["Class3.1", "Class3.2"]
    expected = np.sqrt(((ensemble[bar] - truth.loc[ensemble.index, bar]) ** 2).to_numpy().mean())
    assert metrics["test"]["ensemble"]["rmse_by_question"]["3 bar"] == pytest.approx(expected, abs=1e-5)


def test_heatmaps_have_the_published_names_and_shapes(tiny):
    assets = pd.read_csv(tiny.path / "data/simulated/galaxy_zoo/gz2_filename_mapping.csv")["asset_id"]
    for model in MODELS:
        folder = tiny.path / f"out/bars/heatmaps/{model}/0.05"
        assert {path.name for path in folder.iterdir()} == {f"{asset}.jpg.npy" for asset in assets}
        heatmap = np.load(folder / f"{assets[0]}.jpg.npy")
        assert (heatmap.shape, heatmap.dtype) == ((1, 71, 71), np.float32)
        assert (heatmap.min(), heatmap.max()) == (0, 1)


def test_correlations_are_those_of_the_measured_lengths(tiny):
    tables = tiny.path / "out/bars/tables"
    columns = ["model", "smooth_noise", "corr_threshold", "len_threshold", "xinput", "correlation"]
    tried = pd.read_csv(tables / "barlength_correlations_val.csv")
    assert list(tried)[:6] == columns
    assert len(tried) == 5 * 2 * 2 * 2
    table = pd.read_csv(tables / "barlength_correlations_test.csv")
    assert list(table)[:6] == columns
    assert list(table["model"]) == [*MODELS, "averageheatmaps", "averagemeasurements", "control"]
    measured = pd.read_csv(tables / "barlengths.csv")
    assert len(measured) == 10
    assert measured["control"].notna().sum() == 3
    for row in table.itertuples():
        both = measured[["hoyle_length", row.model]].dropna()
        expected = np.corrcoef(both.T)[0, 1]
        assert row.correlation == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_figures_and_metrics_are_written(tiny):
    figures = {path.stem for path in (tiny.path / "out/bars/figures").iterdir()}
    names = {"heatmaps", "barlengths", "parameter_grid", "training", "training_control", "vote_fractions"}
    assert figures == names | {"localisation"}
    localisation = json.loads((tiny.path / "out/bars/metrics/localisation.json").read_text())
    assert list(localisation) == sorted([*MODELS, "averageheatmaps", "centre", "chance"])
    assert localisation["chance"]["ROC AUC"]["mean"] == 0.5
    assert not list(tiny.path.rglob("*partial*"))
    assert not list((tiny.path / ".checkpoints").iterdir())


def test_a_forced_run_gives_equal_hashes(tiny):
    before = tiny.lock()
    again = ["bars-transform", "bars-train@vgg16", "bars-test@vgg16", "bars-heatmaps@vgg16", "bars-measure-val"]
    assert tiny.repro("-f", "-s", *again) == set(again)
    assert tiny.lock() == before and tiny.repro("bars-figures") == set()


def test_only_the_stages_that_a_parameter_changes_run_again(copy):
    setting = {"corr_threshold": 0.8, "len_threshold": 30, "xinput": True}
    copy.change(**{"bars.measure.test_setting": setting})
    assert copy.repro("bars-figures") == {"bars-measure-val", "bars-measure-test", "bars-figures"}
    table = pd.read_csv(copy.path / "out/bars/tables/barlength_correlations_test.csv").set_index("model")
    assert (table.drop("control")[list(setting)] == list(setting.values())).all(axis=None)


def test_a_new_network_is_one_entry_and_one_module(copy):
    code = (copy.path / "skylight/networks/xception.py").read_text().replace("Xception,", "MobileNetV2,")
    (copy.path / "skylight/networks/mobile-net_v2.py").write_text(code)
    network = {"width": 0.05, "min_filters": 1, "momentum": 0.9, "weights": None, "epochs": 1, "learning_rate": 1e-3}
    copy.change(**{"bars.networks.mobile-net_v2": network})
    ran = copy.repro("bars-figures")
    assert ran == SHARED | {f"bars-{step}@mobile-net_v2" for step in ("train", "test", "heatmaps")}
    table = pd.read_csv(copy.path / "out/bars/tables/barlength_correlations_test.csv")
    assert list(table["model"])[:4] == [*MODELS, "mobile-net_v2"]


@pytest.mark.parametrize("step", ["train", "test", "heatmaps"])
@pytest.mark.parametrize("model", MODELS)
def test_a_stage_depends_on_its_own_architecture_alone(step, model):
    _, deps = stages()[f"bars-{step}@{model}"]
    assert {f"skylight/networks/{name}.py" for name in MODELS} & set(deps) == {f"skylight/networks/{model}.py"}


def test_an_unusable_picture_is_left_out_of_everything(copy):
    picture = sorted((copy.path / "data/simulated/galaxy_zoo/images_gz2/images").iterdir())[0]
    picture.write_bytes(b"no image")
    error = fails(copy, "stages.bars.transform")
    limit = "1 of 15 catalogue pictures rejected, bars.transform.max_rejected allows a share of 0.05"
    assert limit in error and f"images_gz2/images/{picture.name}: not a readable image" in error
    copy.change(**{"bars.transform.max_rejected": 0.1})
    copy.run("stages.bars.transform")
    rejected = list(csv.DictReader((copy.path / "data/processed/bars/rejected.csv").open()))
    assert [row["id"] for row in rejected] == [picture.stem]
    for model in MODELS:
        copy.run("stages.bars.heatmaps", model)
    for step in (("measure", "val"), ("measure", "test"), ("localisation",), ("figures",)):
        copy.run(f"stages.bars.{step[0]}", *step[1:])
    tried = pd.read_csv(copy.path / "out/bars/tables/barlengths.csv")
    assert len(tried) in (9, 10) and int(picture.stem) not in set(tried["asset_id"])


def test_an_input_error_is_one_line(copy):
    assert "'exception' (known: vgg16, resnet50v2, xception)" in fails(copy, "stages.bars.train", "exception")
    assert "the part must be val or test, got 'train'" in fails(copy, "stages.bars.measure", "train")
    (copy.path / "out/bars/heatmaps/vgg16/0.05").rename(copy.path / "elsewhere")
    assert "no such heatmap, although" in fails(copy, "stages.bars.measure", "val")
    for key, value, message in (
        (
            "bars.heatmaps.smooth_samples",
            12,
            "bars.heatmaps.smooth_samples: must be a multiple of 8 with symmetries",
        ),
        ("bars.measure.validation_split", 0.01, "bars.measure.validation_split: 0.01 of 15 galaxies leaves the first"),
        (
            "bars.networks.vgg16.weights",
            "imagenet",
            "bars.networks.vgg16.width: must be 1 with weights: imagenet",
        ),
    ):
        text = (copy.path / "params.yaml").read_text()
        copy.change(**{key: value})
        assert message in fails(copy, "stages.bars.measure", "val"), key
        (copy.path / "params.yaml").write_text(text)
