"""ResNet50V2 (He et al. 2016, arXiv:1603.05027) as in Bhambra et al. 2022: swish, then the mean over the image."""

import keras

from skylight.networks.applications import backbone


def features(shape: tuple[int, int, int], outputs: int, weights: str | None = None, **build) -> keras.Model:
    """Build all layers but the last; see `skylight.networks.galaxy_zoo.galaxy_zoo`."""
    return backbone(keras.applications.ResNet50V2, shape, activation="swish", weights=weights, pooling="avg", **build)
