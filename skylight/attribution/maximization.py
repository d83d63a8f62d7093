"""Activation maximization: optimise an input to maximise a unit of the network."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from skylight.attribution.scoring import cached_per_model, images_spec, layer_outputs, score_model
from skylight.errors import InputError


def activation_maximization(
    model: keras.Model,
    unit: int,
    *,
    layer: str | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    steps: int = 200,
    total_variation: float = 1.0,
    norm: float = 0.3,
    jitter: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Optimise an image, starting from noise, to maximise a unit (Erhan et al. 2009, Univ. Montreal TR 1341).

    RMSprop (decay 0.999, learning rate 1/255 of the value range) maximises the unit minus the regularisers. At the end
    the image is clipped to the value range. Regularisers, jitter and result are those of tf-keras-vis; here a step is
    compiled, there it runs eagerly.

    Parameters
    ----------
    model : keras.Model
        Functional model whose input has a fixed size; it is not changed.
    unit : int
        Index of the class or, with ``layer``, of a unit of that layer. A unit of a spatial layer is a channel; its
        mean over positions is maximised.
    layer : str or None
        Name of a layer; ``None`` maximises the score of a class.
    value_range : (float, float)
        Lowest and highest value of an input. The start is uniform noise in the middle tenth of this range.
    steps : int
        Number of optimisation steps.
    total_variation, norm : float
        Weights of the regularisers: total variation and mean absolute value, both per pixel.
    jitter : int
        Before each step the image is rolled by up to this many pixels along both axes. Use 0 where the position of
        a pixel has a meaning, as in a dmdt image, and a few pixels for pictures.
    seed : int
        Seed of the initial noise and of the jitter.

    Returns
    -------
    array
        (H, W, C) float32 in ``value_range``.

    Raises
    ------
    InputError
        If the layer or unit does not exist, an option is out of range, or the input has no fixed size.
    """
    network = unit_model(model, layer)
    low, high = value_range
    for name, fits, got in (
        (f"unit: must be 0 to {network.output_shape[-1] - 1}", 0 <= unit < network.output_shape[-1], unit),
        ("value_range: the first value must be below the second", low < high, value_range),
        ("steps: must be at least 1", steps >= 1, steps),
        ("jitter: must be at least 0", jitter >= 0, jitter),
    ):
        if not fits:
            raise InputError(f"{name}, got {got}")
    random = np.random.default_rng(seed)
    image = low + (high - low) * random.uniform(0.45, 0.55, (1, *network.input_shape[1:]))
    image, memory = tf.constant(image, tf.float32), tf.zeros(image.shape)
    step = cached_per_model(model, _step, layer)
    options = [tf.constant(number, tf.float32) for number in ((high - low) / 255, total_variation, norm)]
    for _ in tqdm(range(steps), desc="activation_maximization", unit="step", delay=3, leave=False):
        shift = random.integers(-jitter, jitter + 1, 2, dtype=np.int32)
        image, memory = step(image, memory, tf.constant(unit), shift, *options)
    return np.clip(image[0].numpy(), low, high, dtype=np.float32)


def _step(model: keras.Model, layer: str | None) -> Callable:
    """Compile image (1, H, W, C), memory, unit, shift (2,), rate, weights -> next image and memory.

    The memory is the running mean of the squared gradient in RMSprop.
    """
    network = unit_model(model, layer)
    number, image = tf.TensorSpec([]), images_spec(model)

    @tf.function(
        input_signature=[image, image, tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32), *[number] * 3]
    )
    def run(image, memory, unit, shift, rate, total_variation, norm):
        image = tf.roll(image, shift, axis=[1, 2])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            height = tf.reduce_mean(tf.gather(network(image, training=False), unit, axis=-1))
            roughness = tf.image.total_variation(image)[0] / tf.cast(tf.size(image), tf.float32)
            descent = total_variation * roughness + norm * tf.reduce_mean(tf.abs(image)) - height
        slope = tape.gradient(descent, image)
        memory = 0.999 * memory + 0.001 * slope**2
        return image - rate * slope * tf.math.rsqrt(memory + 1e-7), memory

    return run


def unit_model(model: keras.Model, layer: str | None = None) -> keras.Model:
    """Return the network up to the units that can be maximised: the logits, or the output of a layer.

    Raises
    ------
    InputError
        If there is no such layer, or the input has no fixed size.
    """
    scores = score_model(model)
    if None in scores.input_shape[1:]:
        raise InputError(f"model {model.name}: must take images of a fixed size, got {scores.input_shape[1:]}")
    if layer is None:
        return scores
    outputs = layer_outputs(model)
    if layer not in outputs:
        raise InputError(f"layer: model {model.name} has no layer {layer!r}; it has {', '.join(outputs)}")
    return keras.Model(scores.inputs, outputs[layer])
