"""Start the page: ``python -m apps.page [--host HOST] [--port PORT] [--service URL]``."""

import argparse
import os
import sys
from pathlib import Path

from apps.page.client import SERVICE

SETTINGS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "runner.magicEnabled": "false",  # shows every string of the script, docstrings too
    "server.maxUploadSize": "20",  # MB, as the service; Streamlit refuses a larger file before it is sent
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": "localhost",  # printed at the start; else Streamlit asks another host for the address
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.base": "light",  # the colours of the maps are chosen for it
    "theme.primaryColor": "#005A8C",
    "theme.linkColor": "#005A8C",
}
"""What Streamlit is told: no telemetry, no traceback on the page, colours of enough contrast."""


def main() -> None:
    """Replace this process by Streamlit, so that a signal reaches it."""
    parser = argparse.ArgumentParser(prog="python -m apps.page", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (default: %(default)s)")
    parser.add_argument("--service", help=f"address of the service (default: SKYLIGHT_SERVICE, or {SERVICE})")
    words = parser.parse_args()
    if words.service:
        os.environ["SKYLIGHT_SERVICE"] = words.service
    settings = SETTINGS | {"server.address": words.host, "server.port": str(words.port)}
    options = [f"--{key}={value}" for key, value in settings.items()]
    script = str(Path(__file__).with_name("app.py"))
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", script, *options])


if __name__ == "__main__":
    main()
