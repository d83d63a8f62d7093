"""Layers that make a network see an image in its four quarter turns, for Deep-HiTS and the invariant CAP.

`QuarterTurns` puts the four copies of an image one after the other along the batch axis, (N, ...) -> (4 N, ...). The
layers after it are applied to each copy with the same weights. At the end `JoinRotations` (Deep-HiTS, Cabrera-Vives et
al. 2017, ApJ 836, 97) or `CyclicAveragePooling` (CAP, Reyes et al. 2018, arXiv:1808.03626) combines the copies.
"""

import keras
from keras import ops

TURNS = 4


@keras.saving.register_keras_serializable("skylight")
class QuarterTurns(keras.layers.Layer):
    """Turn every image by 0, 90, 180 and 270 degrees: (N, S, S, C) -> (4 N, S, S, C)."""

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[1] != input_shape[2]:
            raise ValueError(f"{self.name}: takes square images (N, S, S, C), got {input_shape}")

    def call(self, images):
        copies = ops.stack([ops.rot90(images, turn, axes=(1, 2)) for turn in range(TURNS)], axis=1)
        return ops.reshape(copies, (-1, *images.shape[1:]))

    def compute_output_shape(self, input_shape):
        return (_times(input_shape[0], TURNS), *input_shape[1:])


@keras.saving.register_keras_serializable("skylight")
class JoinRotations(keras.layers.Layer):
    """Join the features of the four copies of an image: (4 N, F) -> (N, 4 F)."""

    def call(self, features):
        return ops.reshape(features, (-1, TURNS * features.shape[-1]))

    def compute_output_shape(self, input_shape):
        return (_share(input_shape[0]), TURNS * input_shape[-1])


@keras.saving.register_keras_serializable("skylight")
class CyclicAveragePooling(keras.layers.Layer):
    """Average the features of the four copies of an image: (4 N, F) -> (N, F), equal for all quarter turns."""

    def call(self, features):
        return ops.mean(ops.reshape(features, (-1, TURNS, features.shape[-1])), axis=1)

    def compute_output_shape(self, input_shape):
        return (_share(input_shape[0]), input_shape[-1])


def _times(size: int | None, factor: int) -> int | None:
    return None if size is None else size * factor


def _share(size: int | None) -> int | None:
    return None if size is None else size // TURNS
