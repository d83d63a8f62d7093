"""`skylight classify`: light curves of files; a bad one never loses the others."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from skylight import params
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import file_format
from skylight.networks.periodic_cnn import load_periodic_cnn
from tests.conftest import set_params

CLASSES = ["EW", "EA", "RRab", "RRc", "RRd", "RS CVn", "LPV"]


@pytest.fixture
def stars(workplace) -> list[Path]:
    """Two light curves with one file name, in two folders."""
    rng = np.random.default_rng(0)
    paths = [workplace / "a/star.csv", workplace / "b/star.csv"]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        rows = zip(range(50), rng.uniform(53000, 56000, 50), rng.normal(17 + number, 0.3, 50), strict=True)
        path.write_text("".join(f"{i},{time:.5f},{mag:.2f},0.05\n" for i, time, mag in rows))
    return [path.relative_to(workplace) for path in paths]


def test_probabilities_are_those_of_the_network(stars, skylight):
    status, lines, _ = skylight("classify", *stars, "--out", "c.csv")
    periodic = params.load().periodic
    curves = [file_format(periodic.data).read(path) for path in stars]
    images = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges).images(curves)
    expected = load_periodic_cnn(Path("out/periodic/networks/cnn.weights.h5"), 7).predict(images, verbose=0)
    table = list(csv.DictReader(Path("c.csv").read_text().splitlines()))
    assert status == 0 and list(table[0]) == ["file", "points", "class", *CLASSES]
    assert np.allclose([[float(row[name]) for name in CLASSES] for row in table], expected, atol=1e-5)
    assert [row["class"] for row in table] == [CLASSES[i] for i in expected.argmax(axis=1)]
    assert [row["file"] for row in table] == list(map(str, stars)) and table[0]["points"] == "50"
    assert lines[1].endswith("50        a/star.csv") and len(lines) == 3


def test_bad_files_are_reported_and_the_others_classified(stars, skylight):
    Path("bad.csv").write_text("1,2,x,4\n1,3,4,5\n")
    Path("short.csv").write_text("1,2,3,4\n")
    status, _, errors = skylight("classify", "no.csv", "bad.csv", stars[0], "short.csv", stars[0], "--out", "c.json")
    assert status == 1
    assert errors[:3] == [
        "error: no.csv: no such file",
        "error: bad.csv: line 1: not a number: 'x'",
        "error: short.csv: fewer than two points (1)",
    ]
    table = json.loads(Path("c.json").read_text())
    assert [row["file"] for row in table] == ["a/star.csv"] * 2
    assert sum(table[0][name] for name in CLASSES) == pytest.approx(1, abs=1e-5)


def test_an_old_table_is_replaced_and_other_files_stay(stars, skylight):
    Path("c.csv").write_text("old")
    Path("keep").mkdir()
    assert skylight("classify", stars[0], "--out", "c.csv", "--explain", "keep/../out")[0] == 2
    assert Path("c.csv").read_text() == "old"
    assert skylight("classify", stars[0], "--out", "c.csv")[0] == 0
    assert Path("c.csv").read_text().startswith("file,points,class")


def test_rows_that_are_dropped_are_told(stars, skylight):
    rows = stars[0].read_text().splitlines()
    stars[0].write_text("\n".join([*rows, rows[0], "9,55000,99.999,0.05", "9,55001,99.999,0.05"]))
    status, _, errors = skylight("classify", *stars)
    assert status == 0 and [line for line in errors if "dropped" in line] == [
        "a/star.csv: dropped rows: 1 duplicates, 2 mag_range"
    ]


def test_a_missing_file_is_named_though_the_weights_are_missing_too(stars, skylight):
    Path("out/periodic/networks/cnn.weights.h5").unlink()
    status, _, errors = skylight("classify", "no.csv", stars[0])
    assert status == 1 and errors[0] == "error: no.csv: no such file" and "dvc repro periodic-train" in errors[1]
    assert skylight("classify", "no.csv")[2] == ["error: no.csv: no such file"]


ASAS = """
layout: files
path: mine
files: "{id}.dat"
delimiter: " "
columns: {time: HJD, mag: MAG}
"""


@pytest.fixture
def mine(workplace) -> list[Path]:
    """Two light curves in a layout of their own, without errors, and its description."""
    rng = np.random.default_rng(1)
    (workplace / "mine").mkdir()
    (workplace / "asas.yaml").write_text(ASAS)
    for name in ("s1", "s2"):
        rows = zip(rng.uniform(1000, 3000, 40), rng.normal(12, 0.4, 40), strict=True)
        text = "".join(f"{time:.5f}  {mag:.2f}\n" for time, mag in rows)
        (workplace / f"mine/{name}.dat").write_text(f"#HJD MAG\n{text}")
    (workplace / "mine/bad.dat").write_text("#HJD MAG\n1 x\n2 3\n")
    return [Path("mine/s1.dat"), Path("mine/s2.dat")]


def test_files_of_another_survey_are_read_as_it_is_described(mine, skylight):
    status, lines, _ = skylight("classify", *mine, "--survey", "asas.yaml", "--out", "c.json")
    table = json.loads(Path("c.json").read_text())
    assert status == 0 and [row["file"] for row in table] == list(map(str, mine)) and table[0]["points"] == 40
    assert lines[1].endswith("40        mine/s1.dat")


def test_all_objects_of_a_survey_are_classified(mine, skylight):
    settings = params.load().periodic.transfer.surveys["ptf"].model_dump(by_alias=True)
    described = settings | {"path": "mine", "files": "{id}.dat", "delimiter": " ", "band": None, "labels": None}
    described["columns"] = {"time": "HJD", "mag": "MAG"}
    set_params(Path("params.yaml"), {"periodic.transfer.surveys": {"asas": described}})
    for survey in ("asas.yaml", "asas"):
        status, lines, errors = skylight("classify", "--survey", survey, "--out", "c.csv")
        table = list(csv.DictReader(Path("c.csv").read_text().splitlines()))
        assert status == 1 and errors[0] == "error: mine/bad.dat: bad: line 2: not a number: 'x'"
        assert [row["id"] for row in table] == ["s1", "s2"] and len(lines) == 3
        assert sum(float(table[0][name]) for name in CLASSES) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ([], 2, "the following arguments are required: FILE or --survey; see skylight classify --help"),
        (["--survey", "nowhere"], 2, "--survey nowhere: neither in periodic.transfer.surveys (has: ztf, ptf) nor a"),
        (["--survey", "no.yaml"], 1, "no.yaml: No such file or directory"),
        (["--survey", "wrong.yaml"], 1, "wrong.yaml.survey.layout: must be one of 'crts', 'files', 'table', got 'x'"),
        (["mine/s1.dat", "--survey", "asas.yaml", "--weights", "no.h5"], 1, "no.h5: no such file"),
    ],
)
def test_a_wrong_survey_is_named(mine, skylight, words, status, error):
    Path("wrong.yaml").write_text("layout: x\npath: mine\n")
    ended, _, errors = skylight("classify", *words)
    assert ended == status and errors[0].startswith(f"error: {error}") and len(errors) == 1


def test_a_missing_background_is_told_at_once_and_how_to_get_it_without_training(stars, skylight):
    Path("out/periodic/heatmaps/background.npy").unlink()
    status, lines, (error,) = skylight("classify", stars[0], "--explain", "explained")
    assert status == 1 and not lines and not Path("explained").exists()
    assert "--background" in error and "`dvc repro -s periodic-heatmaps` makes the file" in error
    np.save("few.npy", np.zeros((3, 5, 5, 1)))
    status, _, (error,) = skylight("classify", stars[0], "--explain", "explained", "--background", "few.npy")
    assert status == 1 and error == "error: few.npy: must be numbers of N x 22 x 24 x 1, got float64 of 3 x 5 x 5 x 1"


@pytest.mark.slow
def test_light_curves_without_good_errors_are_drawn_with_a_background_beside_the_weights(mine, stars, skylight):
    """A negative error ended the command, and the figures of all later objects were lost."""
    weights = Path("theirs/cnn.weights.h5")
    weights.parent.mkdir()
    Path("out/periodic/networks/cnn.weights.h5").rename(weights)
    Path("out/periodic/heatmaps/background.npy").rename("theirs/background.npy")
    words = ["--weights", weights, "--explain"]
    assert skylight("classify", *mine, "--survey", "asas.yaml", *words, "one")[0] == 0
    rows = stars[0].read_text().splitlines()
    stars[0].write_text("\n".join([rows[0].replace(",0.05", ",-0.05"), *rows[1:]]))
    set_params(Path("params.yaml"), {"periodic.data.magerr_range": None})
    assert skylight("classify", *stars, *words, "two")[0] == 0
    assert len(list(Path("one").glob("*.png"))) == len(list(Path("two").glob("*.png"))) == 2


@pytest.mark.slow
def test_two_files_of_one_name_get_two_figures(stars, skylight):
    status, _, _ = skylight("classify", *stars, "--explain", "explained", "--out", "c.json")
    names = [row["figure"] for row in json.loads(Path("c.json").read_text())]
    assert status == 0 and names == ["star", "star_2"]
    assert {path.name for path in Path("explained").iterdir()} == {f"{n}{s}" for n in names for s in (".png", ".npz")}
    first, second = (np.load(f"explained/{name}.npz") for name in names)
    assert set(first) == {"gradcam", "hirescam", "saliency", "blanking", "deep_shap"}
    assert first["saliency"].shape == (22, 24) and not np.array_equal(first["saliency"], second["saliency"])
