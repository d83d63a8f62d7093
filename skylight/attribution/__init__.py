"""Explanations of a network's decision. Every method is a function with the same first arguments.

For example, ``smoothgrad(model, inputs, targets, samples=50, seed=0)`` returns maps (N, H, W, C) float32. C is the
number of channels of the inputs for methods with one map per channel, and 1 for the others. For a model with several
inputs, ``inputs`` and the result are lists or dicts (`skylight.attribution.several_inputs`). Import a method by its
name (``from skylight.attribution import smoothgrad``). Use `METHODS` only for a name that was read from a parameter
file.

The module of a function, and with it TensorFlow, is imported when the function is first used (PEP 562).
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

_METHODS = {
    "saliency": "gradients",
    "gradient_x_input": "gradients",
    "smoothgrad": "gradients",
    "vargrad": "gradients",
    "integrated_gradients": "gradients",
    "guided_backpropagation": "guided",
    "deconvnet": "guided",
    "gradcam": "cam",
    "gradcam_plus_plus": "cam",
    "scorecam": "cam",
    "layercam": "cam",
    "hirescam": "cam",
    "xgradcam": "cam",
    "ablationcam": "cam",
    "eigencam": "cam",
    "guided_gradcam": "guided",
    "blanking": "occlusion",
    "patch_occlusion": "occlusion",
    "rise": "occlusion",
    "kernel_shap": "coalitions",
    "deep_shap": "shapley",
    "gradient_shap": "shapley",
    "lrp": "relevance",
}
_MODULES = _METHODS | {
    "completeness_gap": "gradients",
    "lighting": "occlusion",
    "background": "shapley",
    "lrp_layerwise": "relevance",
    "activation_maximization": "maximization",
    "symmetrised": "symmetries",
    "by_engine": "engines",
    "Pix2Pix": "pix2pixai",
    "class_map": "pix2pixai",
}
"""Name -> the module that defines it. The imports below repeat the list for editors and type checkers."""

if TYPE_CHECKING:
    from skylight.attribution.cam import (
        ablationcam,
        eigencam,
        gradcam,
        gradcam_plus_plus,
        hirescam,
        layercam,
        scorecam,
        xgradcam,
    )
    from skylight.attribution.coalitions import kernel_shap
    from skylight.attribution.engines import by_engine
    from skylight.attribution.gradients import (
        completeness_gap,
        gradient_x_input,
        integrated_gradients,
        saliency,
        smoothgrad,
        vargrad,
    )
    from skylight.attribution.guided import deconvnet, guided_backpropagation, guided_gradcam
    from skylight.attribution.maximization import activation_maximization
    from skylight.attribution.occlusion import blanking, lighting, patch_occlusion, rise
    from skylight.attribution.pix2pixai import Pix2Pix, class_map
    from skylight.attribution.relevance import lrp, lrp_layerwise
    from skylight.attribution.shapley import background, deep_shap, gradient_shap
    from skylight.attribution.symmetries import symmetrised


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


class _Methods(Mapping):
    """A read-only mapping from the name of a method to its function."""

    def __getitem__(self, name: str) -> Callable:
        if name not in _METHODS:
            raise KeyError(name)
        return __getattr__(name)

    def __contains__(self, name: object) -> bool:  # that of Mapping would import the module
        return name in _METHODS

    def __iter__(self) -> Iterator[str]:
        return iter(_METHODS)

    def __len__(self) -> int:
        return len(_METHODS)


METHODS: Mapping[str, Callable] = _Methods()
"""All methods that take (model, inputs, targets), by name."""
