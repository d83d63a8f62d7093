"""Xception (Chollet 2017, arXiv:1610.02357) as in Bhambra et al. 2022: swish, then the mean over the image."""

import keras

from skylight.networks.applications import backbone


def features(shape: tuple[int, int, int], outputs: int, weights: str | None = None, **build) -> keras.Model:
    """Build all layers but the last; see `skylight.networks.galaxy_zoo.galaxy_zoo`."""
    return backbone(keras.applications.Xception, shape, activation="swish", weights=weights, pooling="avg", **build)
