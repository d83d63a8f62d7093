"""Servers for tests, on a free port of the loopback interface; they are stopped at the end."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(
    command: list[str], log: Path, folder: Path | None = None, **environment: str
) -> Iterator[subprocess.Popen]:
    """Run a server in a folder until the end of the block; its output goes to the file ``log``. It may start later."""
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own process group, so that its workers are stopped as well
        )
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for(port: int, log: Path, seconds: float = 180) -> None:
    """Wait until something listens on ``port``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def dying(port: int, after: int) -> Iterator[int]:
    """Yield a port that forwards to ``port`` until ``after`` bytes have passed; after that it refuses connections."""
    listener, connected, left = socket.create_server(("127.0.0.1", 0)), [], [after]

    def die() -> None:
        for end in (listener, *connected):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def forward(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                left[0] -= len(data)
                if left[0] < 0:
                    return die()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                connected.extend((client, server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=forward, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
        assert left[0] < 0, f"fewer than {after} bytes have passed"
    finally:
        die()
