"""Maps of what makes a galaxy metal-poor or metal-rich for the network, and control maps that need no network."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from skylight.attribution import METHODS
from skylight.evaluation.controls import edges, random_maps
from skylight.galaxies.photometry import fluxes
from skylight.networks.metallicity_cnn import LAST
from skylight.training.augmentation import plain_batches

BATCH = 64
OPTIONS = {
    "patch_occlusion": {"patch": 8, "stride": 4},
    "rise": {"masks": 500},
    "scorecam": {"layer": LAST},
}
"""Options of methods whose defaults need minutes for an image of 96 x 96."""
NOT_USED = ("blanking", "kernel_shap")
"""They need one pass for each of 9,216 pixels, or for each of 2,048 coalitions and each image of the background.
`patch_occlusion` asks the same of patches."""
OF_PROBABILITY = ("rise", "scorecam")
"""Methods that weight masks or channels by the score. Most have negative log-odds, which makes a map of 0."""
LRP_RULES = ("epsilon", "epsilon_plus")
CENTRE = 0.15
"""Standard deviation of the Gaussian of the control ``centre``, in widths of the image."""


def class_activation_maps(model: keras.Model, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Compute Grad-CAM of the logits of all classes without its ReLU, in one forward pass.

    Between the last block and a logit are only a mean over the pixels and a dense layer, so the gradient of the logit
    is the same in every pixel: the weight of the class over the number of pixels. Grad-CAM (Selvaraju et al. 2017) is
    then the class activation map of Zhou et al. 2016 (arXiv:1512.04150), as its authors show.

    Parameters
    ----------
    model : keras.Model
        Of `skylight.networks.metallicity_cnn`.
    images : np.ndarray, shape (N, H, W, 3), uint8
        May be mapped from a file.
    rows : np.ndarray of int, shape (n,)

    Returns
    -------
    np.ndarray, shape (n, H, W, K), float32
        The sum over the channels; its positive part is Grad-CAM. Summed over the pixels it is the logit without its
        bias.
    """
    last = model.get_layer(LAST).output
    kernel = model.get_layer("answers").kernel / (last.shape[1] * last.shape[2])
    maps = keras.Model(model.inputs, last @ kernel)
    return maps.predict(plain_batches(images, rows, None, BATCH), verbose=0)


def gradients(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Compute the gradient of the output of a regression with respect to its inputs, summed over the colours.

    Unlike `skylight.attribution.saliency` it has a sign: positive where more light means more metals.

    Parameters
    ----------
    model : keras.Model
        With one output.
    inputs : np.ndarray, shape (N, H, W, 3), float32

    Returns
    -------
    np.ndarray, shape (N, H, W), float32
    """
    images = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=False)
    return tape.gradient(outputs, images).numpy().sum(axis=-1)


def methods(background: np.ndarray, score: str, seed: int) -> dict[str, Callable]:
    """Return all methods of the library but `NOT_USED`, with their options, by name: ``(model, inputs, targets)``.

    Parameters
    ----------
    background : np.ndarray, shape (n, H, W, 3), float32
        Images that SHAP compares with.
    score : str
        What the methods explain (`skylight.attribution.scoring.Score`), but for `OF_PROBABILITY`.
    seed : int
        Of the methods with noise.
    """
    chosen = {name: {"score": score} | OPTIONS.get(name, {}) for name in METHODS if name not in (*NOT_USED, "lrp")}
    for name in OF_PROBABILITY:
        chosen[name]["score"] = "probability"
    for name in ("deep_shap", "gradient_shap"):
        chosen[name]["background"] = background
    for name in ("smoothgrad", "vargrad", "rise", "gradient_shap"):
        chosen[name]["seed"] = seed
    found = {name: _with(name, options) for name, options in chosen.items()}
    return found | {f"lrp {rule}": _with("lrp", {"score": score, "rule": rule}) for rule in LRP_RULES}


def _with(name: str, options: dict) -> Callable:
    return lambda model, inputs, targets: METHODS[name](model, inputs, targets, **options)


def controls(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return maps (N, H, W) by name that take a galaxy for metal-poor where it is blue, faint or far out; all >= 0.

    ``colour`` is r - g of the picture (smoothed, since it is noise where there is no light), ``brightness`` one minus
    its luminance, ``centre`` one minus a Gaussian, ``edges`` a Sobel filter, ``random`` noise.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, W, 3), uint8
    seed : int
    """
    size = images.shape[1]
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / size
    centre = np.exp(-(x**2 + y**2) / (2 * CENTRE**2))
    scaled = images.astype(np.float32) / 255
    return {
        "colour": np.stack([_blueness(image) for image in images]),
        "brightness": 1 - scaled.mean(axis=-1),
        "centre": np.broadcast_to(1 - centre, images.shape[:3]),
        "edges": edges(None, scaled).sum(axis=-1),
        "random": random_maps(seed)(None, scaled)[..., 0],
    }


def _blueness(image: np.ndarray) -> np.ndarray:
    """Return r - g of each pixel of a picture, (H, W), in magnitudes above the least one."""
    g, r, _ = np.moveaxis(gaussian_filter(fluxes(image), (1, 1, 0)), -1, 0)
    blueness = 2.5 * np.log10(np.maximum(g, 1e-4) / np.maximum(r, 1e-4))
    return blueness - blueness.min()
