"""Batch normalisation by one kernel, forwards and backwards."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("skylight")
class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalisation of (N, H, W, C) whose training step is TensorFlow's ``FusedBatchNorm``.

    Keras 3 writes a training step out as some ten operations over the whole batch, which take a third of Xception's
    time; Keras 2, with which the networks here were published, had the fused one. As there, the moving variance is of
    the unbiased variances (N H W - 1 in the denominator). Inference is Keras's.
    """

    def build(self, input_shape):
        if len(input_shape) != 4 or self.axis not in (-1, 3):
            raise ValueError(f"{self.name}: takes (N, H, W, C), got {input_shape} with axis {self.axis}")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        if not (training and self.trainable):
            return super().call(inputs, training=training)
        channels = inputs.shape[self.axis]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels),
            tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels),
            epsilon=self.epsilon,
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * value)
        return outputs
