"""Score a stream of alerts: one thread unpacks the next batch while the network scores the last one."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from skylight.alerts.packets import Alert
from skylight.alerts.triplets import triplets
from skylight.attribution.scoring import images_spec
from skylight.child import Run, here
from skylight.rejected import Rejected

BATCH = 64  # alerts in the network at once; the next batch is unpacked meanwhile


def score_stream(
    model: keras.Model, stream: Iterable[Alert | Rejected], run: Run = here
) -> Iterator[tuple[list[Alert], np.ndarray, np.ndarray, list[Rejected]]]:
    """Score alerts in batches, in their order.

    Parameters
    ----------
    model : keras.Model
        VGG6 with one output (the score of being real) or two (bogus, real).
    stream : iterable of Alert or Rejected
        Of any length; at most two batches are in memory.
    run : callable
        Where the cutouts are decoded: in this process, or in a `skylight.child.Child`.

    Yields
    ------
    alerts : list of Alert
    triplets : (B, 63, 63, 3) float32
    scores : (B,) float32
        Probability of being real.
    rejected : list of Rejected
        The alerts of this batch that cannot be used.
    """

    @tf.function(input_signature=[images_spec(model)])
    def network(images):
        return model(images, training=False)[:, -1]

    made = triplets(stream, run)

    def next_batch() -> list:
        return list(islice(made, BATCH))

    with ThreadPoolExecutor(1) as unpacking:
        waiting = unpacking.submit(next_batch)
        while batch := waiting.result():
            waiting = unpacking.submit(next_batch)
            good = [each for each in batch if not isinstance(each, Rejected)]
            rejected = [each for each in batch if isinstance(each, Rejected)]
            images = np.stack([pixels for _, pixels in good]) if good else np.zeros((0, *model.input_shape[1:]))
            scores = network(images.astype(np.float32, copy=False)).numpy() if good else np.zeros(0, np.float32)
            yield [alert for alert, _ in good], images, scores, rejected
