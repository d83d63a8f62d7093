"""The metallicity chapter through DVC at a tiny scale, with simulated galaxies."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from skylight.attribution import METHODS
from tests.conftest import profile
from tests.stages.conftest import Clone

pytestmark = pytest.mark.slow

STEPS = ["simulate", "transform", "find-learning-rate", "train", "test", "regress", "heatmaps", "evaluate", "features"]
CHAPTER = {f"metallicity-{step}" for step in (*STEPS, "figures")}
DATA, OUT = "data/processed/metallicity", "out/metallicity"
SURVEY = "data/simulated/sdss_metallicity"
FIGURES = {"learning_rate", "training", "test", "gradcam", "worst", "agreement", "parts", "regression"}
FIGURES |= {"regression_saliency", "methods", "feature_planes", "feature_images"}


@pytest.fixture(scope="module")
def tiny(clone):
    """Return a clone in which the chapter has run once."""
    clone = clone()
    clone.change(**profile("tiny", "metallicity"))
    assert clone.repro("metallicity-figures") == CHAPTER
    return clone


@pytest.fixture
def copy(tiny, tmp_path):
    """Return a copy of that clone, for tests that change its files."""
    return Clone(shutil.copytree(tiny.path, tmp_path / "copy", symlinks=True))


def fails(clone, *command) -> str:
    """Return the line that a stage ends with."""
    (line,) = [line for line in clone.run(*command, fails=True).splitlines() if line.startswith("error: ")]
    return line


def test_arrays_and_parts(tiny):
    table = pd.read_csv(tiny.path / DATA / "galaxies.csv", dtype={"objID": str})
    images = np.load(tiny.path / DATA / "images.npy", mmap_mode="r")
    assert (images.shape, images.dtype) == ((len(table), 32, 32, 3), np.uint8)
    assert table["objID"].str.len().eq(19).all()
    low_high = table[table["class"] != "medium"]
    assert (low_high["part"] == "validation").mean() == pytest.approx(0.2, abs=0.02)
    training = (table["class"] != "medium") & (table["part"] == "train")
    statistics = json.loads((tiny.path / DATA / "statistics.json").read_text())
    assert statistics["mean"] == pytest.approx((images[training] / 255).mean(axis=(0, 1, 2)), abs=1e-6)
    assert statistics["deviation"] == pytest.approx((images[training] / 255).std(axis=(0, 1, 2)), abs=1e-6)
    counts = json.loads((tiny.path / OUT / "metrics/transform.json").read_text())
    assert sum(sum(part.values()) for part in counts.values()) == len(table)


def test_the_scores_are_those_of_the_predictions(tiny):
    metrics = json.loads((tiny.path / OUT / "metrics/test.json").read_text())["validation"]
    table = pd.read_csv(tiny.path / OUT / "tables/predictions.csv")
    low = table["class"] == "low"
    for name, column in (("network", "p_low"), ("control", "p_low_control")):
        assert metrics[name]["accuracy"] == pytest.approx(((table[column] > 0.5) == low).mean(), abs=1e-5)
    counts = pd.read_csv(tiny.path / OUT / "tables/confusion.csv", index_col=0)
    assert counts.to_numpy().sum() == len(table)
    regression = json.loads((tiny.path / OUT / "metrics/regression.json").read_text())
    predicted = pd.read_csv(tiny.path / OUT / "tables/regression.csv")
    expected = np.sqrt(((predicted["predicted"] - predicted["oh_p50"]) ** 2).mean())
    assert regression["network"]["rmse"] == pytest.approx(expected, abs=1e-4)
    assert regression["mass"]["rmse"] < regression["mean"]["rmse"]


def test_maps_and_their_scores(tiny):
    galaxies = pd.read_csv(tiny.path / OUT / "heatmaps/galaxies.csv")
    assert np.load(tiny.path / OUT / "heatmaps/gradcam.npy").shape == (len(galaxies), 32, 32, 2)
    with np.load(tiny.path / OUT / "heatmaps/methods.npz") as file:
        assert {name.split()[0] for name in file.files} == set(METHODS) - {"blanking", "kernel_shap"}
        assert all(file[name].shape == (2, 32, 32) for name in file.files)
    agreement = pd.read_csv(tiny.path / OUT / "metrics/agreement.csv").set_index("map")
    assert agreement["mean"].dropna().abs().le(1).all()
    assert agreement.loc["centre", "mean"] > 0.3  # metals fall with radius
    card = pd.read_csv(tiny.path / OUT / "metrics/scorecard.csv")
    assert {"insertion", "deletion", "relevance_mass", "randomisation"} <= set(card["metric"])
    assert {"random", "edges"} <= set(card["method"])


def test_figures_are_written_and_nothing_half_written_is_left(tiny):
    assert {path.stem for path in (tiny.path / OUT / "figures").iterdir()} == FIGURES
    assert not list(tiny.path.rglob("*partial*"))
    assert not list((tiny.path / ".checkpoints").iterdir())


def test_a_forced_run_gives_equal_hashes(tiny):
    before = tiny.lock()
    again = [f"metallicity-{step}" for step in ("transform", "train", "heatmaps", "evaluate", "features")]
    assert tiny.repro("-f", "-s", *again) == set(again)
    assert tiny.lock() == before and tiny.repro("metallicity-figures") == set()


def test_other_optimizers_and_schedules_are_parameters(copy):
    before = (copy.path / OUT / "networks/classifier.weights.h5").read_bytes()
    copy.change(**{"metallicity.train.optimizer": "adamw", "metallicity.train.schedule": "flat_cosine"})
    copy.run("stages.metallicity.train")
    assert (copy.path / OUT / "networks/classifier.weights.h5").read_bytes() != before


def test_a_killed_training_ends_with_the_same_weights(copy):
    weights = copy.path / OUT / "networks/classifier.weights.h5"
    copy.change(**{"metallicity.train.epochs": 12})
    copy.run("stages.metallicity.train")
    expected = weights.read_bytes()
    copy.repro_killed("-s", "-f", "metallicity-train", once=".checkpoints/metallicity/history.json")
    assert "continuing metallicity after epoch" in copy.run("stages.metallicity.train")
    assert weights.read_bytes() == expected


def test_a_real_survey_needs_paths_alone(copy, tmp_path):
    """Without truth there is nothing to compare maps with; pictures of another scale are resampled."""
    shutil.copytree(copy.path / SURVEY, tmp_path / "survey")
    shutil.rmtree(tmp_path / "survey/truth")
    (tmp_path / "survey/truth.csv").unlink()
    changed = {"path": str(tmp_path / "survey"), "truth": None, "pixel_scale": 0.3}
    copy.change(**{f"metallicity.data.{key}": value for key, value in changed.items()})
    for step in ("transform", "evaluate", "figures"):
        copy.run(f"stages.metallicity.{step}")
    assert pd.read_csv(copy.path / OUT / "metrics/agreement.csv").empty
    assert {path.stem for path in (copy.path / OUT / "figures").iterdir()} == FIGURES - {"agreement", "parts"}


def test_an_unusable_picture_is_left_out_and_too_many_stop_the_stage(copy):
    rejected = list(csv.DictReader((copy.path / DATA / "rejected.csv").open()))
    pictures = sorted((copy.path / SURVEY / "images").iterdir())
    good = [path for path in pictures if path.stem not in {row["id"] for row in rejected}]
    good[0].write_bytes(b"no picture")
    copy.run("stages.metallicity.transform")
    now = list(csv.DictReader((copy.path / DATA / "rejected.csv").open()))
    assert {row["id"] for row in now} == {row["id"] for row in rejected} | {good[0].stem}
    assert good[0].stem not in set(pd.read_csv(copy.path / DATA / "galaxies.csv", dtype=str)["objID"])
    for path in good[1:20]:
        path.unlink()
    assert "metallicity.transform.max_rejected allows a share of 0.05" in fails(copy, "stages.metallicity.transform")


def test_an_input_error_is_one_line(copy):
    for key, value, step, message in (
        ("metallicity.heatmaps.redshift", [3, 4], "heatmaps", "no validation galaxy lies between 3 and 4"),
        ("metallicity.train.optimizer", "sgd", "train", "metallicity.train.optimizer: must be one of"),
        ("metallicity.network.width", 0.5, "test", "not the weights of a metallicity network of width 0.5"),
        ("metallicity.find_learning_rate.highest", 1e-9, "train", "must be more than lowest, got 1e-09"),
    ):
        text = (copy.path / "params.yaml").read_text()
        copy.change(**{key: value})
        assert message in fails(copy, f"stages.metallicity.{step}"), key
        (copy.path / "params.yaml").write_text(text)


def test_real_cutouts_are_classified_too(copy, real_data, tmp_path):
    source = real_data("sdss_metallicity")
    folder = tmp_path / "real"
    (folder / "data").mkdir(parents=True)
    table = pd.read_csv(source / "train.csv", dtype={"objID": str}).assign(z=0.05)
    table.to_csv(folder / "data/master.csv", index=False)
    (folder / "images").symlink_to(source / "train")
    copy.change(**{"metallicity.test.cutouts": {"path": str(folder), "pixel_scale": 0.396}})
    copy.run("stages.metallicity.test")
    metrics = json.loads((copy.path / OUT / "metrics/test.json").read_text())["cutouts"]
    assert metrics["galaxies"] == {"low": 58, "high": 46}
    assert metrics["control"]["roc_auc"] > 0.9  # colour alone separates the real classes too
