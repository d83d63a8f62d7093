"""The convolutional parts of ``keras.applications``, at any width and with any activation."""

from collections.abc import Callable

import keras
from keras import layers

from skylight.networks.normalization import FusedBatchNormalization


def backbone(
    application: Callable[..., keras.Model],
    shape: tuple[int, int, int],
    width: float = 1.0,
    activation: str = "relu",
    momentum: float = 0.99,
    min_filters: int = 1,
    **options,
) -> keras.Model:
    """Build the convolutional part of a ``keras.applications`` network, rescaled.

    Parameters
    ----------
    application : callable
        ``keras.applications.Xception``, ``VGG16``, ``ResNet50V2``, ...
    shape : tuple of int
        Rows, columns and channels of the input.
    width : float
        Factor on the number of filters of every convolution; 1 is the published network.
    activation : str
        In place of every ReLU.
    momentum : float
        Of every batch normalisation. With small training sets the moving averages need 0.9; with 0.99 they have not
        converged by the end of the training.
    min_filters : int
        Smallest number of filters of a convolution. Xception's first two have 32 and 64. At a width of 1/8 they would
        have 4 and 8, too few to separate directions, and a few more filters in the first layers cost little.
    **options
        Passed on (``weights``, ``pooling``, ...). Pretrained ``weights`` need ``width`` 1.

    Returns
    -------
    keras.Model
        Functional model without the classification head.
    """

    def rescaled(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if isinstance(layer, layers.ReLU):
            return layers.Activation(activation, name=layer.name) if activation != "relu" else layer
        if "filters" in config:
            config["filters"] = max(min_filters, round(config["filters"] * width))
        if config.get("activation") == "relu":
            config["activation"] = activation
        if isinstance(layer, layers.BatchNormalization):
            return FusedBatchNormalization.from_config(config | {"momentum": momentum})
        return layer.__class__.from_config(config)

    published = application(include_top=False, input_shape=shape, **{"weights": None} | options)
    model = keras.models.clone_model(published, clone_function=rescaled)
    if options.get("weights") is not None:
        model.set_weights(published.get_weights())
    return model
