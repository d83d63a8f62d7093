"""The four published explanations of a triplet: Grad-CAM, saliency, blanking and SHAP (braXAI)."""

import numpy as np

from skylight.attribution import blanking, deep_shap, gradcam, saliency


def explain_triplets(
    model, triplets: np.ndarray, targets: np.ndarray | None, background: np.ndarray, score: str
) -> dict:
    """Compute the four maps of each triplet.

    Parameters
    ----------
    model : keras.Model
        VGG6, with one output or two.
    triplets : (N, 63, 63, 3) float32
    targets : (N,) int or None
        Class to explain; ``None`` for the predicted ones.
    background : (B, 63, 63, 3) float32
        Triplets that SHAP compares with.
    score : str
        What is explained, see `skylight.attribution.scoring.Score`. Blanking always explains the probability.

    Returns
    -------
    dict
        Name of the map (`MAPS`) -> (N, 63, 63, 1) float32; ``deep_shap`` has one map per cutout, (N, 63, 63, 3).
        Saliency is the maximum over the three cutouts, as published.
    """
    return {
        "gradcam": gradcam(model, triplets, targets, layer="conv4", score=score),
        "saliency": saliency(model, triplets, targets, score=score).max(axis=-1, keepdims=True),
        "blanking": blanking(model, triplets, targets),
        "deep_shap": deep_shap(model, triplets, targets, background=background, score=score),
    }
