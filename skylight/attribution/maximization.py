"""Activation maximization: an input that a unit of the network answers to most."""

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.activation_maximization.callbacks import Callback
from tf_keras_vis.activation_maximization.regularizers import Norm, TotalVariation2D
from tf_keras_vis.utils.scores import CategoricalScore
from tqdm import tqdm

from skylight.attribution.scoring import score_model
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
    """Climb from noise to an image that maximises a unit (Erhan et al. 2009), by tf-keras-vis.

    RMSprop with steps of 1/255 of the value range, on the unit minus the regularisers.

    Parameters
    ----------
    model : keras.Model
        Functional model whose input has a fixed size; it is not changed.
    unit : int
        Which output: the score of a class or, with ``layer``, a unit of that layer. Of a spatial layer a unit is
        a channel, and its mean over positions is maximised.
    layer : str or None
        Name of a layer; ``None`` for the score.
    value_range : (float, float)
        Lowest and highest value of an input. The climb starts from uniform noise in the middle tenth.
    steps : int
        Steps of the climb.
    total_variation, norm : float
        Weights of the regularisers: total variation and mean absolute value, both a pixel.
    jitter : int
        Each step, the image is first rolled by up to this many pixels along both axes. 0 where the place of a
        pixel has a meaning, as in a dmdt image; a few pixels for pictures.
    seed : int
        Seed of the start and of the jitter.

    Returns
    -------
    array
        (H, W, C) float32 in ``value_range``.

    Raises
    ------
    InputError
        If layer or unit do not exist, an option is out of range, or the input has no fixed size.
    """
    network = _network(model, layer)
    low, high = value_range
    for name, fits, got in (
        (f"unit: must be 0 to {network.output_shape[-1] - 1}", 0 <= unit < network.output_shape[-1], unit),
        ("value_range: must rise", low < high, value_range),
        ("steps: must be at least 1", steps >= 1, steps),
        ("jitter: must be at least 0", jitter >= 0, jitter),
    ):
        if not fits:
            raise InputError(f"{name}, got {got}")
    random = np.random.default_rng(seed)
    start = low + (high - low) * random.uniform(0.45, 0.55, (1, *network.input_shape[1:]))

    def rolled(image):
        return tf.roll(image, random.integers(-jitter, jitter + 1, 2), axis=(1, 2))

    with tqdm(total=steps, desc="activation_maximization", unit="step", delay=3, leave=False) as bar:
        image = ActivationMaximization(network)(
            CategoricalScore(unit),
            tf.constant(start, tf.float32),
            input_range=(float(low), float(high)),
            input_modifiers=[rolled] if jitter else [],
            regularizers=[TotalVariation2D(total_variation), Norm(norm, p=1)],
            steps=steps,
            optimizer=keras.optimizers.RMSprop(learning_rate=(high - low) / 255, rho=0.999),
            callbacks=[_Progress(bar)],
        )
    return np.asarray(image[0], np.float32)


class _Progress(Callback):
    def __init__(self, bar: tqdm):
        self.bar = bar

    def __call__(self, *args, **kwargs) -> None:
        self.bar.update()


def _network(model: keras.Model, layer: str | None) -> keras.Model:
    scores = score_model(model)
    if None in scores.input_shape[1:]:
        raise InputError(f"model {model.name}: must take images of one size, got {scores.input_shape[1:]}")
    if layer is None:
        return scores
    names = [layer.name for layer in scores.layers]
    if layer not in names:
        raise InputError(f"layer: model {model.name} has no layer {layer!r}; it has {', '.join(names)}")
    return keras.Model(scores.inputs, scores.get_layer(layer).output)
