"""The splits are the published ones, copies of an object are in one part, and classes are balanced."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from skylight.errors import InputError
from skylight.training.splits import balance, inverse_frequencies, parts, split


def test_without_copies_it_is_the_published_split():
    ids = np.array([f"star{i}" for i in range(45_630)])
    is_test = split(ids, 0.2, 0, 0)
    _, expected = train_test_split(shuffle(ids, random_state=0), test_size=0.2, random_state=0)
    assert is_test.sum() == 9_126
    assert set(ids[is_test]) == set(expected)


def test_copies_of_an_object_are_in_one_part():
    ids = np.repeat([f"star{i}" for i in range(50)], 3)
    is_test = split(ids, 0.3, 0, 0)
    assert not set(ids[is_test]) & set(ids[~is_test])


def test_one_object_cannot_be_split():
    with pytest.raises(InputError, match="1 object cannot be split"):
        split(np.array(["a", "a"]), 0.5, 0, 0)


@pytest.mark.parametrize(
    ("kind", "sizes"), [("none", [60, 20, 8]), ("smote", [60] * 3), ("under", [8] * 3), ("smote_under", [20] * 3)]
)
def test_classes_have_the_expected_sizes(kind, sizes):
    labels = np.repeat([0, 1, 2], [60, 20, 8])
    inputs = np.random.default_rng(0).random((88, 4, 5, 1)) + labels[:, None, None, None]
    inputs = inputs.astype(np.float32)
    balanced, new_labels = balance(inputs, labels, kind, seed=0)
    assert np.bincount(new_labels).tolist() == sizes
    assert balanced.shape[1:] == (4, 5, 1) and balanced.dtype == np.float32
    # New points lie between old ones of their class.
    assert (np.floor(balanced.mean(axis=(1, 2, 3))) == new_labels).all()


@pytest.mark.parametrize(("fewest", "kind"), [(1, "smote"), (5, "smote"), (5, "smote_under")])
def test_smote_needs_more_objects_than_neighbours(fewest, kind):
    labels = np.repeat([0, 1, 2], [12, 9, fewest])
    with pytest.raises(InputError, match=f"^sampling: {kind} needs at least 6 training objects .* one has {fewest}$"):
        balance(np.zeros((len(labels), 2), np.float32), labels, kind, 0, "sampling")
    labels = np.repeat([0, 1, 2], [12, 9, 6])
    assert len(balance(np.zeros((27, 2), np.float32), labels, kind, 0)[1]) >= 27


def test_three_parts_are_those_of_braai():
    ids = np.arange(1000)
    part = parts(ids, 0.1, 0.1, 42)
    rest, test = train_test_split(ids, test_size=0.1, random_state=42)
    assert np.array_equal(ids[part == "test"], np.sort(test))
    assert np.array_equal(ids[part == "validation"], np.sort(rest[-90:]))
    assert (part == "train").sum() == 810


def test_all_alerts_of_an_object_are_in_one_part():
    ids = np.random.default_rng(0).integers(0, 40, 300)
    part = parts(ids, 0.3, 0.2, 1)
    assert set(part) == {"train", "validation", "test"}
    assert all(len(set(part[ids == each])) == 1 for each in range(40))
    with pytest.raises(InputError, match="2 objects cannot be split"):
        parts(np.array([1, 1, 2]), 0.1, 0.1, 0)


def test_class_weights_are_the_published_ones():
    labels = np.repeat([0, 1], [3564, 7992])
    assert inverse_frequencies(labels) == pytest.approx([1, 3564 / 7992])
