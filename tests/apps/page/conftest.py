"""The page in Chromium, before the real service with tiny untrained networks."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
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


@contextlib.contextmanager
def holding_back(service: str, released: threading.Event) -> Iterator[str]:
    """Pass requests on to a service, explanations only after the event; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if self.path.startswith("/explain"):
                released.wait(60)
            kept = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
            answer = httpx.request(self.command, service + self.path, content=body, headers=kept, timeout=60)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            released.set()
            proxy.shutdown()
