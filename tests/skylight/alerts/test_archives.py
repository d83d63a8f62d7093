"""Tar archives of packets: read by their content, member by member; a damaged or hostile one ends in one line."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from skylight.alerts.archives import archived_alerts, is_archive
from skylight.alerts.packets import CUTOUTS, packed, write
from skylight.rejected import Rejected
from tests.skylight.alerts.test_packets import REQUIRED


def packets(folder: Path, *candids: int) -> bytes:
    """Return the bytes of a container of some alerts."""
    cutouts = {name: packed(np.ones((63, 63))) for name in CUTOUTS}
    records = [
        {"objectId": f"ZTF{candid}", "candid": candid, "candidate": REQUIRED | {"candid": candid}} | cutouts
        for candid in candids
    ]
    write(folder / "made.avro", records)
    return (folder / "made.avro").read_bytes()


@pytest.fixture
def archive(tmp_path):
    """A function that writes a tar archive of two packets, a note and a bad packet, and returns its path."""
    members = {"n/1.avro": packets(tmp_path, 1), "n/note.txt": b"no", "n/bad.avro": b"no"}
    members["n/2.AVRO"] = packets(tmp_path, 2, 3)

    def make(name: str, mode: str) -> Path:
        with tarfile.open(tmp_path / name, mode) as archive:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            link = tarfile.TarInfo("n/link.avro")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        return tmp_path / name

    return make


@pytest.mark.parametrize(("name", "mode"), [("night.tar", "w"), ("night.tar.gz", "w:gz"), ("night", "w:gz")])
def test_tar_archives_are_read_by_their_content(archive, name, mode):
    path = archive(name, mode)
    assert is_archive(path)
    good, bad, *others = archived_alerts(path)
    assert [each.candid for each in (good, *others)] == [1, 2, 3]
    assert good.source == f"{path}/n/1.avro" and bad.source == f"{path}/n/bad.avro"


def test_a_cut_tar_archive_gives_the_alerts_before_the_cut(archive):
    path = archive("night.tar", "w")
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"n/2.AVRO") + 600])
    *found, last = archived_alerts(path)
    assert found[0].candid == 1 and isinstance(last, Rejected) and last.source.startswith(str(path))


def test_an_archive_without_packets_and_a_bomb_are_refused(tmp_path):
    with tarfile.open(tmp_path / "empty.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("note.txt"))
    assert [each.reason for each in archived_alerts(tmp_path / "empty.tar")] == ["no .avro file in this archive"]
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("zeros.bin")
        info.size = 200_000_000
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    (last,) = archived_alerts(tmp_path / "bomb.tar.gz")
    assert last.reason == "cannot be read to its end (it unpacks to more than 20 times its size)"


def test_packets_and_other_files_are_no_archives(tmp_path):
    (tmp_path / "a.avro").write_bytes(packets(tmp_path, 1))
    (tmp_path / "b.avro.gz").write_bytes(gzip.compress(packets(tmp_path, 1)))
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8bno")
    (tmp_path / "d.tar").touch()
    assert not any(map(is_archive, [*tmp_path.iterdir(), tmp_path, tmp_path / "nowhere", Path("-")]))
