"""`skylight score`: alert packets of files, folders and the standard input; a bad one never loses the others."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from skylight.alerts.packets import CUTOUTS, packed, write
from skylight.alerts.triplets import triplets
from skylight.networks.vgg6 import load_vgg6

CANDIDATE = {
    **{"jd": 2458882.06, "fid": 2, "pid": 1, "programid": 1, "isdiffpos": "t", "ra": 1.0, "dec": 2.0, "magpsf": 19.0},
    **{"sigmapsf": 0.1, "ranr": 1.0, "decnr": 2.0, "ndethist": 1, "ncovhist": 1, "nmtchps": 0, "rfid": 1},
    **{"jdstartref": 1.0, "jdendref": 2.0, "nframesref": 15, "rbversion": "none", "nmatches": 1, "drbversion": "none"},
}


def record(candid: int, **changes: bytes) -> dict:
    """Make a packet with noise as its cutouts."""
    cutouts = {
        name: packed(np.random.default_rng([candid, i]).normal(100, 5, (63, 63))) for i, name in enumerate(CUTOUTS)
    }
    block = {"objectId": f"ZTF{candid}", "candid": candid, "candidate": CANDIDATE | {"candid": candid}}
    return block | cutouts | changes


def packet(path: Path, *candids: int, **changes: bytes) -> bytes:
    """Write a file of packets and return its bytes."""
    write(path, [record(candid, **changes) for candid in candids])
    return path.read_bytes()


@pytest.fixture
def night(workplace) -> Path:
    """A folder with three packets, one of them below it."""
    (workplace / "night/late").mkdir(parents=True)
    for candid, name in ((1, "1.avro"), (2, "2.avro"), (3, "late/3.avro")):
        packet(workplace / "night" / name, candid)
    return workplace / "night"


def corrupt_card(cutout: bytes) -> bytes:
    """Damage a card of a cutout's FITS header, so that astropy returns an HDU without data (`_CorruptedHDU`)."""
    raw = bytearray(gzip.decompress(cutout))
    raw[42] = 0
    return gzip.compress(bytes(raw))


def test_scores_are_those_of_the_network(night, skylight):
    status, lines, _ = skylight("score", "night", "--out", "s.csv")
    from skylight.alerts.packets import alerts

    images = np.stack([pixels for _, pixels in triplets(alerts([night]))])
    expected = load_vgg6(Path("out/realbogus/networks/vgg6.weights.h5")).predict(images, verbose=0)[:, 1]
    table = list(csv.DictReader(Path("s.csv").read_text().splitlines()))
    assert status == 0 and [row["candid"] for row in table] == ["1", "2", "3"]
    assert list(table[0]) == ["candid", "objectid", "score", "source"] and table[0]["objectid"] == "ZTF1"
    assert np.allclose([float(row["score"]) for row in table], expected, atol=1e-5)
    assert [line.split() for line in lines] == [
        [row["candid"], f"{float(row['score']):.4f}", f"night/{path}"]
        for row, path in zip(table, ("1.avro", "2.avro", "late/3.avro"), strict=True)
    ]


def test_bad_packets_are_reported_and_the_others_scored(night, skylight):
    packet(night / "2.avro", 2, cutoutScience=corrupt_card(record(2)["cutoutScience"]))
    Path("bad.avro").write_bytes(b"not avro")
    Path("empty").mkdir()
    status, lines, errors = skylight("score", "bad.avro", "nowhere", "empty", "night", "--out", "s.json")
    assert status == 1 and [line.split()[0] for line in lines] == ["1", "3"]
    assert [row["candid"] for row in json.loads(Path("s.json").read_text())] == [1, 3]
    reasons = ["nowhere: no such file or folder", "bad.avro: corrupt, or not Avro", "empty: no .avro file"]
    reasons += ["night/2.avro: cutoutScience: not FITS"]
    for reason, line in zip(reasons, errors, strict=False):
        assert line.startswith(f"error: {reason}")


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_standard_input_is_any_number_of_containers(night, skylight, monkeypatch, pack):
    stream = pack(b"".join(path.read_bytes() for path in sorted(night.glob("*.avro"))))

    class Input:
        buffer = io.BytesIO(stream)

    monkeypatch.setattr(sys, "stdin", Input)
    status, lines, _ = skylight("score", "-")
    assert status == 0 and [line.split()[0] for line in lines] == ["1", "2"]


def test_a_gzipped_standard_input_that_is_cut_is_scored_as_far_as_it_goes(night, skylight, monkeypatch):
    whole = gzip.compress(b"".join(path.read_bytes() for path in sorted(night.glob("*.avro"))))

    class Input:
        buffer = io.BytesIO(whole[:-20])

    monkeypatch.setattr(sys, "stdin", Input)
    status, lines, errors = skylight("score", "-")
    assert status == 1 and [line.split()[0] for line in lines] == ["1"]
    assert errors[-1].startswith("error: standard input: cannot be read to its end (Compressed file ended")


def test_a_result_that_a_spreadsheet_would_run_is_quoted(night, skylight):
    (night / "1.avro").rename("=1+1.avro")
    status, _, _ = skylight("score", "=1+1.avro", "--out", "s.csv")
    assert status == 0 and Path("s.csv").read_text().splitlines()[1].endswith(",'=1+1.avro")


@pytest.mark.slow
def test_published_weights_are_explained_with_triplets_of_ones_own(night, skylight):
    """The background of the pipeline is that of the simulated alerts."""
    weights = Path("out/realbogus/networks/vgg6.weights.h5").rename("braai.weights.h5")
    Path("out/realbogus/heatmaps/background.npy").unlink()
    status, lines, (error,) = skylight("score", "night", "--weights", weights, "--explain", "explained")
    assert status == 1 and not lines and "--background" in error and "dvc repro realbogus-heatmaps" not in error
    assert skylight("triplets", "night", "--out", "triplets")[0] == 0
    words = ["--weights", weights, "--background", "triplets/triplets.npy", "--explain", "explained"]
    status, lines, _ = skylight("score", "night/1.avro", *words)
    assert status == 0 and len(lines) == 1 and Path("explained/1.png").is_file()


@pytest.mark.slow
def test_explain_writes_a_figure_and_the_maps_of_each_alert(night, skylight):
    packet(night / "again.avro", 1)
    status, _, _ = skylight("score", "night", "--explain", "explained", "--out", "s.csv")
    names = ["1", "2", "1_2", "3"]
    assert status == 0 and [row["figure"] for row in csv.DictReader(Path("s.csv").read_text().splitlines())] == names
    assert {path.name for path in Path("explained").iterdir()} == {
        f"{name}{suffix}" for name in names for suffix in (".npz", ".png")
    }
    maps = np.load("explained/1.npz")
    assert maps["deep_shap"].shape == (63, 63, 3) and maps["gradcam"].shape == (63, 63, 1)
    assert all(np.isfinite(values).all() for values in maps.values())
    status, _, errors = skylight("score", "night", "--explain", "explained")
    assert status == 2 and errors[0].startswith("error: --explain explained: this folder exists and is not empty")
