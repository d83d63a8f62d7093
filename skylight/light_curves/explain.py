"""The four published explanations of a dmdt image."""

import numpy as np

from skylight.attribution import blanking, deep_shap, gradcam, saliency

MAPS = ("gradcam", "saliency", "blanking", "deep_shap")


def explain_images(model, images: np.ndarray, targets: np.ndarray | None, background: np.ndarray) -> dict:
    """Compute the four maps of each image.

    Parameters
    ----------
    model : keras.Model
        The periodic CNN.
    images : (N, H, W, 1) float32
    targets : (N,) int or None
        Class to explain; ``None`` explains the predicted class.
    background : (B, H, W, 1) float32
        Reference images of SHAP.

    Returns
    -------
    dict
        Name, one of `MAPS` -> (N, H, W) float32.
    """
    maps = {
        "gradcam": gradcam(model, images, targets, layer="conv2d2"),
        "saliency": saliency(model, images, targets),
        "blanking": blanking(model, images, targets),
        "deep_shap": deep_shap(model, images, targets, background=background),
    }
    return {name: values[..., 0] for name, values in maps.items()}
