"""Names of the maps that explain a triplet. No TensorFlow is needed to know them."""

MAPS = ("gradcam", "saliency", "blanking", "deep_shap")
