"""For all tests: the profiles, the real data sets if they are on this machine, and an MLflow server."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.servers import free_port, serving, wait_for

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).parent.parent
REAL_DATA = Path(os.environ.get("SKYLIGHT_REAL_DATA", ROOT.parent / "shared" / "real"))


def profile(name: str, chapter: str = "") -> dict[str, object]:
    """Return the settings of a profile by key: all, or those of a chapter."""
    words = (ROOT / "profiles" / name).read_text().split()
    assert set(words[::2]) == {"-S"}
    settings = dict(word.split("=") for word in words[1::2] if word.startswith(chapter))
    return {key: YAML(typ="safe").load(value) for key, value in settings.items()}


def set_params(file: Path, settings: dict[str, object]) -> None:
    """Set parameters by key (``periodic.train.epochs``) in a parameter file."""
    yaml = YAML()
    params = yaml.load(file)
    for key, value in settings.items():
        *sections, name = key.split(".")
        here = params
        for section in sections:
            here = here[section]
        here[name] = value
    yaml.dump(params, file)


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    """Every test begins without figures, whatever the one before it left open."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """A function that returns the path of a real data set (``real_data("s82_rrlyrae")``) or skips the test."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"no {name} in {REAL_DATA} (set SKYLIGHT_REAL_DATA)")
        return path

    return find


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory) -> Iterator[str]:
    """The address of an `mlflow server` that keeps its runs in SQLite."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    store = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
    with serving(command, folder / "log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        wait_for(port, folder / "log")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A browser, for the pages of the report and of the app."""
    playwright = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
