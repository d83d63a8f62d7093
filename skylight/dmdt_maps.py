"""The four published explanations of a dmdt image."""

import numpy as np

from skylight.attribution import METHODS

MAPS = ("gradcam", "saliency", "blanking", "deep_shap")


def explain_images(model, images: np.ndarray, targets: np.ndarray | None, background: np.ndarray) -> dict:
    """Make the four maps of each image.

    Parameters
    ----------
    model : keras.Model
        The periodic CNN.
    images : (N, H, W, 1) float32
    targets : (N,) int or None
        Class to explain; ``None`` for the predicted ones.
    background : (B, H, W, 1) float32
        Images that SHAP compares with.

    Returns
    -------
    dict
        Name, a key of `MAPS` -> (N, H, W) float32.
    """
    options = {"gradcam": {"layer": "conv2d2"}, "deep_shap": {"background": background}}
    return {name: METHODS[name](model, images, targets, **options.get(name, {}))[..., 0] for name in MAPS}
