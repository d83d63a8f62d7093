"""The networks have the published last layers and no ReLU; an unknown name is an error."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from skylight import networks
from skylight.errors import InputError
from skylight.networks import galaxy_zoo as galaxy_zoo_module
from skylight.networks.galaxy_zoo import galaxy_zoo, init_output_bias


@pytest.mark.parametrize(("name", "application"), [("resnet50v2", "ResNet50V2"), ("xception", "Xception")])
@pytest.mark.slow
def test_width_one_is_the_published_network(name, application):
    backbone = getattr(keras.applications, application)(include_top=False, weights=None, input_shape=(71, 71, 3))
    model = galaxy_zoo(name, (71, 71, 3))
    assert model.count_params() == backbone.count_params() + (2048 + 1) * 37
    assert model.output_shape == (None, 37)


@pytest.mark.slow
def test_no_convolution_has_fewer_than_min_filters():
    def filters(**settings):
        model = galaxy_zoo("xception", (71, 71, 3), width=0.125, **settings)
        return [layer.filters for layer in model.layers if hasattr(layer, "filters")]

    narrow = filters()
    assert narrow[:2] == [4, 8]
    assert filters(min_filters=16) == [max(16, count) for count in narrow]


def test_vgg16_has_two_dense_layers_of_the_published_sizes():
    model = galaxy_zoo("vgg16", (224, 224, 3), width=0.0625)
    units = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert units == [16 * 37, 8 * 37, 37]


@pytest.mark.parametrize("name", ["vgg16", "resnet50v2", "xception"])
@pytest.mark.slow
def test_every_activation_is_swish_but_the_last(name):
    model = galaxy_zoo(name, (71, 71, 3), outputs=1, width=0.0625, momentum=0.9)
    activations = [layer.get_config().get("activation") for layer in model.layers]
    assert "relu" not in activations and "silu" in activations  # swish, as Keras now calls it
    assert activations[-1] == "sigmoid"
    assert not any(isinstance(layer, keras.layers.ReLU) for layer in model.layers)


def test_the_signal_neither_vanishes_nor_explodes_in_an_untrained_vgg16():
    images = np.random.default_rng(0).random((8, 72, 72, 3), dtype=np.float32) ** 4  # dark, as skies are
    keras.utils.set_random_seed(0)
    model = galaxy_zoo("vgg16", (72, 72, 3), width=0.125)
    first, last = (
        np.asarray(keras.Model(model.input, model.get_layer(name).output)(images)).std(axis=0).mean()
        for name in ("block1_conv1", "dense_2")
    )
    assert 0.01 < last / first < 100


@pytest.mark.slow
def test_an_untrained_network_begins_at_the_mean_answers():
    images = np.random.default_rng(0).random((4, 71, 71, 3), dtype=np.float32)
    keras.utils.set_random_seed(0)
    model = galaxy_zoo("xception", (71, 71, 3), outputs=3, width=0.0625, momentum=0.9)
    init_output_bias(model, np.array([0.0, 0.02, 0.9]))
    answers = model.predict(images, verbose=0)
    assert np.allclose(answers, [0.001, 0.02, 0.9], rtol=0.5)


def test_a_new_architecture_is_one_module(tmp_path, monkeypatch):
    source = Path(galaxy_zoo_module.__file__)
    for name in ("__init__", "applications", "normalization", "xception"):
        shutil.copy(source.with_name(f"{name}.py"), tmp_path)
    code = source.with_name("xception.py").read_text().replace("applications.Xception", "applications.MobileNetV2")
    (tmp_path / "small-net.py").write_text(code)
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path)])
    monkeypatch.setattr(galaxy_zoo_module, "__file__", str(tmp_path / "galaxy_zoo.py"))
    model = galaxy_zoo("small-net", (71, 71, 3), width=0.25)
    assert model.name == "small-net" and model.output_shape == (None, 37)


@pytest.mark.parametrize("name", ["exception", "deep_hits", "../xception", ""])
def test_an_unknown_name_is_an_error(name):
    with pytest.raises(InputError, match="no architecture"):
        galaxy_zoo(name, (71, 71, 3))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no architecture 'exception' \(known: resnet50v2, vgg16, xception\)"):
        galaxy_zoo("exception", (71, 71, 3))
