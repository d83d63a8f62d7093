"""The four published explanations of a dmdt image, and HiResCAM."""

from collections.abc import Mapping

import numpy as np

from skylight.attribution import blanking, deep_shap, gradcam, hirescam, saliency
from skylight.attribution.engines import by_engine


def explain_images(
    model,
    images: np.ndarray,
    targets: np.ndarray | None,
    background: np.ndarray,
    score: str,
    engines: Mapping[str, str] | None = None,
) -> dict:
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
    engines : mapping
        Name of a map -> what computes it (`skylight.attribution.engines.by_engine`), where this is not Skylight.

    Returns
    -------
    dict
        Name, one of `MAPS` -> (N, H, W) float32.
    """
    options = {
        "gradcam": {"layer": "conv2d2"},
        "hirescam": {"layer": "conv2d2"},
        "deep_shap": {"background": background},
    }
    maps = {}
    for method in (gradcam, hirescam, saliency, blanking, deep_shap):
        name = method.__name__
        explain = by_engine((engines or {}).get(name, "skylight"), method)
        explained = {} if method is blanking else {"score": score}
        maps[name] = explain(model, images, targets, **options.get(name, {}), **explained)[..., 0]
    return maps
