"""The periodic chapter through DVC at a tiny scale, with simulated and with real light curves."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import profile

pytestmark = pytest.mark.slow

CHAPTER = ["periodic-simulate", "periodic-transform", "periodic-train", "periodic-test", "periodic-forest"]
CHAPTER += [f"periodic-{step}@{survey}" for step in ("transform-transfer", "transfer") for survey in ("ztf", "ptf")]
CHAPTER += ["periodic-examples", "periodic-heatmaps", "periodic-methods"]
CHAPTER += ["periodic-class-maps", "periodic-class-figures", "periodic-figures"]
TARGETS = ("periodic-class-figures", "periodic-figures")


@pytest.fixture(scope="module")
def tiny(clone):
    """The chapter, run once."""
    clone = clone()
    clone.change(**profile("tiny", "periodic"))
    assert clone.repro(*TARGETS) == set(CHAPTER)
    clone.undisturbed = clone.lock()
    return clone


def test_outputs_have_the_shapes_they_should(tiny):
    data, out = tiny.path / "data/processed/periodic", tiny.path / "out/periodic"
    images, features, labels, ids = (np.load(data / f"{name}.npy") for name in ("X_2d", "X_features", "y", "lcid"))
    assert images.shape[1:] == (22, 24, 1) and features.shape[1:] == (21,)
    assert len(images) == len(features) == len(labels) == len(ids) > 250
    test = json.loads((out / "metrics/test.json").read_text())
    assert set(test["cnn"]["f1"]) == {"EW", "EA", "RRab", "RRc", "RRd", "RS CVn", "LPV"}
    counts = pd.read_csv(out / "tables/confusion_cnn_counts.csv", index_col="true")
    assert counts.to_numpy().sum() == test["objects"] == len(pd.read_csv(out / "tables/predictions.csv"))
    shares = pd.read_csv(out / "tables/forest_objects.csv", dtype={"lcid": str}).set_index("class")
    forest = json.loads((out / "metrics/forest.json").read_text())
    assert {name: metrics["objects"] for name, metrics in forest.items()} == dict(shares.index.value_counts())
    assert shares.index.value_counts().max() == 2
    owed = [row.probability - forest[name]["probability_of_background"] for name, row in shares.iterrows()]
    assert np.allclose(shares.iloc[:, 2:].sum(axis=1), owed, atol=1e-4)
    mean = pd.read_csv(out / "tables/forest_features.csv", index_col="class")
    assert np.allclose(mean.loc["EW"], shares.iloc[:, 2:].loc[["EW"]].abs().mean(), rtol=1e-4)
    percent = pd.read_csv(out / "tables/confusion_cnn_percent.csv", index_col="true").sum(axis=1)
    assert np.allclose(percent[counts.sum(axis=1) > 0], 100, atol=0.1)
    chosen = len(pd.read_csv(out / "heatmaps/objects.csv"))
    for name in ("gradcam", "hirescam", "saliency", "blanking", "deep_shap"):
        assert np.load(out / f"heatmaps/{name}.npy").shape == (chosen, 22, 24)
    assert np.load(out / "heatmaps/class_median.npy").shape == (5, 7, 22, 24)
    assert {path.suffix for path in (out / "figures").glob("*.*")} == {".png"}
    assert len(list((out / "figures/misclassified").iterdir())) == 2
    assert list(pd.read_csv(data / "rejected.csv").columns) == ["source", "id", "reason"]
    assert not (tiny.path / ".checkpoints/periodic").exists()


def test_the_examples_have_light_curves_and_periods(tiny):
    data, out = tiny.path / "data/processed/periodic", tiny.path / "out/periodic/examples"
    clearest, wrong = (pd.read_csv(out / f"{name}.csv", dtype={"lcid": str}) for name in ("clearest", "misclassified"))
    assert len(wrong) == 2 and (wrong["class"] != wrong["predicted"]).all()
    assert clearest["class"].is_unique and (clearest["period_days"] > 0.1).all()
    points = pd.read_csv(out / "light_curves.csv", dtype={"lcid": str})
    assert set(points["lcid"]) == {*clearest["lcid"], *wrong["lcid"]}
    assert points["phase"].between(0, 1).all() and np.isfinite(points[["time", "mag", "magerr"]]).all(axis=None)
    survey = tiny.path / "data/simulated/crts/v0/indiv_lc"
    for lcid, curve in points.groupby("lcid"):
        raw = np.loadtxt(next(survey.glob(f"*/{lcid}.csv")), delimiter=",")
        assert np.allclose(curve["time"], np.sort(raw[:, 1]), rtol=0, atol=1e-5)
    labels = np.load(data / "y.npy")
    assert pd.read_csv(out / "classes.csv")["objects"].tolist() == np.bincount(labels, minlength=7).tolist()
    means = np.load(out / "mean_dmdt.npy")
    assert np.allclose(means[0], np.load(data / "X_2d.npy")[labels == 0, ..., 0].mean(axis=0), rtol=1e-4)


def test_every_class_has_its_maps_or_a_reason(tiny):
    out = tiny.path / "out/periodic"
    table = pd.read_csv(out / "metrics/class_maps.csv", dtype={"lcid": str})
    assert len(table) == 7 * 4 and table["note"].notna().any() and table["note"].isna().any()
    assert (table["note"].isna() == table["score"].notna()).all()
    test = pd.read_csv(out / "tables/predictions.csv", dtype={"lcid": str})["lcid"]
    assert not table["lcid"].isin(test).any()
    arrays = {path.stem: np.load(path) for path in (out / "class_maps").iterdir()}
    assert arrays["lighting"].shape == arrays["maximization"].shape == (7, 22, 24)
    assert np.allclose(arrays["lighting"].sum(axis=0), 1, atol=1e-5)
    for name in ("image", "own", "generated"):
        drawn = np.isfinite(arrays[f"pix2pixai_{name}"]).all(axis=(2, 3))
        assert np.array_equal(drawn, table["note"].isna().to_numpy().reshape(7, 4).T)
    drops = pd.read_csv(out / "metrics/class_maps_blanking.csv").set_index(["class", "approach", "cells"])["drop"]
    held_out = pd.read_csv(out / "heatmaps/objects.csv")["class"].unique()
    for name in held_out:
        learnt = {f"pix2pixai_{row.map}" for row in table[table["note"].isna()].itertuples() if row[1] == name}
        found = set(drops[name].index.get_level_values("approach"))
        assert {"lighting", "maximization", "random"} <= found
        assert found - {"mean_image"} == learnt | {"lighting", "maximization", "random"}
    assert np.isfinite(drops).all() and drops.abs().max() <= 1
    summary = json.loads((out / "metrics/class_maps.json").read_text())
    mean = drops.xs("lighting", level="approach").xs(10, level="cells").mean()
    assert summary["lighting"]["10 cells"]["drop"] == pytest.approx(mean, abs=1e-5)
    figures = {path.stem for path in (out / "figures_class_maps").iterdir()}
    assert {"class_maps", "lighting", "maximization", "blanking"} <= figures
    learnt_maps = set(table["map"][table["note"].isna()])
    assert {name for name in figures if name.startswith("pix2pixai_")} == {f"pix2pixai_{name}" for name in learnt_maps}


def test_metrics_and_plots_are_there_for_dvc(tiny):
    lines = tiny.run("dvc", "metrics", "show", "--json").splitlines()  # and a word on what other chapters lack
    shown = json.loads(next(line for line in lines if line.startswith("{")))
    names = set(shown[""]["data"])
    assert {"out/periodic/metrics/test.json", "out/periodic/training/metrics.json"} <= names
    assert "file://" in tiny.run("dvc", "plots", "show", "-o", "plots")
    page = (tiny.path / "plots/index.html").read_text()
    assert "periodic accuracy" in page and "median_blanking.png" in page


def test_only_what_a_parameter_touches_runs_again(tiny):
    tiny.change(**{"periodic.heatmaps.max_objects_per_class": 2})
    explained = {"periodic-heatmaps", "periodic-methods", "periodic-class-maps", "periodic-class-figures"}
    assert tiny.repro(*TARGETS) == explained | {"periodic-figures"}
    assert tiny.repro(*TARGETS) == set()


def test_the_maps_can_be_those_of_the_libraries(tiny):
    tiny.repro("periodic-libraries")
    table = pd.read_csv(tiny.path / "out/periodic/tables/libraries.csv").set_index(["method", "engine"])
    assert set(table["score"]) == {"logit"} and len(table) == 10
    same = [("saliency", "tf_keras_vis"), ("guided_backpropagation", "tf_keras_vis"), ("deep_shap", "shap")]
    assert (table.loc[same, "correlation"] > 0.99999).all()
    assert table["note"].notna().sum() == 1 and "probability of a softmax" in table.loc["scorecam", "note"].item()

    def maps():
        folder = tiny.path / "out/periodic/heatmaps"
        return {name: np.load(folder / f"{name}.npy") for name in ("gradcam", "saliency", "blanking", "deep_shap")}

    ours = maps()
    libraries = {"gradcam": "tf_keras_vis", "saliency": "tf_keras_vis", "deep_shap": "shap"}
    for engines in (libraries, dict.fromkeys(libraries, "skylight")):
        tiny.change(**{f"periodic.heatmaps.engines.{name}": engine for name, engine in engines.items()})
        assert tiny.repro("periodic-heatmaps") <= {"periodic-heatmaps"}
        theirs = maps()
        assert np.allclose(theirs["saliency"], ours["saliency"], rtol=1e-4, atol=1e-9)
        assert np.array_equal(theirs["deep_shap"], ours["deep_shap"]) == (engines is not libraries)
        assert np.array_equal(theirs["blanking"], ours["blanking"])
        assert np.corrcoef(theirs["deep_shap"].ravel(), ours["deep_shap"].ravel())[0, 1] > 0.9
    tiny.change(**{"periodic.heatmaps.engines.gradcam": "shap"})
    message = "error: periodic.heatmaps.engines.gradcam: must be one of 'skylight' or 'tf_keras_vis', got 'shap'"
    assert tiny.run("stages.periodic.heatmaps", fails=True).splitlines()[-1] == message
    tiny.change(**{"periodic.heatmaps.engines.gradcam": "skylight"})


def test_forced_again_it_gives_the_same_hashes(tiny):
    before = tiny.lock()
    assert tiny.repro("-f", *TARGETS) == set(CHAPTER)
    assert tiny.lock() == before


KILLED = {
    "periodic-simulate": "data/simulated/partial.crts",
    "periodic-train": ".checkpoints/periodic",
    "periodic-heatmaps": "out/periodic/heatmaps/objects.csv",
}


def test_killed_at_any_moment_it_ends_with_the_same_hashes(tiny, clone):
    clone = clone()
    clone.change(**profile("tiny", "periodic"))
    (clone.path / "dvc.lock").unlink()  # as if it had never run: what is not locked is made anew
    for stage, path in KILLED.items():
        clone.repro_killed("periodic-heatmaps", once=path)
        locked = yaml.safe_load(clone.lock())["stages"] if (clone.path / "dvc.lock").exists() else {}
        assert stage not in locked
    assert clone.repro("periodic-heatmaps") == {"periodic-heatmaps"}
    undisturbed = yaml.safe_load(tiny.undisturbed)["stages"]
    assert all(stage == undisturbed[name] for name, stage in yaml.safe_load(clone.lock())["stages"].items())


def test_the_trained_network_classifies_and_explains_light_curves(tiny, tmp_path):
    stars = sorted((tiny.path / "data/simulated/crts/v0/indiv_lc/class4").glob("*.csv"))[:2]
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2,x,4\n1,3,4,5\n")
    command = ["skylight", "classify", *map(str, stars), str(bad), "--out", str(tmp_path / "p.json")]
    printed = tiny.run(*command, "--explain", str(tmp_path / "maps"), fails=True)
    assert f"error: {bad}: line 1: not a number: 'x'" in printed
    table = json.loads((tmp_path / "p.json").read_text())
    assert [row["file"] for row in table] == [str(star) for star in stars]
    assert all(
        abs(sum(row[name] for name in ("EW", "EA", "RRab", "RRc", "RRd", "RS CVn", "LPV")) - 1) < 1e-5 for row in table
    )
    assert sorted(path.stem for path in (tmp_path / "maps").glob("*.png")) == [star.stem for star in stars]


def test_bad_parameters_and_bad_data_stop_a_stage_in_one_line(tiny):
    tiny.change(**{"periodic.transform.max_rejected": 2})
    output = tiny.run("stages.periodic.transform", fails=True)
    assert output.strip() == "error: periodic.transform.max_rejected: must be at most 1, got 2"
    key = "ERROR: failed to reproduce 'periodic-transform'"  # asked for a later stage
    assert key in tiny.run("dvc", "repro", "periodic-train", fails=True)
    tiny.change(**{"periodic.transform.max_rejected": 0.05, "periodic.train.sampling": "smote"})
    message = "error: periodic.train.sampling: smote needs at least 6 training objects of each class, one has "
    assert message in tiny.run("dvc", "repro", "periodic-train", fails=True)
    tiny.change(**{"periodic.train.sampling": "none", "bars.transform.crop": 0})
    tiny.run("stages.periodic.transform")  # of another chapter
    assert "error: bars.transform.crop: must be at least 1, got 0" in tiny.run("skylight", "check", fails=True)
    classes = ["EW", "EA", "RRab", "RRc", "RRd", "RS CVn", "LPV"]
    tiny.change(**{"bars.transform.crop": 136, "periodic.classes": [*classes, "Blazhko"]})
    output = tiny.run("stages.periodic.transform", fails=True)
    assert "error: periodic.classes: 0 usable objects of Blazhko in periodic.data" in output
    tiny.change(**{"periodic.classes": classes})
    assert tiny.run("stages.periodic.transform", "--survey", "tess", fails=True).strip() == (
        "error: periodic.transfer.surveys: no 'tess' (has: ztf, ptf)"
    )


STRIPE82 = {
    "layout": "files",
    "path": "data/stripe82",
    "files": "light-curves/{id}.csv",
    "columns": {"time": "time", "mag": "mag", "magerr": "magerr", "band": "band"},
    "band": "r",
    "labels": {"path": "periods.csv", "id": "Num", "class": "Type", "classes": {"ab": "RRab", "c": "RRc"}},
}


def test_a_real_survey_runs_through_parameters_alone(tiny, real_data, capsys):
    """The 483 RR Lyrae of Stripe 82 (Sesar et al. 2010), from transform to figures, with a network of two classes.

    500 epochs as published. The README quotes the accuracy that is printed.
    """
    shutil.copytree(real_data("s82_rrlyrae"), tiny.path / "data/stripe82")
    tiny.change(
        **{
            "periodic.classes": ["RRab", "RRc"],
            "periodic.data": STRIPE82,
            "periodic.transfer.surveys": {},
            "periodic.train.epochs": 500,
            "periodic.heatmaps.min_probability": 0.8,
        }
    )
    ran = tiny.repro(*TARGETS)
    steps = ("transform", "train", "test", "forest", "examples", "heatmaps", "methods")
    steps += ("class-maps", "class-figures", "figures")
    assert ran == {f"periodic-{step}" for step in steps}
    test = json.loads((tiny.path / "out/periodic/metrics/test.json").read_text())
    with capsys.disabled():
        cnn, forest = test["cnn"], test["forest"]
        print(
            f"\nStripe 82, {test['objects']} test stars of 483: network accuracy {cnn['accuracy']:.3f}, "
            f"MCC {cnn['mcc']:.3f}, F1 {cnn['f1']}; forest accuracy {forest['accuracy']:.3f}"
        )
    # Better than always saying RRab, by more than three standard errors of that.
    predictions = pd.read_csv(tiny.path / "out/periodic/tables/predictions.csv")
    share = (predictions["class"] == "RRab").mean()
    assert cnn["accuracy"] > share + 3 * (share * (1 - share) / len(predictions)) ** 0.5
    figures = tiny.path / "out/periodic/figures"
    assert (figures / "median_blanking.png").exists() and (figures / "folded.png").exists()
