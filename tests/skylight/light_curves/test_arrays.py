"""The arrays of a survey: one row per object, and rows by id, where objects have copies."""

import numpy as np
import pandas as pd
import pytest

from skylight.errors import InputError
from skylight.light_curves import arrays
from skylight.light_curves.arrays import Arrays

IDS = np.array(["c", "c", "a", "b", "b", "b"])


@pytest.fixture
def data():
    """Rows that differ, so that each can be told from the others."""
    number = np.arange(6)
    return Arrays(number.astype(np.float32).reshape(6, 1, 1, 1), number[:, None], number % 2, IDS)


def test_objects_are_the_first_rows_in_their_order(data):
    objects = data.objects()
    assert objects.ids.tolist() == ["c", "a", "b"] and len(objects) == 3
    assert objects.images.ravel().tolist() == objects.features.ravel().tolist() == [0, 2, 3]
    assert objects.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("kind", [list, np.array, lambda ids: pd.Series(ids, index=[7, 8, 9, 10])])
def test_rows_are_those_of_the_first_copies(data, kind):
    assert data.rows(kind(["b", "c", "a", "b"])).tolist() == [3, 0, 2, 3]


def test_an_unknown_id_is_an_error_that_names_it(data):
    with pytest.raises(InputError, match="object x is not among the 3 transformed objects"):
        data.rows(pd.Series(["a", "x"], index=[5, 6]))


def test_a_mask_chooses_rows_of_all_arrays(data):
    assert data[IDS == "b"].features.ravel().tolist() == [3, 4, 5]


def test_loaded_images_stay_on_disk(data, tmp_path):
    names = {"X_2d": data.images, "X_features": data.features, "y": data.labels, "lcid": data.ids}
    for name, values in names.items():
        np.save(tmp_path / f"{name}.npy", values)
    loaded = arrays.load(tmp_path)
    assert isinstance(loaded.images, np.memmap) and not isinstance(loaded[[0, 2]].images, np.memmap)
    assert np.array_equal(loaded.images, data.images) and np.array_equal(loaded.features, data.features)
    assert np.array_equal(loaded.labels, data.labels) and np.array_equal(loaded.ids, data.ids)
