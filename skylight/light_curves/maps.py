"""Names of the maps that explain a dmdt image. No TensorFlow is needed to know them."""

MAPS = ("gradcam", "hirescam", "saliency", "blanking", "deep_shap")
DRAWN = MAPS[1:]
"""The maps in figures. Grad-CAM is 0 everywhere for many objects: it takes the mean of the gradients over all cells,
which is negative for most channels. HiResCAM, of the same layer, does not take the mean."""
