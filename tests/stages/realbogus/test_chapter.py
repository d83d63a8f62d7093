"""The real-bogus chapter through DVC at a tiny scale, with simulated alerts."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.conftest import profile

pytestmark = pytest.mark.slow

STEPS = ("simulate", "transform", "train", "test", "heatmaps", "class-maps", "figures")
CHAPTER = {f"realbogus-{step}" for step in STEPS}


@pytest.fixture(scope="module")
def tiny(clone):
    """Return a clone in which the chapter has run once."""
    clone = clone()
    clone.change(**profile("tiny", "realbogus"))
    assert clone.repro("realbogus-figures") == CHAPTER
    return clone


def test_outputs_have_the_expected_shapes(tiny):
    data, out = tiny.path / "data/processed/realbogus", tiny.path / "out/realbogus"
    assert np.load(data / "triplets.npy").shape == (120, 63, 63, 3)
    assert (data / "rejected.csv").read_text() == "source,id,reason\n"
    parts = pd.read_csv(out / "tables/split.csv")["part"].value_counts()
    assert parts.to_dict() == {"train": 65, "test": 48, "validation": 7}
    test, predictions = json.loads((out / "metrics/test.json").read_text()), pd.read_csv(out / "tables/predictions.csv")
    assert len(predictions) == test["alerts"] == 48
    wrong = pd.read_csv(out / "tables/misclassified.csv")
    assert len(wrong) == test["misclassified"] == round(48 * (1 - test["accuracy"]))
    rates = pd.read_csv(out / "tables/error_rates.csv")
    assert rates[["fnr", "fpr"]].iloc[0].tolist() == [1, 0] and rates[["fnr", "fpr"]].iloc[-1].tolist() == [0, 1]
    chosen = pd.read_csv(out / "heatmaps/alerts.csv")
    counts = json.loads((out / "metrics/heatmaps.json").read_text())
    assert counts["alerts"] == len(chosen) and sum(some["test"] for some in counts["subcategories"].values()) == 48
    explained = {name: some["explained"] for name, some in counts["subcategories"].items() if some["explained"]}
    assert explained == chosen["subcategory"].value_counts().to_dict()
    for name, channels in (("gradcam", 1), ("saliency", 1), ("blanking", 1), ("deep_shap", 3)):
        assert np.load(out / f"heatmaps/{name}.npy").shape == (len(chosen), 63, 63, channels)
    assert np.load(out / "class_maps/maximization.npy").shape == (2, 63, 63, 3)
    table, generated = pd.read_csv(out / "metrics/class_maps.csv"), np.load(out / "class_maps/generated.npy")
    assert len(table) == 20 and generated.shape == (5, 4, 63, 63)
    made = np.isfinite(generated).all(axis=(2, 3)).ravel()
    assert np.array_equal(made, table["note"].isna()) and made.any()  # a map, or the reason why there is none
    assert {path.suffix for path in (out / "figures").glob("*.*")} == {".png"}
    assert len(list((out / "figures/misclassified").iterdir())) == min(2, len(wrong))


def test_only_the_stages_that_a_parameter_changes_run_again(tiny):
    tiny.change(**{"realbogus.class_maps.maximization_steps": 2, "realbogus.class_maps.min_correlation": 1})
    assert tiny.repro("realbogus-figures") == {"realbogus-class-maps", "realbogus-figures"}
    out = tiny.path / "out/realbogus"
    assert pd.read_csv(out / "metrics/class_maps.csv")["note"].notna().all()  # no GAN reproduces a map exactly
    assert np.isnan(np.load(out / "class_maps/generated.npy")).all()


def test_a_forced_run_gives_equal_hashes(tiny):
    before = tiny.lock()
    assert tiny.repro("-f", "realbogus-figures") == CHAPTER
    assert tiny.lock() == before


def test_the_trained_network_scores_and_explains_packets(tiny, tmp_path):
    packets = sorted((tiny.path / "data/simulated/ztf_alerts/packets").iterdir())[:2]
    bad = tmp_path / "bad.avro"
    bad.write_bytes(b"not avro")
    command = ["skylight", "score", *map(str, packets), str(bad), "--explain", str(tmp_path / "explained")]
    printed = tiny.run(*command, fails=True)
    assert f"{bad}: corrupt, or not Avro" in printed
    assert all(packet.stem in printed for packet in packets)
    names = {packet.stem + suffix for packet in packets for suffix in (".png", ".npz")}
    assert {path.name for path in (tmp_path / "explained").iterdir()} == names
    maps = np.load(tmp_path / f"explained/{packets[0].stem}.npz")
    assert maps["deep_shap"].shape == (63, 63, 3) and np.isfinite(maps["blanking"]).all()


def test_real_packets_are_compared_where_they_are_named(tiny):
    table = tiny.path / "out/realbogus/metrics/realism.csv"
    printed = tiny.run("stages.realbogus.realism")
    assert "realbogus.realism.packets is null: no real packets to compare with" in printed
    assert pd.read_csv(table)["distance"].isna().all()
    folder = "data/simulated/ztf_alerts"  # compared with itself
    tiny.change(**{"realbogus.realism.packets": {"path": f"{folder}/packets", "labels": f"{folder}/candidates.csv"}})
    assert "null" not in tiny.run("stages.realbogus.realism")
    compared = pd.read_csv(table)
    assert (
        len(compared) == 20 and (compared["distance"] == 0).all() and (compared["own_50"] == compared["real_50"]).all()
    )
    assert (tiny.path / "out/realbogus/figures_realism/realism.png").stat().st_size > 10_000
    (tiny.path / "others.csv").write_text("candid,label\n1,0\n")
    tiny.change(**{"realbogus.realism.packets.labels": "others.csv"})
    printed = tiny.run("stages.realbogus.realism", fails=True)
    assert f"error: {folder}/packets: has no usable alert with a label in others.csv" in printed.splitlines()
    assert pd.read_csv(table).equals(compared)
    tiny.change(**{"realbogus.realism.packets.labels": f"{folder}/candidates.csv"})


def test_a_stream_on_the_standard_input_becomes_triplets(tiny, tmp_path):
    packets = sorted((tiny.path / "data/simulated/ztf_alerts/packets").iterdir())[:7]
    stream = b"".join(packet.read_bytes() for packet in packets)
    command = [sys.executable, "-m", "skylight", "triplets", "-", "--out", str(tmp_path / "triplets")]
    subprocess.run(command, cwd=tiny.path, input=stream, check=True, capture_output=True)
    assert [str(candid) for candid in np.load(tmp_path / "triplets/candid.npy")] == [path.stem for path in packets]


def test_bad_parameters_and_bad_data_stop_a_stage_with_one_line(tiny):
    def says(*command):
        return tiny.run(*command, fails=True).strip().splitlines()[-1]

    tiny.change(**{"realbogus.train.patience": -1})
    assert says("stages.realbogus.train") == "error: realbogus.train.patience: must be at least 0, got -1"
    tiny.change(**{"realbogus.train.patience": 50, "realbogus.data.labels": "nowhere.csv"})
    assert says("stages.realbogus.transform").startswith("error: nowhere.csv: no such file")
    assert not list((tiny.path / "data/processed").glob("partial*"))
