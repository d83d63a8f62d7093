"""The simulated surveys have the file formats of the real ones; the readers of real surveys read them."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from skylight.light_curves.reading import open_survey
from skylight.params.light_curves import CrtsLayout, FilesLayout, TableLayout
from skylight.rejected import Rejected
from skylight.simulations import ptf, ztf
from skylight.simulations.crts import NUMBERS, simulate_crts
from skylight.simulations.photometry import PUBLISHED, class_counts

CLASSES = list(PUBLISHED)
LABELS = {"path": "classes.csv", "id": "id", "class": "class"}


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def class_counts_read(data) -> dict[str, int]:
    """Read every light curve of a survey; return the number of objects of each class."""
    survey = open_survey(data, CLASSES)
    for source in survey.sources():
        assert not isinstance(source, Rejected)
        assert len(source.read()) >= 2
    return survey.labels["class_name"].value_counts().to_dict()


def test_crts_layout(tmp_path):
    simulate_crts(tmp_path / "crts", scale=0.002, seed=0, workers=1)
    root = tmp_path / "crts" / "v0"
    header, *rows = (root / "classes.csv").read_text().splitlines()
    assert header == "lcid class"
    lcid, number = rows[0].split(" ")
    comment, *lines = (root / "indiv_lc" / f"class{number}" / f"{lcid}.csv").read_text().splitlines()
    assert comment.startswith("#")
    assert lines[0].split(",")[0] == lcid
    assert all(len(line.split(",")) == 4 for line in lines)
    assert len(list(root.glob("indiv_lc/*/*.csv"))) == len(rows)
    assert {path.name for path in root.glob("indiv_lc/*")} == {f"class{NUMBERS[name]}" for name in PUBLISHED}
    assert class_counts_read(CrtsLayout(layout="crts", path=str(root))) == class_counts(0.002 * 45630)


@pytest.mark.parametrize("filtercode", ["zg", "zr"])
def test_ztf_layout(tmp_path, filtercode):
    ztf.simulate_ztf(tmp_path, stars=30, seed=0, workers=1)
    data = TableLayout.model_validate(
        {
            "layout": "table",
            "path": str(tmp_path),
            "table": "lightcurves.parquet",
            "columns": {"id": "oid", "time": "mjd", "mag": "mag", "magerr": "magerr", "band": "filtercode"},
            "band": filtercode,
            "labels": {
                "path": f"classes_{filtercode}.csv",
                "id": "oid",
                "class": "class",
                "classes": {survey: name for name, survey in ztf.CLASSES.items()},
            },
        }
    )
    assert class_counts_read(data) == class_counts(30)


@pytest.mark.parametrize("fid", ["1", "2"])
def test_ptf_layout(tmp_path, fid):
    ptf.simulate_ptf(tmp_path / "ptf", stars=30, seed=0, workers=1)
    data = FilesLayout.model_validate(
        {
            "layout": "files",
            "path": str(tmp_path / "ptf"),
            "files": "lightcurves/{id}.csv",
            "columns": {"time": "obsmjd", "mag": "mag_autocorr", "magerr": "magerr_auto", "band": "fid"},
            "band": fid,
            "labels": LABELS | {"classes": {survey: name for name, survey in ptf.CLASSES.items()}},
        }
    )
    assert class_counts_read(data) == class_counts(30)


def test_an_object_of_ztf_has_one_filter(tmp_path):
    ztf.simulate_ztf(tmp_path, stars=10, seed=0, workers=1)
    table = pd.read_parquet(tmp_path / "lightcurves.parquet")
    assert not table[["oid", "filtercode"]].drop_duplicates()["oid"].duplicated().any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "write",
    [
        lambda folder, workers: simulate_crts(folder, 0.006, 4, workers),
        lambda folder, workers: ztf.simulate_ztf(folder, 250, 4, workers),
        lambda folder, workers: ptf.simulate_ptf(folder, 250, 4, workers),
    ],
    ids=["crts", "ztf", "ptf"],
)
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(tmp_path, write):
    write(tmp_path / "one", 1)
    write(tmp_path / "two", 2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
