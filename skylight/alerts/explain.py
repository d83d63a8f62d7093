"""The published explanations of a triplet: Grad-CAM, saliency and blanking of all of it, SHAP of each channel."""

import numpy as np

from skylight.attribution import blanking, deep_shap, gradcam, saliency

MAPS = ("gradcam", "saliency", "blanking", "deep_shap")


def explain_triplets(model, triplets: np.ndarray, targets: np.ndarray | None, background: np.ndarray) -> dict:
    """Make the four maps of each triplet.

    Parameters
    ----------
    model : keras.Model
        VGG6, with one output or two.
    triplets : (N, 63, 63, 3) float32
    targets : (N,) int or None
        Class to explain; ``None`` for the predicted ones.
    background : (B, 63, 63, 3) float32
        Triplets that SHAP compares with.

    Returns
    -------
    dict
        Name, a key of `MAPS` -> (N, 63, 63, 1) float32, of ``deep_shap`` (N, 63, 63, 3). Saliency is the largest of the
        three channels, as published.
    """
    return {
        "gradcam": gradcam(model, triplets, targets, layer="conv4"),
        "saliency": saliency(model, triplets, targets).max(axis=-1, keepdims=True),
        "blanking": blanking(model, triplets, targets),
        "deep_shap": deep_shap(model, triplets, targets, background=background),
    }
