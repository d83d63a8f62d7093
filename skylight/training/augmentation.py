"""Random rotations, flips, shifts, brightness and noise of images, and batches of images that stream from a file."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from skylight.params.bars import Augmentation
from skylight.training.fit import shuffled, untuned


def image_batches(
    images: np.ndarray, rows: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, augmentation: Augmentation
) -> Callable[[int], tf.data.Dataset]:
    """Augmented batches for `skylight.training.fit.fit`, read from ``images`` as they are needed.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, W, C), uint8
        May be mapped from a file.
    rows : np.ndarray, shape (n,), int
        Images to use.
    labels : np.ndarray, shape (N, ...)
        Of each image.
    batch_size, seed : int
        The order and the changes of an epoch depend on the seed and the epoch alone.
    augmentation : Augmentation
    """
    labels = tf.constant(labels)

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        return augment(_scaled(images, chosen), seeds, augmentation), tf.gather(labels, chosen)

    return _batches(rows, batch_size, seed, batch)


def flipped_batches(
    images: np.ndarray, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, batch_size: int, seed: int
) -> Callable[[int], tf.data.Dataset]:
    """Batches for `skylight.training.fit.fit`; each image is flipped at random along either axis or both.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, W, C), float32
        May be mapped from a file.
    rows : np.ndarray, shape (n,), int
        Images to use.
    labels, weights : np.ndarray, shape (N,)
        Of each image; its weight in the loss.
    batch_size, seed : int
        The order and the flips of an epoch depend on the seed and the epoch alone.
    """
    labels, weights = tf.constant(labels), tf.constant(weights)

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        drawn = _read(images, chosen)
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        turned = tf.random.stateless_uniform([2, tf.shape(drawn)[0], 1, 1, 1], seeds) < 0.5
        for axis in (0, 1):
            drawn = tf.where(turned[axis], tf.reverse(drawn, [axis + 1]), drawn)
        return drawn, tf.gather(labels, chosen), tf.gather(weights, chosen)

    return _batches(rows, batch_size, seed, batch)


def dihedral_batches(
    images: np.ndarray, rows: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, rotation: float
) -> Callable[[int], tf.data.Dataset]:
    """Batches for `skylight.training.fit.fit` of images in [0, 1], turned by quarters, reflected, and turned a little.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, H, C), uint8
        May be mapped from a file.
    rows : np.ndarray, shape (n,), int
        Images to use.
    labels : np.ndarray, shape (N, ...)
        Of each image.
    batch_size, seed : int
        The order and the changes of an epoch depend on the seed and the epoch alone.
    rotation : float
        Largest angle of the last turn, degrees; beyond the image is its reflection.
    """
    labels = tf.constant(labels)
    small = Augmentation(
        rotation_range=rotation,
        horizontal_flip=True,
        vertical_flip=True,
        width_shift_range=0.0,
        height_shift_range=0.0,
        brightness_range=[1.0, 1.0],
        noise_range=0.0,
    )

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = _scaled(images, chosen)
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        transposed = tf.random.stateless_uniform([tf.shape(drawn)[0], 1, 1, 1], seeds + 3) < 0.5
        drawn = tf.where(transposed, tf.transpose(drawn, [0, 2, 1, 3]), drawn)  # with both flips: all eight
        return augment(drawn, seeds, small), tf.gather(labels, chosen)

    return _batches(rows, batch_size, seed, batch)


def plain_batches(images: np.ndarray, rows: np.ndarray, labels: np.ndarray | None, batch_size: int) -> tf.data.Dataset:
    """The images of some rows in [0, 1], in the order of the rows, with their labels if there are any.

    The parameters are those of `image_batches`.
    """

    def batch(chosen: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        scaled = _scaled(images, chosen)
        return scaled if labels is None else (scaled, tf.gather(tf.constant(labels), chosen))

    rows = tf.constant(rows, tf.int64)
    return untuned(tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).map(batch).prefetch(2))


def _batches(rows: np.ndarray, batch_size: int, seed: int, batch: Callable) -> Callable[[int], tf.data.Dataset]:
    """Batches of the rows in a new order each epoch; ``batch(step, rows)`` makes one of them."""
    steps, order = -(-len(rows) // batch_size), shuffled(len(rows), batch_size, seed)
    rows = tf.constant(rows, tf.int64)

    def from_epoch(first: int) -> tf.data.Dataset:
        numbered = order(first).enumerate(start=first * steps)
        made = numbered.map(
            lambda step, places: batch(step, tf.gather(rows, places)), num_parallel_calls=2, deterministic=True
        )
        return made.prefetch(2)

    return from_epoch


def _read(images: np.ndarray, rows: tf.Tensor) -> tf.Tensor:
    drawn = tf.numpy_function(lambda rows: images[rows], [rows], images.dtype, stateful=False)
    drawn.set_shape([None, *images.shape[1:]])
    return drawn


def _scaled(images: np.ndarray, rows: tf.Tensor) -> tf.Tensor:
    return tf.cast(_read(images, rows), tf.float32) / 255


def augment(images: tf.Tensor, seeds: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Rotate, flip, shift, brighten (B, H, W, C) float images and add noise; the image continues as its reflection."""
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
    # Maps each output pixel to its place in the input, about the centre.
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
