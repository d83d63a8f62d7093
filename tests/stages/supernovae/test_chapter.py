"""The supernovae chapter through DVC, at a tiny scale, with good and bad chunks."""

import json
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from skylight.candidates import hits
from tests.conftest import profile

pytestmark = pytest.mark.slow

STEPS = ("simulate", "transform", "train", "test", "heatmaps", "figures")
CHAPTER = {f"supernovae-{step}" for step in STEPS}


@pytest.fixture(scope="module")
def tiny(clone):
    """The chapter, run once."""
    clone = clone()
    clone.change(**profile("tiny", "supernovae"))
    assert clone.repro("supernovae-figures", "supernovae-digits") == CHAPTER | {"supernovae-digits"}
    return clone


def test_outputs_have_the_right_shapes_and_values(tiny):
    data, out = tiny.path / "data/processed/supernovae", tiny.path / "out/supernovae"
    assert [len(hits.load(data, part).stamps) for part in hits.PARTS] == [150, 40, 60]
    assert (data / "rejected.csv").read_text() == "source,id,reason\n"
    predictions = pd.read_csv(out / "tables/predictions.csv")
    assert {"p_deep_hits", "p_cap", "p_cap_ensemble", "p_cap_bn"} <= set(predictions) and len(predictions) == 60
    metrics = json.loads((out / "metrics/test.json").read_text())
    right = (predictions["p_cap"] >= 0.5) == predictions["label"]
    assert metrics["networks"]["cap"]["accuracy"] == pytest.approx(right.mean())
    turns = metrics["largest_change_under_quarter_turns"]
    assert turns["cap"] < 1e-6 and turns["cap_bn"] < 1e-6
    candidates = pd.read_csv(out / "heatmaps/candidates.csv")
    assert (candidates["explained_by"] == "all rules").sum() == 8
    for network in ("deep_hits", "cap", "cap_bn"):
        for kind in ("", "_averaged"):
            assert np.load(out / f"heatmaps/{network}{kind}.npy").shape == (2, len(candidates), 21, 21, 4)
    relevance = json.loads((out / "metrics/relevance.json").read_text())
    for rule in ("epsilon", "alphabeta"):
        assert relevance["rotation_agreement"][rule]["cap"]["mean"] == pytest.approx(1, abs=1e-6)
        assert relevance["largest_relative_change_of_a_turned_map"][rule]["cap"] < 1e-5
    footprints = np.load(out / "heatmaps/footprints.npy")
    assert np.array_equal(footprints.any(axis=(1, 2)), candidates["label"] == 1)
    assert {"det.png", "rotation_agreement.png", "layers.png"} <= {path.name for path in (out / "figures").iterdir()}
    assert (out / "figures_digits/digits.png").exists()
    assert not (tiny.path / ".checkpoints/supernovae").exists()


def test_a_killed_run_continues_and_does_not_repeat_finished_trainings(tiny):
    """As if killed after the first member of CAP: the networks before it come from their checkpoints."""
    before = {path: path.read_bytes() for path in (tiny.path / "out/supernovae/networks").rglob("*.npy")}
    code = """
import skylight.training.fit as training
import stages.supernovae.train as stage
fit, done = training.fit, []
def killed(*args, **kwargs):
    fit(*args, **kwargs)
    done.append(kwargs["name"])
    if len(done) == 2:
        raise KeyboardInterrupt
training.fit = killed
stage.main()
"""
    (tiny.path / "killed.py").write_text(code)
    tiny.run("killed", fails=True)
    kept = sorted(path.name for path in (tiny.path / ".checkpoints/supernovae").iterdir())
    assert kept == ["cap_0", "deep_hits_0"]
    printed = tiny.run("stages.supernovae.train")
    assert "continuing supernovae/cap_0 after epoch 2 of 2" in printed and "continuing supernovae/cap_1" not in printed
    assert {path: path.read_bytes() for path in before} == before
    assert not (tiny.path / ".checkpoints/supernovae").exists()


def test_the_trained_networks_score_and_explain_chunks_of_both_layouts(tiny, tmp_path):
    chunk = hits.read_chunk(tiny.path / "data/simulated/hits/test/chunk_0000.npz")
    stamps = chunk.stamps[:5].copy()
    stamps[3, :, :, 1] = np.nan
    files = [tmp_path / "good.npz", tmp_path / "old.pkl"]
    for path in files:
        hits.write_chunk(path, stamps, chunk.labels[:5])
    options = ["--out", str(tmp_path / "s.csv"), "--explain", str(tmp_path / "maps")]
    printed = tiny.run("skylight", "candidates", *map(str, files), *options, fails=True)
    assert f"error: {files[0]} row 3: science stamp has no good pixel" in printed
    table = pd.read_csv(tmp_path / "s.csv")
    assert list(table["row"]) == [0, 1, 2, 4] * 2 and table["probability"].between(0, 1).all()
    expected = pd.read_csv(tiny.path / "out/supernovae/tables/predictions.csv")["p_cap_ensemble"][[0, 1, 2, 4]]
    assert np.allclose(table["probability"][:4], expected, atol=1e-5)
    maps = np.load(tmp_path / "maps/good.npz")["relevance"]
    assert maps.shape == (5, 21, 21, 4) and np.isnan(maps[3]).all() and np.isfinite(maps[[0, 1, 2, 4]]).all()


class Shell:
    def __reduce__(self):
        import os

        return os.system, ("touch mark",)


def test_bad_chunks_and_parameters_are_errors_of_one_line_and_keep_the_outputs(tiny):
    survey = tiny.path / "data/simulated/hits"
    shutil.copytree(survey, tiny.path / "mine")
    tiny.change(**{"supernovae.data.path": "mine"})
    before = (tiny.path / "data/processed/supernovae/test.npy").read_bytes()

    def fails(message):
        output = tiny.run("stages.supernovae.transform", fails=True)
        (line,) = [line for line in output.splitlines() if line.startswith("error:")]
        assert message in line and "Traceback" not in output
        assert (tiny.path / "data/processed/supernovae/test.npy").read_bytes() == before

    chunk = tiny.path / "mine/train/chunk_0000.npz"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:5000])
    fails("error: mine/train/chunk_0000.npz: not a whole .npz file of arrays")
    chunk.write_bytes(whole)
    stamps, labels = (getattr(hits.read_chunk(chunk), name) for name in ("stamps", "labels"))
    stamps[:2] = np.nan
    hits.write_chunk(chunk, stamps, labels)
    tiny.change(**{"supernovae.transform.max_rejected": 0.007})
    fails(
        "2 of 250 candidates rejected, supernovae.transform.max_rejected allows a share of 0.007; the first: "
        "train/chunk_0000.npz row 0: template stamp has no good pixel"
    )
    tiny.change(**{"supernovae.transform.max_rejected": 0.008})
    evil = chunk.with_name("chunk_0000.pkl")
    evil.write_bytes(pickle.dumps({"labels": Shell()}))
    fails("error: mine/train/chunk_0000.pkl: refused: the pickle names posix.system, only NumPy arrays are admitted")
    assert not (tiny.path / "mark").exists()
    evil.unlink()

    output = tiny.run("stages.supernovae.transform")
    assert "2 of 250 candidates rejected; rejected.csv lists them" in output
    rejected = pd.read_csv(tiny.path / "data/processed/supernovae/rejected.csv")
    assert list(rejected["source"]) == ["train/chunk_0000.npz row 0", "train/chunk_0000.npz row 1"]
    counts = json.loads((tiny.path / "out/supernovae/metrics/transform.json").read_text())
    assert counts["train"]["rejected"] == 2

    tiny.change(**{"supernovae.networks.cap.pooling": "max"})
    output = tiny.run("stages.supernovae.train", fails=True)
    assert "error: supernovae.networks.cap.pooling: must be one of 'concatenation' or 'cyclic_average'" in output
