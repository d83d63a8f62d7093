"""The library alone, as `pip install git+<repository>` installs it: whole, with no import beyond its dependencies."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from skylight import __version__
from tests.conftest import ROOT

MODULES = {"scikit-learn": "sklearn", "scikit-image": "skimage", "tf-keras-vis": "tf_keras_vis"}
"""Distribution -> the module that it brings, where the names differ."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(pip, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Install it in a new environment that shares the dependencies of this one, but not the repository."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "-q", "--no-deps", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    (site,) = folder.glob("venv/lib/python*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_paths()["purelib"])  # .pth files there are not read again
    return folder


def run(installed: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command of the new environment in an empty folder."""
    (installed / "empty").mkdir(exist_ok=True)
    path = str(installed / "venv/bin" / command[0])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}  # it may have the repository
    return subprocess.run(
        [path, *command[1:]], cwd=installed / "empty", env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_it_holds_the_library_alone_and_imports_only_what_it_requires(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        trees = {name: ast.parse(archive.read(name)) for name in names}
        (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        metadata = message_from_bytes(archive.read(metadata))
    expected = {
        path.relative_to(ROOT)
        for room in ("attribution", "evaluation")
        for path in ROOT.glob(f"skylight/{room}/**/*.py")
    }
    expected |= {Path(f"skylight/{name}.py") for name in ("__init__", "__main__", "errors")}
    assert expected < {Path(name) for name in names}
    assert metadata["Version"] == __version__ and metadata["License-Expression"] == "MIT"

    required = {re.match(r"[\w-]+", line)[0]: "extra ==" in line for line in metadata.get_all("Requires-Dist")}
    always = {MODULES.get(name, name) for name, extra in required.items() if not extra}
    extras = {MODULES.get(name, name) for name, extra in required.items() if extra}
    assert always == {"keras", "tensorflow", "numpy", "scipy", "sklearn", "pandas", "threadpoolctl", "tqdm"}
    assert extras == {"skimage", "shap", "tf_keras_vis"}
    imported = set()
    for name, tree in trees.items():
        for node in ast.walk(tree):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            for module in found:
                top = module.partition(".")[0]
                imported.add(top)
                if top == "skylight":
                    file = module.replace(".", "/")
                    assert {f"{file}.py", f"{file}/__init__.py"} & set(names), f"{name} imports {module}"
                elif top in extras:
                    assert name == "skylight/attribution/pix2pixai.py"
                elif name != "skylight/__main__.py" or top != "apps":
                    assert top in always | sys.stdlib_module_names, f"{name} imports {module}"
    assert always <= imported


PROGRAM = """
import sys
import keras
import numpy as np
import skylight
from skylight.attribution import METHODS, lrp, smoothgrad
from skylight.evaluation.explanations import evaluate

assert "site-packages" in skylight.__file__ and not any(name in sys.modules for name in ("apps", "stages"))
assert all(callable(METHODS[name]) for name in METHODS)
image = keras.layers.Input((8, 8, 1))
x = keras.layers.Flatten()(keras.layers.Conv2D(3, 3, activation="relu")(image))
model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
images = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
for maps in (smoothgrad(model, images, samples=2), lrp(model, images, rule="epsilon")):
    assert maps.shape == images.shape and np.isfinite(maps).all()
table = evaluate(model, images, None, ["saliency"], metrics=["deletion", "sparseness"])
assert {"saliency", "random"} <= set(table["method"])
"""


@pytest.mark.slow
def test_it_explains_a_model_and_evaluates_the_explanation(installed):
    ran = run(installed, "python", "-c", PROGRAM)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_the_command_needs_the_repository(installed):
    ran = run(installed, "skylight", "score", "x.avro")
    assert ran.returncode == 1 and not ran.stdout
    assert ran.stderr.splitlines() == [
        "error: the commands need the whole repository; this is the library alone (README.md)"
    ]
