"""`skylight candidates`: chunks of stamps; a bad chunk or candidate never loses the others."""

import csv
from pathlib import Path

import numpy as np
import pytest

from skylight import params
from skylight.candidates.hits import measured_snr, scaled, write_chunk
from skylight.networks.deep_hits import load_deep_hits


@pytest.fixture
def stamps(workplace) -> np.ndarray:
    """Six candidates, the fourth without a good pixel of science."""
    made = np.random.default_rng(0).normal(size=(6, 21, 21, 4)).astype(np.float32)
    made[3, :, :, 1] = np.nan
    return made


@pytest.mark.slow
def test_probabilities_are_the_mean_of_the_ensemble(stamps, skylight):
    for name in ("good.npz", "old.pkl"):
        write_chunk(Path(name), stamps[:3], np.zeros(3))
    status, lines, _ = skylight("candidates", "good.npz", "old.pkl", "--out", "s.csv")
    supernovae = params.load().supernovae
    folders = [Path("out/supernovae/networks") / member for member in supernovae.members["cap"]]
    networks = [load_deep_hits(folder, **supernovae.network_options["cap"]) for folder in folders]
    expected = np.mean([network.predict(scaled(stamps[:3]), verbose=0)[:, 1] for network in networks], axis=0)
    table = list(csv.DictReader(Path("s.csv").read_text().splitlines()))
    assert status == 0 and len(networks) == 2 and list(table[0]) == ["chunk", "row", "snr", "probability"]
    assert [(row["chunk"], row["row"]) for row in table] == [
        (n, str(i)) for n in ("good.npz", "old.pkl") for i in range(3)
    ]
    assert np.allclose([float(row["probability"]) for row in table], np.tile(expected, 2), atol=1e-5)
    assert np.allclose([float(row["snr"]) for row in table[:3]], measured_snr(stamps[:3]), rtol=1e-5)
    assert len(lines) == 7


def test_bad_chunks_and_candidates_are_reported_and_the_others_scored(stamps, skylight):
    write_chunk(Path("good.npz"), stamps, np.zeros(6))
    write_chunk(Path("nothing.npz"), stamps[3:4], np.zeros(1))
    Path("cut.npz").write_bytes(Path("good.npz").read_bytes()[:1000])
    status, _, errors = skylight("candidates", "nothing.npz", "cut.npz", "good.npz", "--out", "s.csv")
    assert status == 1 and errors[0] == "error: nothing.npz row 0: science stamp has no good pixel"
    assert errors[1].startswith("error: cut.npz: not a whole .npz file")
    assert errors[2] == "error: good.npz row 3: science stamp has no good pixel"
    assert [row["row"] for row in csv.DictReader(Path("s.csv").read_text().splitlines())] == ["0", "1", "2", "4", "5"]
    status, lines, errors = skylight("candidates", "nothing.npz", "--out", "none.csv")
    assert status == 1 and len(lines) == len(errors) - 1 == 1
    assert Path("none.csv").read_text() == "chunk,row,snr,probability\n"


@pytest.mark.slow
def test_explain_writes_the_maps_and_a_figure_of_each_chunk(stamps, skylight):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        write_chunk(Path(folder) / "chunk.npz", stamps, np.zeros(6))
    write_chunk(Path("nothing.npz"), stamps[3:4], np.zeros(1))
    status, _, _ = skylight("candidates", "a/chunk.npz", "nothing.npz", "b/chunk.npz", "--explain", "maps")
    assert status == 1  # the fourth candidate
    assert {path.name for path in Path("maps").iterdir()} == {
        f"chunk{n}{s}" for n in ("", "_2") for s in (".npz", ".png")
    }
    maps = np.load("maps/chunk.npz")["relevance"]
    assert maps.shape == (6, 21, 21, 4) and np.isnan(maps[3]).all() and np.isfinite(np.delete(maps, 3, axis=0)).all()
