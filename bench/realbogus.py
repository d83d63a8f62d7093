"""Speed of scoring alert packets from their Avro bytes, and of blanking one triplet pixel by pixel.

The target of scoring is the rate of Rubin's stream: 10 million alerts per night, 300 per second. The ideal time of
blanking is that of 3,969 forward passes at the fastest batch size; the target is at most 1.5 times this time.
"""

import io
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from bench.reading import PeakMemory
from bench.timing import medians, report
from skylight.alerts.packets import SIDE, containers
from skylight.alerts.scoring import score_stream
from skylight.alerts.triplets import triplets
from skylight.attribution import blanking
from skylight.networks.vgg6 import vgg6
from skylight.simulations.alerts import simulate

PACKETS, LENGTHS = 200, (1_000, 10_000)


class Repeated(io.RawIOBase):
    """A stream that repeats the same packets and keeps only one copy of them in memory."""

    def __init__(self, packets: list[bytes], length: int):
        self._parts = (packets[i % len(packets)] for i in range(length))
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._left:
            self._left = memoryview(next(self._parts, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def stream(packets: list[bytes], length: int):
    return containers(io.BufferedReader(Repeated(packets, length)), "stream")


def scoring(model: keras.Model) -> None:
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "alerts", PACKETS, seed=0)
        packets = [path.read_bytes() for path in sorted((Path(folder) / "alerts/packets").iterdir())]
    print(f"\nAvro bytes to score, mean size of a packet {np.mean([len(packet) for packet in packets]) / 1024:.0f} KiB")
    start = time.perf_counter()
    unpacked = sum(1 for _ in triplets(stream(packets, LENGTHS[0])))
    print(f"  unpacking alone, one thread: {unpacked / (time.perf_counter() - start):,.0f} packets/s")
    list(score_stream(model, stream(packets, 200)))
    for length in LENGTHS:
        with PeakMemory() as memory:
            start = time.perf_counter()
            scored = sum(len(scores) for _, _, scores, _ in score_stream(model, stream(packets, length)))
            seconds = time.perf_counter() - start
        print(f"  {scored:6,d} packets: {scored / seconds:,.0f} packets/s, peak memory {memory.peak / 2**20:,.0f} MiB")


def compare_blanking(model: keras.Model) -> None:
    image = np.random.default_rng(0).random((1, *model.input_shape[1:]), dtype=np.float32)

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape)])
    def forward(images):
        return model(images, training=False)

    def passes(size: int) -> None:
        batch = tf.constant(np.repeat(image, size, axis=0))
        for first in range(0, SIDE**2, size):
            forward(batch[: min(size, SIDE**2 - first)]).numpy()

    costs = medians({size: lambda size=size: passes(size) for size in (32, 64, 128, 256)}, 2)
    best = min(costs, key=costs.get)
    seconds = medians(
        {
            f"ideal, {SIDE**2:,} passes in batches of {best}": lambda: passes(best),
            "skylight": lambda: blanking(model, image, 1),
        }
    )
    report("Blanking a triplet", seconds, "skylight")


def main() -> None:
    keras.utils.set_random_seed(0)
    model = vgg6()
    scoring(model)
    compare_blanking(model)


if __name__ == "__main__":
    main()
