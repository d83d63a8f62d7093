"""Relevance maps of simulated HiTS candidates, one chunk after the other: maps per second and memory.

Measured on CAP with the width of ``params.yaml`` and with the published width, for the rule of the chapter's figures.
The weights are random, which does not change the time. The ideal is the time of three compiled forward and backward
passes of the network.
"""

import argparse
import gc
import os
import tempfile
import time
from pathlib import Path

import keras
import tensorflow as tf

from skylight import params
from skylight.attribution.relevance import lrp
from skylight.attribution.scoring import images_spec, score_model
from skylight.candidates.hits import chunk_files, good_candidates, scaled
from skylight.networks.deep_hits import deep_hits
from skylight.outputs import save_array
from skylight.simulations.hits import simulate

CHUNK, BATCH = 1000, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument(
        "--published", type=int, default=1_000, help="candidates for the network with the published width"
    )
    options = parser.parse_args()
    supernovae = params.load().supernovae
    build, rule = supernovae.network_options["cap"], supernovae.heatmaps.rule
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        counts = {"train": 0, "validation": 0, "test": options.candidates}
        simulate(folder, counts, CHUNK, tuple(supernovae.simulate.snr), seed=0)
        for width, most in ((build["width"], options.candidates), (1.0, options.published)):
            keras.utils.set_random_seed(0)
            model = deep_hits(**build | {"width": width})
            measure(model, chunk_files(folder / "test")[: -(-most // CHUNK)], folder / "maps", rule, f"width {width:g}")


def measure(model: keras.Model, chunks: list[Path], out: Path, rule: str, title: str) -> None:
    """Explain all chunks and print the rate, that of the ideal, and the memory after some of the chunks."""
    images = scaled(good_candidates(chunks[0])[0].stamps)
    ideal = forward_and_backward(model)
    lrp(model, images[:BATCH], rule=rule)
    ideal(images[:BATCH])
    start = time.perf_counter()
    for first in range(0, 8 * BATCH, BATCH):
        for _ in range(3):
            ideal(images[first : first + BATCH]).numpy()
    ideal_rate = 8 * BATCH / (time.perf_counter() - start)

    seconds, candidates, memory = 0.0, 0, []
    for path in chunks:
        start = time.perf_counter()
        images = scaled(good_candidates(path)[0].stamps)
        maps = lrp(model, images, rule=rule, batch_size=BATCH)
        save_array(out / f"{path.stem}.npy", maps)
        seconds, candidates = seconds + time.perf_counter() - start, candidates + len(images)
        gc.collect()
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20)
    after = ", ".join(f"{memory[i]:,.0f}" for i in sorted({0, len(memory) // 2, len(memory) - 1}))
    print(
        f"{title}, {candidates:,} candidates by {rule}: {candidates / seconds:,.0f} maps/s (ideal {ideal_rate:,.0f}), "
        f"resident memory {after} MiB after the first {CHUNK:,} candidates, half of them, and all"
    )


def forward_and_backward(model: keras.Model):
    scores = score_model(model)

    @tf.function(input_signature=[images_spec(model)])
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            explained = scores(images, training=False)[:, 1]
        return tape.gradient(explained, images)

    return run


if __name__ == "__main__":
    main()
