"""Digits: those of scikit-learn, and MNIST from a file of the user."""

import numpy as np
import pytest

from skylight.candidates.digits import first_correct, read_digits
from skylight.errors import InputError
from skylight.networks.digits import digits_network


def mnist(path, **changes):
    arrays = {"x_train": np.full((20, 28, 28), 255, np.uint8), "y_train": np.arange(20) % 10}
    arrays |= {"x_test": np.zeros((10, 28, 28), np.uint8), "y_test": np.arange(10)}
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return str(path)


def test_the_split_of_scikit_learns_digits_is_stratified():
    digits = read_digits(None, 0.2, 0)
    assert digits.x_train.shape == (1437, 8, 8, 1) and digits.x_test.shape == (360, 8, 8, 1)
    assert digits.x_train.min() == 0 and digits.x_train.max() == 1 and digits.x_train.dtype == np.float32
    assert np.ptp(np.bincount(digits.y_test)) <= 3
    assert np.array_equal(read_digits(None, 0.2, 0).x_test, digits.x_test)


def test_a_file_of_mnist_is_read(tmp_path):
    digits = read_digits(mnist(tmp_path / "mnist.npz"), 0.2, 0)
    assert digits.x_train.shape == (20, 28, 28, 1) and digits.x_train.max() == 1 and not digits.x_test.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, r"no array y_test \(needs x_train, y_train, x_test, y_test\)"),
        ({"y_test": np.zeros(9, int)}, r"x_test must be \(N, H, W\) and y_test \(N,\)"),
        ({"y_train": np.full(20, 11)}, "y_train must be digits, 0 to 9"),
    ],
)
def test_a_file_with_wrong_arrays_is_an_error_that_names_the_array(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_digits(mnist(tmp_path / "mnist.npz", **changes), 0.2, 0)


def test_missing_and_truncated_files_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"mnist\.npz: no such file"):
        read_digits(str(tmp_path / "mnist.npz"), 0.2, 0)
    whole = mnist(tmp_path / "mnist.npz")
    (tmp_path / "mnist.npz").write_bytes((tmp_path / "mnist.npz").read_bytes()[:500])
    with pytest.raises(InputError, match=r"not a whole \.npz file"):
        read_digits(whole, 0.2, 0)


def test_the_first_digit_of_each_kind_that_is_predicted_correctly_is_chosen():
    labels, predicted = np.array([2, 0, 0, 1, 2, 0, 1]), np.array([0, 1, 0, 0, 2, 0, 2])
    assert first_correct(labels, predicted) == [2, 3, 4]  # no 1 is predicted correctly: the first


def test_networks_take_both_sizes():
    for shape in ((8, 8, 1), (28, 28, 1)):
        for kind in ("mlp", "cnn"):
            assert digits_network(kind, shape).output_shape == (None, 10)
    with pytest.raises(InputError, match="kind: must be mlp or cnn, got 'rnn'"):
        digits_network("rnn", (8, 8, 1))
