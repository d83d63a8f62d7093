"""The real-bogus chapter through DVC, at a tiny scale."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.conftest import profile

STEPS = ("simulate", "transform", "train", "test", "heatmaps", "class-maps", "figures")
CHAPTER = {f"realbogus-{step}" for step in STEPS}


@pytest.fixture(scope="module")
def tiny(clone):
    """The chapter, run once."""
    clone = clone()
    clone.change(**profile("tiny", "realbogus"))
    assert clone.repro("realbogus-figures") == CHAPTER
    return clone


def test_outputs_have_the_shapes_they_should(tiny):
    data, out = tiny.path / "data/processed/realbogus", tiny.path / "out/realbogus"
    assert np.load(data / "triplets.npy").shape == (120, 63, 63, 3)
    assert len((data / "rejected.csv").read_text().splitlines()) == 1
    parts = pd.read_csv(out / "tables/split.csv")["part"].value_counts()
    assert parts.to_dict() == {"train": 65, "test": 48, "validation": 7}
    test, predictions = json.loads((out / "metrics/test.json").read_text()), pd.read_csv(out / "tables/predictions.csv")
    assert len(predictions) == test["alerts"] == 48
    wrong = pd.read_csv(out / "tables/misclassified.csv")
    assert len(wrong) == test["misclassified"] == round(48 * (1 - test["accuracy"]))
    rates = pd.read_csv(out / "tables/error_rates.csv")
    assert rates[["fnr", "fpr"]].iloc[0].tolist() == [1, 0] and rates[["fnr", "fpr"]].iloc[-1].tolist() == [0, 1]
    chosen = pd.read_csv(out / "heatmaps/alerts.csv")
    for name, channels in (("gradcam", 1), ("saliency", 1), ("blanking", 1), ("deep_shap", 3)):
        assert np.load(out / f"heatmaps/{name}.npy").shape == (len(chosen), 63, 63, channels)
    assert np.load(out / "class_maps/maximization.npy").shape == (2, 63, 63, 3)
    table, generated = pd.read_csv(out / "metrics/class_maps.csv"), np.load(out / "class_maps/generated.npy")
    assert len(table) == 20 and generated.shape == (5, 4, 63, 63)
    made = np.isfinite(generated).all(axis=(2, 3)).ravel()
    assert np.array_equal(made, table["note"].isna()) and made.any()  # a map, or why there is none
    assert {path.suffix for path in (out / "figures").glob("*.*")} == {".png"}
    assert len(list((out / "figures/misclassified").iterdir())) == min(2, len(wrong))


def test_only_what_a_parameter_touches_runs_again(tiny):
    tiny.change(**{"realbogus.class_maps.maximization_steps": 2, "realbogus.class_maps.min_correlation": 1})
    assert tiny.repro("realbogus-figures") == {"realbogus-class-maps", "realbogus-figures"}
    out = tiny.path / "out/realbogus"
    assert pd.read_csv(out / "metrics/class_maps.csv")["note"].notna().all()  # no GAN follows its map to the letter
    assert np.isnan(np.load(out / "class_maps/generated.npy")).all()


def test_forced_again_it_gives_the_same_hashes(tiny):
    before = tiny.lock()
    assert tiny.repro("-f", "realbogus-figures") == CHAPTER
    assert tiny.lock() == before


def test_packets_are_scored_explained_and_the_bad_ones_told(tiny, tmp_path):
    packets = sorted((tiny.path / "data/simulated/ztf_alerts/packets").iterdir())[:2]
    bad = tmp_path / "bad.avro"
    bad.write_bytes(b"not avro")
    command = ["stages.realbogus.score", *map(str, packets), str(bad), "--explain", str(tmp_path / "explained")]
    printed = tiny.run(*command, fails=True)
    assert f"error: {bad}: corrupt, or not Avro" in printed
    assert re.findall(r"^(\d+) [01]\.\d{4}$", printed, re.M) == [packet.stem for packet in packets]
    names = {packet.stem + suffix for packet in packets for suffix in (".png", ".npz")}
    assert {path.name for path in (tmp_path / "explained").iterdir()} == names
    maps = np.load(tmp_path / f"explained/{packets[0].stem}.npz")
    assert maps["deep_shap"].shape == (63, 63, 3) and np.isfinite(maps["blanking"]).all()


def test_a_stream_on_the_standard_input_becomes_triplets(tiny, tmp_path):
    packets = sorted((tiny.path / "data/simulated/ztf_alerts/packets").iterdir())[:7]
    stream = b"".join(packet.read_bytes() for packet in packets)
    command = [sys.executable, "-m", "stages.realbogus.transform", "-", "--out", str(tmp_path / "triplets")]
    subprocess.run(command, cwd=tiny.path, input=stream, check=True, capture_output=True)
    assert [str(candid) for candid in np.load(tmp_path / "triplets/candid.npy")] == [path.stem for path in packets]


def test_bad_parameters_and_bad_data_stop_a_stage_in_one_line(tiny, tmp_path):
    def says(*command):
        return tiny.run(*command, fails=True).strip().splitlines()[-1]

    tiny.change(**{"realbogus.train.patience": -1})
    assert says("stages.realbogus.train") == "error: realbogus.train.patience: must be at least 0, got -1"
    tiny.change(**{"realbogus.train.patience": 50, "realbogus.data.labels": "nowhere.csv"})
    assert says("stages.realbogus.transform").startswith("error: nowhere.csv: no such file")
    assert not list((tiny.path / "data/processed").glob("partial*"))
    assert says("stages.realbogus.transform", "x.avro") == "error: packets and --out: give both or neither"
    assert says("stages.realbogus.score", "x.avro", "--weights", "nowhere.h5").startswith("error: nowhere.h5: no such")
