"""Pickles that would run code, fill the memory or kill the process: refused, and nothing of them is run."""

import pickle
import pickletools
import struct
import time
import tracemalloc

import numpy as np
import pytest

from skylight.candidates.pickles import read_pickle
from skylight.errors import InputError

NAMES = ("x", "y")


def refused(tmp_path, content: bytes, reason: str) -> None:
    """Check that a pickle is refused with one line, at once, and in little memory."""
    path = tmp_path / "chunk.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(InputError, match=reason) as error:
        read_pickle(path, NAMES)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{path}: ")
    assert seconds < 3 and peak < 2**27  # tracemalloc takes most of the time


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.arange(12, dtype=">i2").reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.arange(3, dtype=np.uint8),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.zeros((0, 441), np.float32),
        np.array(5, np.int64),
    ],
)
def test_arrays_come_back_as_they_were(tmp_path, array, protocol):
    path = tmp_path / "chunk.pkl"
    path.write_bytes(pickle.dumps({"x": array, b"other": np.array([{}, None])}, protocol=protocol))
    (found,) = read_pickle(path, NAMES).values()
    assert found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array)


def of_array(shape=b"K\x04\x85", dtype=b"f8", state=b"", content=bytes(32), flag=b"\x89") -> bytes:
    """Return a pickle of one array with anything in its parts."""
    text = lambda value: b"U" + bytes([len(value)]) + value  # noqa: E731
    kind = (
        b"cnumpy\ndtype\n"
        + text(dtype)
        + b"K\x00K\x01\x87R"
        + (state or b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    )
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    body = b"T" + struct.pack("<i", len(content)) + content
    return b"\x80\x02}U\x01x" + made + b"(K\x01" + shape + kind + flag + body + b"tbs."


def test_the_pickle_that_the_hostile_ones_are_made_of_is_good(tmp_path):
    (tmp_path / "chunk.pkl").write_bytes(of_array())
    assert np.array_equal(read_pickle(tmp_path / "chunk.pkl", NAMES)["x"], np.zeros(4))


LARGE = b"\x8a\x08" + struct.pack("<q", 2**40)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (of_array(shape=LARGE + b"\x85"), "an array of shape .* in 32 bytes"),
        (of_array(shape=LARGE + LARGE + b"\x86"), "an array of shape .* in 32 bytes"),
        (of_array(shape=b"J\xff\xff\xff\xff\x85"), "impossible shape"),
        (of_array(shape=b"(" + b"K\x01" * 1000 + b"t"), "impossible shape"),
        (of_array(shape=b"G" + bytes(8) + b"\x85"), "without a shape"),
        (of_array(shape=b"N"), "Python objects, or no array"),
        (of_array(dtype=b"O8"), "another type than plain numbers"),
        (of_array(dtype=b"O"), "another type than plain numbers"),
        (of_array(dtype=b"V8"), "another type than plain numbers"),
        (of_array(dtype=b"M8"), "another type than plain numbers"),
        (of_array(dtype=b"(2,)f4"), "another type than plain numbers"),
        (of_array(dtype=b"f4,f4"), "another type than plain numbers"),
        (of_array(dtype=b"f3"), "is not an array"),
        (of_array(dtype=b"S0"), "only plain numbers"),
        (of_array(dtype=b"U999999"), "an array of shape"),
        (of_array(b"K\x04\x85", b"V8", b"(K\x03U\x01<(U\x01aK\x01tU\x01aNJ\xff\xff\xff\x7fK\x01K?tb"), "another type"),
        (of_array(state=b"(K\x03U\x04spamNNNK\x00K\x00K\x00tb"), "unknown byte order"),
        (of_array(state=b"Nb", content=bytes(8)), "an array of shape"),
        (b"\x80\x02}U\x01xcnumpy\nndarray\n\x8a\x08" + struct.pack("<q", 2**40) + b"\x85Rs.", "must be an array"),
        (b"\x80\x02K\x01r" + struct.pack("<I", 2**31 - 1) + b".", "must be a dictionary of arrays, got int"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "not a whole pickle"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x.", "not a whole pickle"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**32) + b"x.", "4294967296 bytes are claimed, 2 are left"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"x.", "not a whole pickle"),
        (b"\x80\x02B" + struct.pack("<I", 2**31 - 1) + b".", "not a whole pickle"),
        (b"\x80\x02" + b"]" * 2_000_000 + b".", "more than 300000 steps"),
        (b"\x80\x02cnumpy\ndtype\n}U\x01aK\x01sb.", "a state of no array"),
        (b"\x80\x02cnumpy\ndtype\n(U\x02f8tR.", "must be a dictionary of arrays, got Type"),
        (b"\x80\x02cnumpy\ndtype\nT" + struct.pack("<i", 10**7) + bytes(10**7) + b"R.", "other arguments"),
        (b"\x80\x02cbuiltins\neval\nU\x011\x85R.", "refused: the pickle names builtins.eval"),
        (b"\x80\x02U\x01a\x85\x81.", "a step that no dictionary of arrays needs"),
        (b"\x80\x02\x82\x01.", "a step that no dictionary of arrays needs"),
        (b"(ios\nsystem\n.", "a step that no dictionary of arrays needs"),
        (b"P1\n.", "a step that no dictionary of arrays needs"),
        (b"\x80\x02}K\x01K\x02s.", "keys are not names"),
        (b"\x80\x02}U\x01xK\x01s.", "x must be an array, got int"),
        (b"I" + b"9" * 10_000 + b"\n.", "not a whole pickle"),
        (b"", "not a whole pickle"),
    ],
)  # fmt: skip
def test_a_hostile_pickle_is_refused(tmp_path, content, reason):
    refused(tmp_path, content, reason)


def test_a_key_whose_hash_takes_for_ever_is_refused(tmp_path):
    nested = b"K\x01" + b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(60))
    refused(tmp_path, b"\x80\x02}" + nested + b"K\x01s.", "keys are not names")
    refused(tmp_path, of_array(dtype=b"f8", shape=nested), "impossible shape|without a shape")
    kind = b"cnumpy\ndtype\n" + nested + b"K\x00K\x01\x87R"
    array = b"cnumpy.core.multiarray\n_reconstruct\nN\x85R(K\x01K\x04\x85" + kind + b"\x89U\x01atb"
    refused(tmp_path, b"\x80\x02}U\x01x" + array + b"s.", "another type than plain numbers")


def test_steps_are_named_as_pickletools_names_them():
    """A step that is missing from the list would refuse a good pickle."""
    arrays = {"x": np.zeros((2, 3), np.float32), "y": np.array([1, 2])}
    used = {code.name for p in range(6) for code, *_ in pickletools.genops(pickle.dumps(arrays, protocol=p))}
    from skylight.candidates import pickles

    known = set(pickles._HARMLESS) | {"BUILD", "REDUCE", "DICT", "SETITEM", "SETITEMS", "BYTEARRAY8"}
    assert used <= known
