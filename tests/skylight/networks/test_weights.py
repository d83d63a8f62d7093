"""Weights in folders of NumPy files."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from skylight.errors import InputError
from skylight.networks.periodic_cnn import load_periodic_cnn, periodic_cnn
from skylight.networks.vgg6 import load_vgg6, vgg6
from skylight.networks.weights import load_h5_weights, load_npy_weights, save_npy_weights


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers_are_refused_by_layer(folder, tmp_path, value):
    model = vgg6()
    kernel = np.load(folder / "conv3-W.npy")
    kernel[1, 1, 2, 3] = value
    np.save(folder / "conv3-W.npy", kernel)
    with pytest.raises(InputError, match=r"conv3-W\.npy: layer conv3 has weights that are NaN or infinite"):
        load_npy_weights(model, folder)
    model.get_layer("conv3").kernel.assign(kernel)
    model.save_weights(tmp_path / "a.weights.h5")
    for load in (load_vgg6, lambda path: load_h5_weights(vgg6(), path, "a VGG6")):
        with pytest.raises(InputError, match=r"a\.weights\.h5: layer conv3 has weights that are NaN or infinite"):
            load(tmp_path / "a.weights.h5")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array(["a", "b"]), "must be numbers, got <U1"),
        (np.array([1j, 2]), "must be numbers, got complex128"),
        (np.array([(1, 2)], dtype="f4,f4"), "is not a NumPy array file .*only plain numbers"),
        (np.array([None, {}]), "is not a NumPy array file .*only plain numbers"),
    ],
)
def test_arrays_that_are_no_numbers_are_refused(folder, values, reason):
    np.save(folder / "fc_out-B.npy", values)
    with pytest.raises(InputError, match=reason):
        load_npy_weights(vgg6(), folder)


def test_an_npz_under_the_name_of_an_array_is_refused(folder):
    np.savez(folder / "a.npz", x=np.zeros(2))
    (folder / "a.npz").rename(folder / "fc_out-B.npy")
    with pytest.raises(InputError, match=r"fc_out-B\.npy: is not a NumPy array file"):
        load_npy_weights(vgg6(), folder)


def with_claim(file):
    file.create_dataset("huge", shape=(10**12,), dtype="f4", chunks=(1000,))


def with_bomb(file):
    file.create_dataset("zeros", data=np.zeros(40_000_000, np.float32), compression="gzip")


def with_link(file):
    file["other"] = h5py.ExternalLink("/etc/passwd", "/")


def with_loop(file):
    file["loop"] = h5py.SoftLink("/loop")


def with_compound(file):
    file["odd"] = np.zeros(3, "f4,f4")


def with_external(file):
    file.create_dataset("out", shape=(3,), dtype="f4", external=[("/etc/passwd", 0, 12)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_claim, "it claims to hold"),
        (with_bomb, "it claims to hold"),
        (with_link, "other is a link"),
        (with_loop, "loop is a link"),
        (with_compound, "odd is of"),
        (with_external, "out is in another file"),
    ],
)
def test_hdf5_files_that_claim_too_much_are_refused(tmp_path, change, reason):
    path = tmp_path / "a.weights.h5"
    vgg6().save_weights(path)
    with h5py.File(path, "a") as file:
        change(file)
    for load in (load_vgg6, lambda path: load_h5_weights(vgg6(), path, "a VGG6")):
        with pytest.raises(InputError, match=rf"a\.weights\.h5: not the weights of a VGG6 \(.*{reason}"):
            load(path)


def test_other_hdf5_files_are_told(tmp_path):
    path = tmp_path / "p.weights.h5"
    with pytest.raises(InputError, match="no such weights; `dvc repro periodic-train` makes them"):
        load_periodic_cnn(path, 7)
    path.write_bytes(b"not HDF5")
    with pytest.raises(
        InputError, match=r"not the weights of the network for 7 classes and dmdt images of \(22, 24, 1\)"
    ):
        load_periodic_cnn(path, 7)
    periodic_cnn(5).save_weights(path)
    with pytest.raises(InputError, match="not the weights of the network for 7 classes"):
        load_periodic_cnn(path, 7)
    assert load_periodic_cnn(path, 5).output_shape == (None, 5)
    with pytest.raises(InputError, match="not the weights of a VGG6"):
        load_vgg6(path)
