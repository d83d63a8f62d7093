"""The page in Chromium, before the real service with tiny untrained networks."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.service.conftest import folder, server  # noqa: F401 - fixtures
from tests.conftest import ROOT
from tests.servers import free_port, serving, wait_for


@contextlib.contextmanager
def showing(service: str, log: Path) -> Iterator[str]:
    """Run the page for a service until the end of the block; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "apps.page", "--port", str(port), "--service", service]
    with serving(command, log, ROOT):
        wait_for(port, log)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def address(server, tmp_path_factory) -> Iterator[str]:  # noqa: F811
    """The address of the page before the service."""
    with showing(server.url, tmp_path_factory.mktemp("page") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
