"""Explanations of a network's answer: every method a function of one shape, found by name in `METHODS`.

``METHODS["smoothgrad"](model, inputs, targets, samples=50, seed=0)`` gives maps (N, H, W, C) float32, where C is
the number of channels of the inputs for methods that tell channels apart and 1 for those that do not.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping

_HOMES = {
    "saliency": "gradients",
    "gradient_x_input": "gradients",
    "smoothgrad": "gradients",
    "vargrad": "gradients",
    "integrated_gradients": "gradients",
    "guided_backpropagation": "gradients",
    "deconvnet": "gradients",
    "gradcam": "cam",
    "gradcam_plus_plus": "cam",
    "scorecam": "cam",
    "layercam": "cam",
    "blanking": "occlusion",
    "patch_occlusion": "occlusion",
    "rise": "occlusion",
    "deep_shap": "shapley",
    "gradient_shap": "shapley",
    "lrp": "relevance",
}


class _Methods(Mapping):
    """Name -> method; its module, and with it TensorFlow, is imported when the method is asked for."""

    def __getitem__(self, name: str) -> Callable:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


METHODS: Mapping[str, Callable] = _Methods()
