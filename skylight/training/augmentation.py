"""Random turns, flips, shifts, brightness and noise of images, and batches of them that stream from a file."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from skylight.training.fit import shuffled, untuned


@dataclass(frozen=True)
class Augmentation:
    """How far images may be changed; the names are those of Keras's ``ImageDataGenerator``."""

    rotation_range: float
    """Degrees; 180 is any angle."""
    horizontal_flip: bool
    vertical_flip: bool
    width_shift_range: float
    height_shift_range: float
    """Shifts as a fraction of the image, either way."""
    brightness_range: tuple[float, float]
    """Factor on the image, clipped to [0, 1]."""
    noise_range: float = 0.0
    """Normal noise is added whose standard deviation is up to this share of the image's range."""


def image_batches(
    images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, augmentation: Augmentation
) -> Callable[[int], tf.data.Dataset]:
    """Augmented batches for `skylight.training.fit.fit`, read from ``images`` as they are needed.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, W, C), uint8
        May be mapped from a file.
    labels : np.ndarray, shape (N, ...)
    batch_size, seed : int
        The order and the changes of every epoch depend on the seed and the epoch alone.
    """
    steps = -(-len(images) // batch_size)
    labels = tf.constant(labels)
    order = shuffled(len(images), batch_size, seed)

    def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = tf.numpy_function(lambda rows: images[rows], [rows], tf.uint8, stateful=False)
        drawn.set_shape([None, *images.shape[1:]])
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        return augment(tf.cast(drawn, tf.float32) / 255, seeds, augmentation), tf.gather(labels, rows)

    def from_epoch(first: int) -> tf.data.Dataset:
        return (
            order(first).enumerate(start=first * steps).map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
        )

    return from_epoch


def flipped_batches(
    images: np.ndarray, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, batch_size: int, seed: int
) -> Callable[[int], tf.data.Dataset]:
    """Batches for `skylight.training.fit.fit`, each image left as it is or turned over along either axis or both.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, W, C), float32
        May be mapped from a file.
    rows : np.ndarray, shape (n,), int
        Which of the images to use.
    labels, weights : np.ndarray, shape (N,)
        Of each image; its weight in the loss.
    batch_size, seed : int
        The order and the flips of every epoch depend on the seed and the epoch alone.
    """
    steps = -(-len(rows) // batch_size)
    order, labels, weights = shuffled(len(rows), batch_size, seed), tf.constant(labels), tf.constant(weights)
    rows = tf.constant(rows)

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        chosen = tf.gather(rows, chosen)
        drawn = tf.numpy_function(lambda chosen: images[chosen], [chosen], tf.float32, stateful=False)
        drawn.set_shape([None, *images.shape[1:]])
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        turned = tf.random.stateless_uniform([2, tf.shape(drawn)[0], 1, 1, 1], seeds) < 0.5
        for axis in (0, 1):
            drawn = tf.where(turned[axis], tf.reverse(drawn, [axis + 1]), drawn)
        return drawn, tf.gather(labels, chosen), tf.gather(weights, chosen)

    def from_epoch(first: int) -> tf.data.Dataset:
        return (
            order(first).enumerate(start=first * steps).map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
        )

    return from_epoch


def plain_batches(images: np.ndarray, labels: np.ndarray | None, batch_size: int) -> tf.data.Dataset:
    """The images as they are, in [0, 1] and in their order, with their labels if any."""

    def batch(rows: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        drawn = tf.numpy_function(lambda rows: images[rows], [rows], tf.uint8, stateful=False)
        drawn.set_shape([None, *images.shape[1:]])
        scaled = tf.cast(drawn, tf.float32) / 255
        return scaled if labels is None else (scaled, tf.gather(tf.constant(labels), rows))

    return untuned(tf.data.Dataset.range(len(images)).batch(batch_size).map(batch).prefetch(2))


def augment(images: tf.Tensor, seeds: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Turn, flip, shift, brighten (B, H, W, C) float images and add noise; what moves in is the reflection."""
    shape = tf.shape(images)
    count, height, width = shape[0], tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    draws = tf.random.stateless_uniform([6, count], seeds, -1.0, 1.0)
    angle = draws[0] * np.float32(np.radians(augmentation.rotation_range))
    shift_x = draws[1] * augmentation.width_shift_range * width
    shift_y = draws[2] * augmentation.height_shift_range * height
    flip_x = tf.where((draws[3] < 0) & augmentation.horizontal_flip, -1.0, 1.0)
    flip_y = tf.where((draws[4] < 0) & augmentation.vertical_flip, -1.0, 1.0)
    a, b = flip_x * tf.cos(angle), -flip_x * tf.sin(angle)
    c, d = flip_y * tf.sin(angle), flip_y * tf.cos(angle)
    # From each output pixel to where it comes from, about the centre.
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    offset_x = middle_x + shift_x - a * middle_x - b * middle_y
    offset_y = middle_y + shift_y - c * middle_x - d * middle_y
    zero = tf.zeros_like(a)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    low, high = augmentation.brightness_range
    factor = low + (high - low) * (draws[5] + 1) / 2
    bright = tf.clip_by_value(moved * factor[:, None, None, None], 0, 1)
    if not augmentation.noise_range:
        return bright
    axes = [1, 2, 3]
    spread = tf.reduce_max(bright, axes, keepdims=True) - tf.reduce_min(bright, axes, keepdims=True)
    level = tf.random.stateless_uniform([count, 1, 1, 1], seeds + 1, 0, augmentation.noise_range)
    return bright + level * spread * tf.random.stateless_normal(shape, seeds + 2)
