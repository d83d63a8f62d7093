"""Files of arrays: what is read, and an error of one line for every kind of bad file."""

import numpy as np
import pytest

from skylight.arrays import read_npz
from skylight.errors import InputError


def test_all_arrays_are_read_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.eye(2))
    arrays = read_npz(tmp_path / "a.npz", ("x",))
    assert set(arrays) == {"x", "y"}
    assert np.array_equal(arrays["x"], [0, 1, 2]) and np.array_equal(arrays["y"], np.eye(2))


def whole(path):
    np.savez(path, x=np.arange(1000))


def truncated(path):
    whole(path)
    path.write_bytes(path.read_bytes()[:2000])


def damaged(path):
    whole(path)
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    path.write_bytes(content)


def of_objects(path):
    np.savez(path, x=np.array([{}, None]))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_text("x,y\n1,2\n"), r"not a whole .npz file of arrays \("),
        (truncated, r"not a whole .npz file of arrays \("),
        (damaged, r"not a whole .npz file of arrays \("),
        (of_objects, r"not a whole .npz file of arrays \("),
        (whole, r"no array y \(needs x, y\)"),
    ],
    ids=["missing", "of another format", "truncated", "damaged", "of Python objects", "without a needed array"],
)
def test_a_bad_file_is_an_error_of_one_line(tmp_path, write, message):
    write(tmp_path / "a.npz")
    with pytest.raises(InputError, match=rf"a\.npz: {message}") as error:
        read_npz(tmp_path / "a.npz", ("x", "y"))
    assert "\n" not in str(error.value)
