"""A real server on the loopback, with tiny untrained networks."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.servers import free_port, serving


@dataclass(frozen=True)
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen
    spool: Path

    def post(self, path: str, file: bytes, accept: str = "application/json", **fields: object) -> httpx.Response:
        """Send one upload."""
        return httpx.post(
            f"{self.url}{path}", files={"file": ("upload", file)}, data=fields, headers={"Accept": accept}, timeout=120
        )

    def count(self, name: str) -> float:
        """Return a counter of /metrics."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture(scope="session")
def folder(untrained, tmp_path_factory) -> Path:
    """A folder with the outputs of the pipeline that the service needs, and a user's own weights in ``own``."""
    import keras

    from skylight import params
    from skylight.networks.metallicity_cnn import metallicity_cnn
    from skylight.networks.vgg6 import vgg6

    made = tmp_path_factory.mktemp("service") / "folder"
    shutil.copytree(untrained, made)
    metallicity = params.load(made / "params.yaml").metallicity
    keras.utils.set_random_seed(1)
    (made / "out/metallicity/networks").mkdir(parents=True)
    network = metallicity_cnn(metallicity.transform.size, 2, metallicity.network.width)
    network.get_layer("answers").kernel.assign(network.get_layer("answers").kernel * 30)  # sure of its answers
    network.save_weights(made / "out/metallicity/networks/classifier.weights.h5")
    (made / "own").mkdir()
    vgg6(1).save_weights(made / "own/braai.weights.h5")
    (made / "own/models.yaml").write_text(
        "braai: {like: realbogus, weights: braai.weights.h5, about: One sigmoid}\n"
        "gone: {like: metallicity, weights: gone.weights.h5, classes: [rich, poor]}\n"
    )
    return made


@contextlib.contextmanager
def running(folder: Path, spool: Path, **environment: str) -> Iterator[Server]:
    """Run the service in a folder until the end of the block; it is ready at its start."""
    port, log = free_port(), spool / "log"
    (spool / "tmp").mkdir()
    command = [sys.executable, "-m", "apps.service", "--port", str(port)]
    settings = {"PYTHONPATH": str(ROOT), "SKYLIGHT_MODELS": str(folder / "own"), "TMPDIR": str(spool / "tmp")}
    with serving(command, log, folder, **settings | environment) as process:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield Server(f"http://127.0.0.1:{port}", process, spool / "tmp")


@pytest.fixture(scope="session")
def server(folder, tmp_path_factory) -> Iterator[Server]:
    """The server that all tests share."""
    with running(folder, tmp_path_factory.mktemp("spool")) as started:
        yield started


def saved(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a picture file."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def noise(seed: int, side: int = 64) -> np.ndarray:
    """Return random colours (side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def star() -> bytes:
    """A light curve in the layout of CRTS."""
    rng = np.random.default_rng(0)
    rows = zip(range(50), rng.uniform(53000, 56000, 50), rng.normal(17, 0.3, 50), strict=True)
    return "".join(f"{i},{time:.5f},{mag:.2f},0.05\n" for i, time, mag in rows).encode()


@pytest.fixture(scope="session")
def packet(tmp_path_factory) -> bytes:
    """Two alerts in one file; the second one has no reference."""
    from skylight.alerts.packets import CUTOUTS, packed, write

    candidate = {
        **{"jd": 2458882.06, "fid": 2, "pid": 1, "programid": 1, "isdiffpos": "t", "ra": 1.0, "dec": 2.0},
        **{"magpsf": 19.0, "sigmapsf": 0.1, "ranr": 1.0, "decnr": 2.0, "ndethist": 1, "ncovhist": 1, "nmtchps": 0},
        **{"rfid": 1, "jdstartref": 1.0, "jdendref": 2.0, "nframesref": 15, "rbversion": "none", "nmatches": 1},
        "drbversion": "none",
    }
    records = []
    for candid in (1, 2):
        rng = np.random.default_rng(candid)
        cutouts = {name: packed(rng.normal(100, 5, (63, 63))) for name in CUTOUTS}
        block = {"objectId": f"ZTF{candid}", "candid": candid, "candidate": candidate | {"candid": candid}}
        records.append(block | cutouts)
    records[1]["cutoutTemplate"] = packed(np.full((63, 63), np.nan))
    path = tmp_path_factory.mktemp("packet") / "two.avro"
    write(path, records)
    return path.read_bytes()


@pytest.fixture(scope="session")
def chunk(tmp_path_factory) -> bytes:
    """Seventy candidates, the first one and the fourth without a good pixel of science."""
    from skylight.candidates.hits import write_chunk

    stamps = np.random.default_rng(0).normal(size=(70, 21, 21, 4)).astype(np.float32)
    stamps[[0, 3], :, :, 1] = np.nan
    path = tmp_path_factory.mktemp("chunk") / "chunk.npz"
    write_chunk(path, stamps, np.zeros(70))
    return path.read_bytes()


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
