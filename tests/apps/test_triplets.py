"""`skylight triplets`: arrays of unlabelled packets, in a new folder."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from skylight.alerts.packets import alerts
from skylight.alerts.triplets import triplet
from tests.apps.test_score import packet


@pytest.fixture
def night(workplace) -> Path:
    (workplace / "night").mkdir()
    for candid in range(40):
        packet(workplace / f"night/{candid:02}.avro", candid)
    return workplace / "night"


def test_triplets_of_a_folder(night, skylight):
    status, lines, _ = skylight("triplets", "night", "--out", "new/triplets")
    assert status == 0 and lines == ["40 triplets, 0 packets rejected"]
    assert np.array_equal(np.load("new/triplets/candid.npy"), np.arange(40))
    assert np.array_equal(np.load("new/triplets/triplets.npy"), [triplet(alert) for alert in alerts([night])])
    assert [path.name for path in Path("new").iterdir()] == ["triplets"]


def test_triplets_of_tar_archives(night, skylight):
    for name, mode in (("night.tar", "w"), ("night.tar.gz", "w:gz")):
        with tarfile.open(name, mode) as archive:
            archive.add("night")
        status, lines, _ = skylight("triplets", name, "--out", f"of-{name}")
        assert status == 0 and lines == ["40 triplets, 0 packets rejected"]
        assert sorted(np.load(f"of-{name}/candid.npy")) == list(range(40))
    Path("cut.tar").write_bytes(Path("night.tar").read_bytes()[:-30_000])
    status, lines, _ = skylight("triplets", "cut.tar", "--out", "cut")
    assert status == 1 and lines[-1].endswith("triplets, 1 packets rejected")
    assert "cut.tar,,cannot be read to its end" in Path("cut/rejected.csv").read_text()


@pytest.mark.slow
def test_rejected_packets_are_listed_and_too_many_of_them_are_an_error(night, skylight):
    (night / "00.avro").write_bytes(b"not avro")
    status, lines, _ = skylight("triplets", "night", "--out", "triplets")
    assert status == 1 and lines[-1] == "39 triplets, 1 packets rejected"
    assert "00.avro" in Path("triplets/rejected.csv").read_text()
    for path in night.glob("1*.avro"):
        path.write_bytes(b"not avro")
    status, _, errors = skylight("triplets", "night", "--out", "more")
    assert status == 1 and "11 of 40 packets rejected" in errors[-1]
    assert not Path("more").exists() and not list(Path().glob("partial*"))


@pytest.mark.parametrize("out", ["night", "..", ".", "night/00.avro", "link"])
def test_nothing_that_exists_is_deleted(night, skylight, out):
    Path("link").symlink_to("night")
    before = {path: path.lstat().st_mtime_ns for path in night.parent.rglob("*")}
    status, _, (error,) = skylight("triplets", "night", "--out", out)
    assert status == 2 and error.startswith(f"error: --out {out}: ")
    assert {path: path.lstat().st_mtime_ns for path in night.parent.rglob("*")} == before
