"""Weights in folders of NumPy files."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.errors import InputError
from skylight.networks.vgg6 import vgg6
from skylight.networks.weights import load_npy_weights, save_npy_weights


@pytest.fixture
def folder(tmp_path):
    save_npy_weights(vgg6(), tmp_path / "weights")
    return tmp_path / "weights"


def test_saved_weights_are_loaded_unchanged(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, use_bias=False, name="inside")], name="block")
    image = keras.Input((4,))
    nested = keras.Model(image, layers.Dense(2, name="outside")(inner(image)))
    for name, model in (("vgg6", vgg6()), ("nested", nested)):
        save_npy_weights(model, tmp_path / name)
        original = model.get_weights()
        model.set_weights([np.zeros_like(weight) for weight in original])
        load_npy_weights(model, tmp_path / name)
        assert all(np.array_equal(old, new) for old, new in zip(original, model.get_weights(), strict=True))
    assert sorted(path.name for path in (tmp_path / "nested").iterdir()) == [
        "inside-W.npy",
        "outside-B.npy",
        "outside-W.npy",
    ]


def test_files_that_do_not_fit_are_errors_and_change_nothing(folder):
    model = vgg6()
    before = model.get_weights()

    def fails(message):
        with pytest.raises(InputError, match=message):
            load_npy_weights(model, folder)
        assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))

    np.save(folder / "conv9-W.npy", np.zeros(3))
    fails(r"conv9-W.npy: model vgg6 has no such weights")
    (folder / "conv9-W.npy").unlink()
    np.save(folder / "fc_out-B.npy", np.zeros(3))
    fails(r"fc_out-B.npy: shape must be \(2,\), got \(3,\)")
    (folder / "fc_out-B.npy").write_text("not an array")
    fails(r"fc_out-B.npy: is not a NumPy array file")
    (folder / "fc_out-B.npy").unlink()
    fails(r"fc_out-B.npy: no such file")


def test_layers_with_other_weights_are_errors(tmp_path):
    image = keras.Input((4,))
    model = keras.Model(image, layers.PReLU(name="slopes")(image))
    with pytest.raises(InputError, match="layer slopes: PReLU has other weights than kernel, bias, gamma, "):
        save_npy_weights(model, tmp_path / "weights")
