"""Any bytes in place of weights in an HDF5 file: loaded, or an error of one line, in bounded time and memory."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylight.networks.weights import load_h5_weights
from tests.fuzz.test_alerts import mutated
from tests.fuzz.test_chunks import refused_or

pytestmark = pytest.mark.slow

EXAMPLES = settings(
    max_examples=int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200")),
    deadline=5000,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@cache
def network() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])


@cache
def good() -> bytes:
    """Return the weights of the network, as Keras saves them."""
    with TemporaryDirectory() as folder:
        network().save_weights(Path(folder) / "a.weights.h5")
        return (Path(folder) / "a.weights.h5").read_bytes()


def load(path: Path) -> None:
    load_h5_weights(network(), path, "this network")


@EXAMPLES
@given(st.data())
def test_mutated_weights(data):
    refused_or(load, data.draw(mutated(good())), "a.weights.h5")


@EXAMPLES
@given(st.binary(max_size=200))
def test_any_bytes(content):
    refused_or(load, good()[:8] + content, "a.weights.h5")
