"""Files of arrays: what is read, and an error of one line for every kind of bad file."""

import tracemalloc
import zipfile

import numpy as np
import pytest

from skylight.arrays import read_npy, read_npz
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


def npy(header: str, content: bytes = bytes(64)) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def described(descr="'<f4'", shape="(16,)") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


HOSTILE = [
    (described(shape="(441000000000,)"), "an array of shape .* in 64 bytes"),
    (described(shape="(-4, -4)"), "impossible shape"),
    (described(shape="(0, 10**30)"), ""),
    (described(shape=f"(0, {10**30})"), "impossible shape"),
    (described(descr="'|O'"), "only plain numbers"),
    (described(descr="[('a', '<f4')]"), "only plain numbers"),
    (described(descr="('<f4', (2,))"), "only plain numbers"),
    (described(descr="'|V4'"), "only plain numbers"),
    (described(descr="'<U0'"), "only plain numbers"),
    (described(descr="'spam'"), ""),
    (npy("not a header"), ""),
    (npy("(" * 110), ""),
    (b"\x93NUMPY\x03\x00" + described()[8:], "version"),
    (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(64), ""),
    (b"text", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("content", "reason"), HOSTILE)
def test_an_array_that_claims_what_it_is_not_is_refused(tmp_path, content, reason):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.npy: is not a NumPy array file \(.*{reason}") as error:
        read_npy(tmp_path / "a.npy")
    assert "\n" not in str(error.value)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(InputError, match=rf"a\.npz: not a whole \.npz file of arrays \(.*{reason}"):
        read_npz(tmp_path / "a.npz", ("x",))


def test_an_array_file_is_read_as_numpy_reads_it(tmp_path):
    for array in (np.eye(3, dtype=">f8"), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(["a", "bc"])):
        np.save(tmp_path / "a.npy", array)
        found = read_npy(tmp_path / "a.npy")
        assert found.dtype == array.dtype and np.array_equal(found, array) and found.flags.writeable


def test_a_member_that_unpacks_to_too_much_is_refused_without_the_memory(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(100_000_000, np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 200_000
    tracemalloc.start()
    with pytest.raises(InputError, match="it unpacks to 100000128 bytes, more than"):
        read_npz(tmp_path / "a.npz", ("x",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99)])  # encrypted; an unknown method
def test_flags_and_methods_of_zip_that_are_not_read_are_errors(tmp_path, place, value):
    whole(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[place] = content[content.index(b"PK\x01\x02") + place + 2] = value
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: not a whole .npz file of arrays \("):
        read_npz(tmp_path / "a.npz", ("x",))
