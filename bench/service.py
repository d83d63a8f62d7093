"""What HTTP adds to predictions and integrated gradients, requests per second for 1 to 32 clients, and memory.

    python -m bench.service --model metallicity

The same calls without HTTP decode the same picture, run the same network and write the same JSON in one process. Every
request has a picture of its own, so that no answer comes from the cache.
"""

import argparse
import contextlib
import io
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
from PIL import Image

from apps.service import answers, drawing
from apps.service.explaining import Networks, Question, checked
from apps.service.models import registry
from bench.timing import medians
from skylight import params
from skylight.errors import same_on_every_machine

CLIENTS = (1, 2, 4, 8, 16, 32)
PORT = 8937
IG = {"method": "integrated_gradients", "steps": 50}
_SEEDS = itertools.count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="metallicity", help="a network that takes pictures")
    parser.add_argument("--repeats", type=int, default=41, help="of each timing")
    parser.add_argument("--requests", type=int, default=2_000, help="of the test of memory")
    arguments = parser.parse_args()
    same_on_every_machine()
    with serving() as (url, process), httpx.Client(base_url=url, timeout=600) as client:
        overhead(client, arguments.model, arguments.repeats)
        throughput(client, arguments.model)
        memory(client, process, arguments.model, arguments.requests)


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, psutil.Process]]:
    """Run the service until the end of the block."""
    command = [sys.executable, "-m", "apps.service", "--port", str(PORT)]
    server = subprocess.Popen(command)
    try:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{PORT}/ready").status_code == 200:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{PORT}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def picture() -> bytes:
    """Return a picture that no request has sent before."""
    pixels = np.random.default_rng(next(_SEEDS)).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def ask(client: httpx.Client, path: str, model: str, **fields: object) -> None:
    """Send one request."""
    answer = client.post(path, files={"file": picture()}, data={"model": model} | fields)
    answer.raise_for_status()


def direct(model: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the same calls without HTTP: a prediction, and integrated gradients."""
    networks, network = Networks(), registry(params.load())[model]
    networks.start()
    reader, *settings = network.read
    question = checked(network, Question(**IG))

    def sample():
        return next(reader(picture(), 0, 1, *settings))

    def explain() -> str:
        answer = networks.explain(network, sample(), question)
        return answers.explained(answer, 0, drawing.Style()).model_dump_json()

    return lambda: answers.predicted(networks.predict(network, sample()), 0).model_dump_json(), explain


def overhead(client: httpx.Client, model: str, repeats: int) -> None:
    """Print the seconds of each call with and without HTTP."""
    predict, explain = direct(model)
    print(f"{model}, one client")
    for name, http, alone in (
        ("predict", lambda: ask(client, "/predict", model), predict),
        ("integrated gradients, 50 steps", lambda: ask(client, "/explain", model, **IG), explain),
    ):
        seconds = medians({"HTTP": http, "direct": alone}, repeats)
        more = seconds["HTTP"] / seconds["direct"] - 1
        http, alone = (1000 * seconds[way] for way in ("HTTP", "direct"))
        print(f"  {name:32s} {http:8.1f} ms, without HTTP {alone:8.1f} ms: {more:+.1%}")


def throughput(client: httpx.Client, model: str) -> None:
    """Print requests per second, and the median and the 95th percentile of their seconds."""
    for path, fields, each in (("/predict", {}, 8), ("/explain", IG, 2)):
        print(f"{path}: clients, requests/s, p50, p95")
        for clients in CLIENTS:
            waits = []

            def one(_: int, path: str = path, fields: dict = fields, waits: list = waits) -> None:
                start = time.perf_counter()
                ask(client, path, model, **fields)
                waits.append(time.perf_counter() - start)

            start = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(one, range(max(16, each * clients))))
            rate = len(waits) / (time.perf_counter() - start)
            print(f"  {clients:3d} {rate:8.1f} {np.quantile(waits, 0.5):8.3f} s {np.quantile(waits, 0.95):8.3f} s")


def memory(client: httpx.Client, process: psutil.Process, model: str, requests: int) -> None:
    """Print the resident memory of the service and its decoders while it answers requests."""
    for done in range(1, requests + 1):
        ask(client, "/predict", model)
        if done in (1, requests // 4, requests // 2, requests):
            held = sum(each.memory_info().rss for each in (process, *process.children()))
            print(f"  after {done:5d} requests: {held / 2**20:7.0f} MiB")


if __name__ == "__main__":
    main()
