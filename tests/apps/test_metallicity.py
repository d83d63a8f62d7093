"""`skylight metallicity`: classes and maps of pictures; a bad one never loses the others."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skylight import params
from skylight.galaxies.metallicity import ANSWERS, central_pixels
from skylight.networks.metallicity_cnn import load_metallicity_cnn, metallicity_cnn
from skylight.training.fit import deterministic


@pytest.fixture
def networks(workplace):
    """Untrained networks under `out/`, as small as params.yaml allows."""
    folder = workplace / "out/metallicity/networks"
    folder.mkdir(parents=True)
    settings = params.load().metallicity
    size, width = settings.transform.size, settings.network.width
    deterministic(0)
    for name, outputs in (("classifier", 2), ("regression", 1)):
        metallicity_cnn(size, outputs, width).save_weights(folder / f"{name}.weights.h5")
    return load_metallicity_cnn(folder / "classifier.weights.h5", size, 2, width)


def picture(path: str, width: int, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (width, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return Path(path)


@pytest.mark.slow
def test_classes_and_maps_are_those_of_the_network(networks, skylight):
    files = [picture("a.png", 160, 1), picture("b.png", 128, 2)]
    Path("bad.jpg").write_bytes(b"no picture")
    status, lines, errors = skylight("metallicity", "bad.jpg", *files, "--out", "t.csv", "--explain", "drawn")
    assert status == 1 and "bad.jpg" in errors[0] and errors[1:] == ["wrote t.csv"]
    rows = list(csv.DictReader(Path("t.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["a.png", "b.png"]
    size = params.load().metallicity.transform.size
    for row, file in zip(rows, files, strict=True):
        inputs = central_pixels(file, size)[None].astype(np.float32) / 255
        p_low = networks.predict(inputs, verbose=0)[0, ANSWERS.index("low")]
        assert float(row["p_low"]) == pytest.approx(p_low, abs=1e-4)
        assert row["class"] == ("low" if p_low > 0.5 else "high")
        with np.load(f"drawn/{row['figure']}.npz") as maps:
            assert maps["low"].shape == maps["high"].shape == (size, size)
        assert Path(f"drawn/{row['figure']}.png").stat().st_size > 10_000
    assert lines[0].split() == ["class", "p_low", "oh", "file"] and len(lines) == 3


def test_wrong_usage_and_missing_networks_are_one_line(workplace, skylight):
    picture("a.png", 160, 1)
    status, _, errors = skylight("metallicity", "a.png", "--pixel-scale", "0")
    assert status == 2 and "--pixel-scale must be a positive number, got 0.0" in errors[0]
    status, _, errors = skylight("metallicity", "a.png")
    assert status == 1 and "metallicity-train" in errors[0]
    status, _, errors = skylight("metallicity", "none.png")
    assert status == 1 and len(errors) == 1 and "none.png" in errors[0]


@pytest.mark.slow
def test_real_cutouts_have_classes_and_maps(networks, skylight, real_data):
    folder = real_data("sdss_metallicity")
    table = pd.read_csv(folder / "train.csv", dtype={"objID": str})
    files = [folder / f"train/{objid}.jpg" for objid in table["objID"][:3]]
    status, lines, errors = skylight("metallicity", *files, "--explain", "drawn")
    assert (status, len(lines), errors) == (0, 4, [])
    assert len(list(Path("drawn").glob("*.png"))) == 3
