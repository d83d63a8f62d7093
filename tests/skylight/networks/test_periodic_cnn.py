"""The networks are the published ones: parameter counts, layer names, sizes."""

from skylight.networks.periodic_cnn import periodic_cnn
from skylight.networks.vgg6 import vgg6


def test_periodic_cnn_has_the_published_layers():
    model = periodic_cnn(7)
    assert [layer.name for layer in model.layers[1:]] == [
        "conv2d1",
        "maxpool2d1",
        "conv2d2",
        "flatten",
        "preds",
    ]
    assert model.output_shape == (None, 7)
    assert model.get_layer("flatten").output.shape[1] == 5 * 6 * 64


def test_vgg6_has_the_published_number_of_parameters():
    assert vgg6(2).count_params() == 312_338
