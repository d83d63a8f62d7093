"""`skylight measure`: the bars of pictures; a bad one never loses the others."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from skylight import params
from skylight.galaxies.bar_length import bar_lengths
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.images import read_image, shrink

SETTINGS = Path("out/bars/tables/barlength_correlations_test.csv")


def set_setting(**setting) -> None:
    """Write the setting of the test part."""
    pd.DataFrame([{"model": "averageheatmaps", **setting}]).to_csv(SETTINGS, index=False)


@pytest.fixture
def galaxies(workplace) -> list[Path]:
    """One picture in two formats, in two folders; the networks are empty files."""
    rng = np.random.default_rng(0)
    blob = np.exp(-((np.indices((424, 424)) - 212) ** 2).sum(axis=0) / 900)[..., None]
    picture = Image.fromarray(np.clip(rng.normal(10, 3, (424, 424, 3)) + 200 * blob, 0, 255).astype(np.uint8))
    for path in ("a/galaxy.png", "b/galaxy.tiff"):
        Path(path).parent.mkdir()
        picture.save(path)
    (workplace / "out/bars/networks").mkdir(parents=True)
    SETTINGS.parent.mkdir()
    for name in params.load().bars.networks:
        (workplace / f"out/bars/networks/{name}.weights.h5").touch()
    set_setting(corr_threshold=1.0, len_threshold=12, xinput=False, scale=1.0)
    return [Path("a/galaxy.png"), Path("b/galaxy.tiff")]


@pytest.fixture
def heatmap(monkeypatch) -> np.ndarray:
    """A heatmap in place of what the networks answer."""
    import skylight.galaxies.explain as explain

    answer = np.random.default_rng(0).random((71, 71))
    monkeypatch.setattr("apps.measure.load", lambda path, name, bars: None)
    monkeypatch.setattr(explain, "explain_galaxy", lambda models, image, crop, settings: (0.5, answer))
    return answer


@pytest.mark.parametrize(("corr_threshold", "len_threshold", "scale"), [(1.0, 12, 1.0), (1.0, 3, 3.5)])
def test_lengths_are_those_of_the_setting_of_the_test_part(
    galaxies, heatmap, skylight, corr_threshold, len_threshold, scale
):
    set_setting(corr_threshold=corr_threshold, len_threshold=len_threshold, xinput=False, scale=scale)
    status, lines, _ = skylight("measure", galaxies[0], "--petror90", 10, "--out", "s.csv")
    pixels = scale * bar_lengths(heatmap, [corr_threshold], [len_threshold])[0, 0]
    length = pixels * params.load().bars.transform.crop / 71 * PIXEL_SCALE
    (row,) = csv.DictReader(Path("s.csv").read_text().splitlines())
    assert status == 0 and list(row) == ["file", "bar_fraction", "length_petror90", "length_arcsec"]
    assert float(row["length_petror90"]) == pytest.approx(length, rel=1e-5) and row["bar_fraction"] == "0.5"
    assert float(row["length_arcsec"]) == pytest.approx(10 * length, rel=1e-5)
    assert lines[1].split() == ["0.5000", f"{length:.2f}", f"{10 * length:.2f}", "a/galaxy.png"]


def test_bad_pictures_are_reported_and_the_others_measured(galaxies, heatmap, skylight):
    Path("bad.jpg").write_bytes(b"no picture")
    Path("bad.fits").write_bytes(b"SIMPLE  =                    T" + bytes(5000))
    Image.new("RGB", (400, 300)).save("wide.png")
    status, lines, errors = skylight("measure", "bad.jpg", "bad.fits", "wide.png", "no.jpg", *galaxies)
    assert status == 1 and [line.split()[-1] for line in lines[1:]] == ["a/galaxy.png", "b/galaxy.tiff"]
    assert [error.split(":")[1] for error in errors] == [" no.jpg", " bad.jpg", " bad.fits", " wide.png"]


def test_the_line_is_as_long_as_the_length_that_is_printed(galaxies, heatmap, skylight, monkeypatch):
    """A picture is 8.48 PETROR90_R on a side, whatever its number of pixels."""
    from skylight import plotting

    set_setting(corr_threshold=0.6, len_threshold=12, xinput=False, scale=1.345)
    Image.open(galaxies[0]).resize((1000, 1000)).save("large.png")
    figures = []
    monkeypatch.setattr(plotting, "save", lambda figure, path: (figures.append(figure), path.touch()))
    assert skylight("measure", galaxies[0], "large.png", "--explain", "drawn", "--out", "s.csv")[0] == 0
    rows = list(csv.DictReader(Path("s.csv").read_text().splitlines()))
    for figure, row, pixels in zip(figures, rows, (424, 1000), strict=True):
        on_picture, on_map = (axes.lines[0].get_xydata() for axes in figure.axes[:2])
        assert np.hypot(*np.diff(on_picture, axis=0)[0]) * 8.48 / pixels == pytest.approx(
            float(row["length_petror90"]), rel=1e-4
        )
        side = 8.48 * params.load().bars.transform.crop / 424  # of the map
        assert np.hypot(*np.diff(on_map, axis=0)[0]) * side / 71 == pytest.approx(
            float(row["length_petror90"]), rel=1e-4
        )


def test_without_a_bar_there_is_no_length(galaxies, skylight, monkeypatch):
    import skylight.galaxies.explain as explain

    fractions = iter([0.1999, 0.2])
    monkeypatch.setattr("apps.measure.load", lambda path, name, bars: None)
    monkeypatch.setattr(
        explain, "explain_galaxy", lambda *_: (next(fractions), np.random.default_rng(0).random((71, 71)))
    )
    status, lines, _ = skylight("measure", *galaxies, "--petror90", 10, "--out", "s.csv", "--explain", "drawn")
    first, second = csv.DictReader(Path("s.csv").read_text().splitlines())
    assert status == 0 and first["length_petror90"] == first["length_arcsec"] == "" != second["length_arcsec"]
    assert lines[1].split()[1:5] == ["no", "bar", "no", "bar"] and "no bar" not in lines[2]
    assert Path("drawn/galaxy.png").is_file()


def test_pictures_that_show_no_galaxy_and_broken_ones_do_not_end_the_batch(galaxies, heatmap, skylight):
    dot = Image.new("RGB", (2, 2))
    dot.putpixel((0, 0), (255, 0, 0))
    dot.save("tiny.png")
    Image.new("RGB", (424, 424)).save("black.png")
    fits.PrimaryHDU(np.full((100, 100), np.nan, np.float32)).writeto("nan.fits")
    Image.open(galaxies[0]).save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:4000])
    status, lines, errors = skylight("measure", "tiny.png", "black.png", "nan.fits", "cut.jpg", "whole.jpg")
    assert status == 1 and [line.split()[-1] for line in lines[1:]] == ["whole.jpg"]
    assert [error.split(": ")[1] for error in errors] == ["tiny.png", "black.png", "nan.fits", "cut.jpg"]
    assert errors[0] == "error: tiny.png: must have at least 64 pixels on a side, got 2"


def test_one_galaxy_is_seen_alike_in_every_format_and_size(tmp_path):
    y, x = np.indices((424, 424)) - 212
    light = np.exp(-np.hypot(x, y) / 30) + 0.7 * np.exp(-((x / 35) ** 4) - (y / 9) ** 2)
    noise = np.random.default_rng(0).normal(0, 3, (424, 424, 3))
    picture = Image.fromarray(np.clip(light[..., None] * [220, 200, 180] + 10 + noise, 0, 255).astype(np.uint8))
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.jpg", quality=95)
    picture.convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    picture.resize((6000, 6000), Image.Resampling.BICUBIC).save(tmp_path / "d.png", compress_level=1)
    bars = params.load().bars
    seen = [shrink(read_image(path), bars.transform.crop, bars.transform.size) for path in sorted(tmp_path.iterdir())]
    for other in seen[1:]:
        assert np.abs(other.astype(float) - seen[0]).mean() < 2  # of 255


def test_two_pictures_of_one_name_get_two_figures(galaxies, heatmap, skylight):
    status, _, _ = skylight("measure", *galaxies, "--explain", "drawn")
    names = {f"galaxy{number}{suffix}" for number in ("", "_2") for suffix in (".png", ".npz")}
    assert status == 0 and {path.name for path in Path("drawn").iterdir()} == names
    assert np.array_equal(np.load("drawn/galaxy.npz")["heatmap"], heatmap)


@pytest.mark.slow
def test_the_networks_answer_alike_whatever_the_format_and_the_other_galaxies(galaxies, skylight):
    from skylight.networks.galaxy_zoo import galaxy_zoo

    bars = params.load().bars
    for name, network in bars.networks.items():
        shape = (bars.transform.size, bars.transform.size, 3)
        model = galaxy_zoo(name, shape, width=network.width, min_filters=network.min_filters)
        model.save_weights(f"out/bars/networks/{name}.weights.h5")
    status, lines, _ = skylight("measure", *galaxies)
    first, second = (line.rpartition(" ")[0].split() for line in lines[1:])
    assert status == 0 and first == second and 0 < float(first[0]) < 1
    Path("out/bars/networks/vgg16.weights.h5").write_bytes(b"no weights")
    status, _, (error,) = skylight("measure", *galaxies)
    assert status == 1 and error.startswith("error: out/bars/networks/vgg16.weights.h5: not the weights of vgg16")
