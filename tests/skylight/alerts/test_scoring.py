"""A stream of alerts is scored in its order; an alert that cannot be used, or crashes its decoder, is rejected."""

import os
import signal
from collections.abc import Iterator

import numpy as np

from skylight.alerts import avro
from skylight.alerts.packets import Alert, alerts, packed, write
from skylight.alerts.scoring import BATCH, score_stream
from skylight.child import Child
from skylight.networks.vgg6 import vgg6
from skylight.rejected import Rejected
from tests.skylight.alerts.test_packets import packet


def test_a_stream_is_scored_in_order_around_what_cannot_be():
    cutouts = [packed(np.random.default_rng(k).normal(100, 5, (63, 63))) for k in range(3)]
    good, bad = Alert("file", 1, "x", tuple(cutouts)), Rejected("file", "", "corrupt")
    stream = [good, bad, *[good] * BATCH, bad]
    results = list(score_stream(vgg6(), iter(stream)))
    assert [len(some) for some, *_ in results] == [BATCH - 1, 2]
    assert [len(rejected) for *_, rejected in results] == [1, 1]
    assert np.ptp(np.concatenate([scores for _, _, scores, _ in results])) < 1e-6
    ((some, _, scores, rejected),) = score_stream(vgg6(), [bad])
    assert not some and scores.shape == (0,) and rejected == [bad]


class Fragile:
    """A child that is killed when it gets its third block of records, and its second alert."""

    def __init__(self, child: Child):
        self.child, self.blocks, self.alerts = child, 0, 0

    def __call__(self, function, *arguments) -> Iterator:
        is_block = function is avro.records
        self.blocks += is_block
        self.alerts += not is_block
        if (is_block and self.blocks == 3) or (not is_block and self.alerts == 2):
            os.kill(self.child._process.pid, signal.SIGSEGV)
        return self.child(function, *arguments)


def test_an_alert_that_crashes_its_decoder_is_rejected_and_the_others_are_scored(tmp_path):
    for number in range(1, 6):
        write(tmp_path / f"{number}.avro", [packet(number)])
    model = vgg6()
    ((expected, _, all_scores, _),) = score_stream(model, alerts([tmp_path]))
    with Child("skylight.alerts.triplets") as child:
        run = Fragile(child)
        ((some, _, scores, rejected),) = score_stream(model, alerts([tmp_path], run), run)
    assert [alert.candid for alert in expected] == [1, 2, 3, 4, 5] and [alert.candid for alert in some] == [1, 4, 5]
    assert np.array_equal(scores, all_scores[[0, 3, 4]])
    assert [(each.source, each.id, each.reason) for each in rejected] == [
        (f"{tmp_path}/2.avro", "2", "its decoder crashed (SIGSEGV)"),
        (f"{tmp_path}/3.avro", "", "its decoder crashed (SIGSEGV)"),
    ]
