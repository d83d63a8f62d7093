"""A folder in which the commands run: parameters, untrained networks in the place of the trained ones, and inputs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from apps.command_line import main
from skylight import params
from tests.conftest import ROOT, profile, set_params


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """Make a folder with the outputs of the pipeline that the commands need."""
    import keras

    from skylight.networks.deep_hits import deep_hits
    from skylight.networks.periodic_cnn import periodic_cnn
    from skylight.networks.vgg6 import vgg6
    from skylight.networks.weights import save_npy_weights

    folder = tmp_path_factory.mktemp("untrained")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder / "params.yaml", profile("tiny"))
    settings = params.load(folder / "params.yaml")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for chapter, network, name in (("periodic", periodic_cnn(7), "cnn"), ("realbogus", vgg6(), "vgg6")):
        for kind in ("networks", "heatmaps"):
            (folder / f"out/{chapter}/{kind}").mkdir(parents=True)
        network.save_weights(folder / f"out/{chapter}/networks/{name}.weights.h5")
        np.save(
            folder / f"out/{chapter}/heatmaps/background.npy", rng.random((4, *network.input_shape[1:]), np.float32)
        )
    for member in settings.supernovae.members["cap"]:
        network = deep_hits(**settings.supernovae.network_options["cap"])
        save_npy_weights(network, folder / "out/supernovae/networks" / member)
    return folder


@pytest.fixture
def workplace(untrained, tmp_path, monkeypatch) -> Path:
    """Work in a copy of this folder."""
    shutil.copytree(untrained, tmp_path / "workplace")
    monkeypatch.chdir(tmp_path / "workplace")
    return tmp_path / "workplace"


@pytest.fixture
def skylight(capsys):
    """Run a command line; return the exit status, and the lines of the standard output and of stderr."""

    def run(*words: object) -> tuple[int, list[str], list[str]]:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err.splitlines()

    return run
