"""Start the service.

    python -m apps.service --port 8080

SKYLIGHT_TOKEN: what clients must send. SKYLIGHT_MODELS: folder of your own weights. SKYLIGHT_ORIGINS: web pages that
may use the service. docs/service.md has more.
"""

import argparse
import os
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from skylight.errors import script

if TYPE_CHECKING:
    from apps.service.work import Work


class Server(uvicorn.Server):
    """A server that, at SIGTERM, finishes the request at work and answers those that wait with 503."""

    def __init__(self, config: uvicorn.Config, work: "Work"):
        super().__init__(config)
        self._work = work

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._work.close()
        super().handle_exit(sig, frame)


@script
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m apps.service", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine only")
    parser.add_argument("--port", type=int, default=8080, help="default: %(default)s")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from apps.service.app import create
    from apps.service.serving import from_environment

    settings = from_environment()
    app = create(settings)
    config = uvicorn.Config(
        app,
        arguments.host,
        arguments.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=round(settings.seconds),
    )
    Server(config, app.state.service.work).run()


if __name__ == "__main__":
    main()
