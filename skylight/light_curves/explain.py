"""The four published explanations of a dmdt image, and HiResCAM."""

import numpy as np

from skylight.attribution import blanking, deep_shap, gradcam, hirescam, saliency

MAPS = ("gradcam", "hirescam", "saliency", "blanking", "deep_shap")
DRAWN = MAPS[1:]
"""The maps in figures. Grad-CAM is 0 everywhere for many objects: it takes the mean of the gradients over all cells,
which is negative for most channels. HiResCAM, of the same layer, does not take the mean."""


def explain_images(model, images: np.ndarray, targets: np.ndarray | None, background: np.ndarray, score: str) -> dict:
    """Compute the maps of each image.

    Parameters
    ----------
    model : keras.Model
        The periodic CNN.
    images : (N, H, W, 1) float32
    targets : (N,) int or None
        Class to explain; ``None`` explains the predicted class.
    background : (B, H, W, 1) float32
        Reference images of SHAP.
    score : str
        What is explained, see `skylight.attribution.scoring.Score`. Blanking always explains the probability.

    Returns
    -------
    dict
        Name, one of `MAPS` -> (N, H, W) float32.
    """
    maps = {
        "gradcam": gradcam(model, images, targets, layer="conv2d2", score=score),
        "hirescam": hirescam(model, images, targets, layer="conv2d2", score=score),
        "saliency": saliency(model, images, targets, score=score),
        "blanking": blanking(model, images, targets),
        "deep_shap": deep_shap(model, images, targets, background=background, score=score),
    }
    return {name: values[..., 0] for name, values in maps.items()}
