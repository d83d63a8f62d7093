"""Any bytes in place of HiTS chunks and weights: arrays or an error of one line, in bounded time and memory."""

import io
import os
import pickle
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylight.arrays import read_npy
from skylight.candidates import hits
from skylight.errors import InputError
from tests.fuzz.test_alerts import mutated
from tests.memory import forget_peak, peak

pytestmark = pytest.mark.slow

EXAMPLES = settings(
    max_examples=int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
SECONDS, MEMORY = 5, 2**20  # KiB that the process may grow by


def chunk(ending: str, protocol: int = 2) -> bytes:
    """Return a good chunk of three candidates."""
    stamps = np.random.default_rng(0).normal(size=(3, 441)).astype(np.float32)
    arrays = dict.fromkeys(hits.CHANNELS.values(), stamps) | {"labels": np.array([0, 1, 0])}
    file = io.BytesIO()
    if ending == ".pkl":
        return pickle.dumps(arrays, protocol=protocol)
    np.savez(file, **arrays)
    return file.getvalue()


def refused_or(reader, content: bytes, name: str) -> None:
    """Read a file, and check what the promise says."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        before, start = forget_peak(), time.process_time()
        try:
            reader(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        assert time.process_time() - start < SECONDS
        assert peak() - before < MEMORY


@pytest.mark.parametrize("protocol", [0, 2, 5])
@EXAMPLES
@given(st.data())
def test_mutated_pickles(protocol, data):
    content = chunk(".pkl", protocol)
    head, tail = content[:600], content[600:]  # most steps are near the beginning
    refused_or(hits.good_candidates, data.draw(mutated(head)) + tail, "a.pkl")


OPCODES = st.sampled_from([bytes([code]) for code in range(256)])
PIECES = st.sampled_from(
    [
        *(b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n"),
        *(b"cnumpy.core.numeric\n_frombuffer\n", b"U\x02f8", b"U\x01O", b"U\x0btemp_images", b"K\x03\x85", b"(", b"t"),
        *(b"R", b"b", b"}", b"s", b"u", b"q\x01", b"h\x01", b"K\x00K\x01\x87", b"r\xff\xff\xff\x7f"),
    ]
)


@EXAMPLES
@given(st.lists(OPCODES | PIECES | st.binary(max_size=5), max_size=60).map(b"".join))
def test_any_program(program):
    refused_or(hits.good_candidates, b"\x80\x02" + program + b".", "a.pkl")


@EXAMPLES
@given(st.data())
def test_mutated_archives(data):
    refused_or(hits.good_candidates, data.draw(mutated(chunk(".npz"))), "a.npz")


@EXAMPLES
@given(st.data())
def test_mutated_arrays(data):
    file = io.BytesIO()
    np.save(file, np.zeros((3, 4), np.float32))
    refused_or(read_npy, data.draw(mutated(file.getvalue())), "a.npy")


DESCR = st.sampled_from(["'<f4'", "'|O'", "'<U0'", "[('a','<f4')]", "'V3'", "'<M8[s]'", "1", "('<f4',(2,))", "None"])
SHAPE = st.lists(st.integers(-3, 5) | st.integers(-(2**70), 2**70), max_size=4).map(tuple)


@EXAMPLES
@given(DESCR, SHAPE, st.booleans(), st.binary(max_size=80))
def test_any_header(descr, shape, fortran, content):
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    refused_or(read_npy, b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content, "a.npy")
