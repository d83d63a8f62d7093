"""Explanations: `skylight.attribution` against tf-keras-vis, shap, captum, and an ideal time.

The ideal time is that of the passes through the network that a method needs, forward or forward and backward
(``tf.function`` and tape, gradients of images only), at the fastest batch size. PyTorch comparisons run only if
``bench/requirements.in`` is installed. To run some comparisons: ``python -m bench.attribution smoothgrad blanking``.
"""

import functools
import os
import sys
import warnings
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import gaussian_filter
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.activation_maximization.input_modifiers import Jitter
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.scores import CategoricalScore

from bench.timing import medians, report
from skylight.attribution import (
    METHODS,
    ablationcam,
    activation_maximization,
    blanking,
    deep_shap,
    gradcam,
    gradient_shap,
    hirescam,
    integrated_gradients,
    kernel_shap,
    patch_occlusion,
    saliency,
    smoothgrad,
)
from skylight.attribution.cam import spatial_layer
from skylight.attribution.engines import LIBRARIES, by_engine
from skylight.attribution.scoring import score_model
from skylight.evaluation.faithfulness import ROAD_SHARES, road
from skylight.galaxies.metal_maps import class_activation_maps
from skylight.networks.applications import backbone
from skylight.networks.metallicity_cnn import metallicity_cnn
from skylight.networks.periodic_cnn import periodic_cnn
from skylight.networks.vgg6 import vgg6

IMAGES = 8


def quarter_xception() -> keras.Model:
    base = backbone(keras.applications.Xception, (96, 96, 3), width=0.25, pooling="avg")
    return keras.Model(base.input, keras.layers.Dense(37, activation="sigmoid")(base.output), name="quarter_xception")


class Case:
    """A network with images and targets, and the fastest batch sizes of its passes."""

    def __init__(self, model: keras.Model):
        self.model = model
        self.images = np.random.default_rng(0).random((IMAGES, *model.input_shape[1:]), dtype=np.float32)
        self.targets = np.zeros(IMAGES, np.int32)
        scores = score_model(model)
        spec = tf.TensorSpec(scores.inputs[0].shape)

        @tf.function(input_signature=[spec])
        def forward(batch):
            return scores(batch, training=False)[:, 0]

        @tf.function(input_signature=[spec])
        def backward(batch):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(batch)
                score = scores(batch, training=False)[:, 0]
            return tape.gradient(score, batch)

        self._passes = {"forward": forward, "backward": backward}
        self.best = {kind: _best(lambda size, kind=kind: self.passes(kind, 256, size)) for kind in self._passes}

    def passes(self, kind: str, count: int, size: int | None = None) -> None:
        """Run ``count`` images forward (kind ``forward``) or forward and backward (kind ``backward``)."""
        size = size or self.best[kind]
        batch = tf.constant(np.resize(self.images, (size, *self.images.shape[1:])))
        for first in range(0, count, size):
            self._passes[kind](batch[: min(size, count - first)]).numpy()

    def explain(self, method: Callable, batch_size: int | None = None, **options) -> np.ndarray:
        size = batch_size or self.best["backward"]
        return method(self.model, self.images, self.targets, batch_size=size, **options)


def _best(run: Callable[[int], object], sizes: tuple[int, ...] = (16, 32, 64, 128)) -> int:
    """Return the batch size at which ``run`` is fastest."""
    costs = medians({size: functools.partial(run, size) for size in sizes}, 3)
    return min(costs, key=costs.get)


def compare_smoothgrad(case: Case) -> None:
    """Targets: 20 times as fast as tf-keras-vis image by image, 4 times as its best batch, 0.8 times as the ideal."""
    theirs, samples = Saliency(score_model(case.model)), 4  # of 32: all samples take the same time

    def library(count: int) -> None:
        images = np.resize(case.images, (count, *case.images.shape[1:]))
        theirs(CategoricalScore([0] * count), images, smooth_samples=samples)

    costs = medians({count: functools.partial(library, count) for count in (8, 32, 64)}, 2)
    best = min(costs, key=lambda count: costs[count] / count)
    seconds = medians(
        {
            "tf-keras-vis, image by image": lambda: library(1),
            f"tf-keras-vis, {best} images at once": lambda: library(best),
            f"ideal, 32 passes of {case.best['backward']} images": lambda: case.passes("backward", 32 * IMAGES),
            "skylight": lambda: case.explain(smoothgrad, samples=32),
        }
    )
    shares = (32 / samples, 32 / samples / best, 1 / IMAGES, 1 / IMAGES)
    seconds = {name: value * share for (name, value), share in zip(seconds.items(), shares, strict=True)}
    report(f"SmoothGrad, 32 samples, {case.model.name}, per image", seconds, "skylight")


def compare_integrated_gradients(case: Case) -> None:
    """Target: at least 0.7 times as fast as the ideal."""
    seconds = medians(
        {
            f"ideal, 32 passes of {case.best['backward']} images": lambda: case.passes("backward", 32 * IMAGES),
            "skylight": lambda: case.explain(integrated_gradients, steps=32),
        }
    )
    report(f"Integrated gradients, 32 steps, {IMAGES} images, {case.model.name}", seconds, "skylight")


def compare_log_odds(case: Case) -> None:
    """Target: the log-odds cost no more than the logit, up to the scatter of the times."""
    for method, count, options in ((gradcam, 64, {}), (saliency, 64, {}), (integrated_gradients, 8, {"steps": 32})):
        images, targets = np.resize(case.images, (count, *case.images.shape[1:])), np.zeros(count, np.int32)
        options |= {"batch_size": case.best["backward"]}
        scores = ("log_odds", "logit")
        seconds = medians(
            {score: functools.partial(method, case.model, images, targets, score=score, **options) for score in scores},
            15,
        )
        report(f"{method.__name__}, {count} images, {case.model.name}", seconds, "log_odds")


def compare_heatmaps(case: Case) -> None:
    """Target: each map of the periodic chapter at least 0.7 times as fast as the ideal number of passes."""
    count, background = 64, np.random.default_rng(1).random((20, *case.images.shape[1:]), dtype=np.float32)
    images, targets = np.resize(case.images, (count, *case.images.shape[1:])), np.zeros(count, np.int32)
    for method, kind, passes, options in (
        (gradcam, "forward", count, {"layer": "conv2d2"}),
        (hirescam, "forward", count, {"layer": "conv2d2"}),
        (saliency, "backward", count, {}),
        (blanking, "forward", count * (1 + images[0].size), {}),
        (deep_shap, "backward", count * len(background), {"background": background}),
    ):
        size = case.best[kind]
        seconds = medians(
            {
                f"ideal, {passes} passes {kind}": functools.partial(case.passes, kind, passes),
                "skylight": functools.partial(method, case.model, images, targets, batch_size=size, **options),
            }
        )
        report(f"{method.__name__}, {count} images, {case.model.name}", seconds, "skylight")


def compare_class_activation_maps(case: Case) -> None:
    """Target: Grad-CAM of both classes of the metallicity chapter at least 0.7 times as fast as a forward pass."""
    count = 200  # as many as the chapter explains; two forward passes and two backward ones is what was allowed
    images = (255 * np.resize(case.images, (count, *case.images.shape[1:]))).astype(np.uint8)
    seconds = medians(
        {
            f"ideal, {count} passes forward": lambda: case.passes("forward", count),
            "skylight": lambda: class_activation_maps(case.model, images, np.arange(count)),
        }
    )
    report(f"Grad-CAM of both classes, {count} images, {case.model.name}", seconds, "skylight")


def compare_road(case: Case) -> None:
    """Target: at most 4 times the ideal time; the rest is that of the equations of the imputation.

    The maps are smooth, as those of most methods are: the removed pixels lie together.
    """
    count = 64
    images, targets = np.resize(case.images, (count, *case.images.shape[1:])), np.zeros(count, np.int32)
    maps = gaussian_filter(np.random.default_rng(1).random(images.shape[:-1]), (0, 3, 3))
    passes, size = count * len(ROAD_SHARES), case.best["forward"]
    seconds = medians(
        {
            f"ideal, {passes} passes of {size}": lambda: case.passes("forward", passes),
            "skylight": lambda: road(case.model, images, targets, maps, batch_size=size),
        }
    )
    report(f"ROAD, {len(ROAD_SHARES)} shares, {count} images, {case.model.name}", seconds, "skylight")


def compare_gradcam(case: Case) -> None:
    """Target: at most 1.5 times the ideal time, one forward pass, because the layer is the last spatial one."""
    images, targets = np.resize(case.images, (64, *case.images.shape[1:])), np.zeros(64, np.int32)
    theirs, score = Gradcam(score_model(case.model)), CategoricalScore([0] * 64)
    seconds = medians(
        {
            "tf-keras-vis, all at once": lambda: theirs(score, images),
            f"ideal, a forward pass of {case.best['forward']} images": lambda: case.passes("forward", 64),
            "skylight": lambda: gradcam(case.model, images, targets, batch_size=case.best["forward"]),
        }
    )
    report(f"Grad-CAM, 64 images, {case.model.name}", seconds, "skylight")


def compare_ablationcam(case: Case) -> None:
    """Target: at most 2 times the ideal time: a forward pass, and one per channel of the layers after the layer."""
    scores = score_model(case.model)
    features = scores.get_layer(spatial_layer(case.model)).output
    rest, size = keras.Model(features, scores.outputs[0]), case.best["forward"]
    activations = tf.random.uniform((size, *features.shape[1:]))

    @tf.function(input_signature=[tf.TensorSpec(features.shape)])
    def after(batch):
        return rest(batch, training=False)

    count = IMAGES * (features.shape[-1] + 1)

    def passes() -> None:
        case.passes("forward", IMAGES)
        for first in range(0, count, size):
            after(activations[: min(size, count - first)]).numpy()

    seconds = medians(
        {
            f"ideal, {count} passes of {size} after the layer": passes,
            f"{count} passes of {size} of the whole network": lambda: case.passes("forward", count),
            "skylight": lambda: case.explain(ablationcam, size),
        }
    )
    report(f"Ablation-CAM, {IMAGES} images, {case.model.name}", seconds, "skylight")


def compare_captum(case: Case) -> None:
    """Target: not slower than captum with the same weights, for integrated gradients and occlusion."""
    try:
        import captum.attr
        import torch

        from bench.torch_copy import TorchCopy
    except ImportError as error:
        print(f"\nno comparison with PyTorch libraries ({error}): pip install -r bench/requirements.txt")
        return
    copy = TorchCopy(case.model)
    pictures = torch.from_numpy(np.ascontiguousarray(case.images.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        assert np.allclose(copy(pictures).numpy(), score_model(case.model)(case.images).numpy(), atol=1e-4)
    path, windows = captum.attr.IntegratedGradients(copy), captum.attr.Occlusion(copy)
    side = 12

    def integrated(size: int) -> torch.Tensor:
        return path.attribute(pictures, target=0, n_steps=32, method="riemann_middle", internal_batch_size=size)

    def occluded(count: int) -> torch.Tensor:
        window = {"sliding_window_shapes": (3, side, side), "strides": (3, side, side)}
        return windows.attribute(pictures, target=0, perturbations_per_eval=count, **window)

    ours, theirs = case.explain(integrated_gradients, steps=32), integrated(64).numpy().transpose(0, 2, 3, 1)
    assert np.allclose(ours, theirs, atol=1e-3 * np.abs(ours).max())
    size = _best(integrated)
    seconds = medians(
        {
            f"captum, batches of {size}": lambda: integrated(size),
            "skylight": lambda: case.explain(integrated_gradients, steps=32),
        }
    )
    report(f"Integrated gradients, 32 steps, {IMAGES} images, {case.model.name}", seconds, "skylight")

    ours, theirs = case.explain(patch_occlusion, patch=side, stride=side), occluded(8).numpy()[:, 0]
    assert np.allclose(ours[..., 0], theirs, atol=1e-3 * np.abs(ours).max())
    count = _best(occluded, (1, 4, 8, 16))
    seconds = medians(
        {
            f"captum, {count} windows at once": lambda: occluded(count),
            "skylight": lambda: case.explain(patch_occlusion, case.best["forward"], patch=side, stride=side),
        }
    )
    report(f"Occlusion, windows of {side} x {side}, {IMAGES} images, {case.model.name}", seconds, "skylight")


def compare_shapley(case: Case) -> None:
    """Target: Deep SHAP and expected gradients twice as fast as those of shap."""
    import shap

    background = np.random.default_rng(1).random((50, *case.images.shape[1:]), dtype=np.float32)
    some, scores = case.images[:2], score_model(case.model)
    targets = scores(some).numpy().argmax(axis=1)
    size = case.best["backward"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deep, sampled = shap.DeepExplainer(scores, background), shap.GradientExplainer(scores, background)
        seconds = medians(
            {
                "shap": lambda: deep.shap_values(some, ranked_outputs=1, check_additivity=False),
                "skylight": lambda: deep_shap(case.model, some, targets, background=background, batch_size=size),
            }
        )
        report(f"Deep SHAP, 2 images, background of 50, {case.model.name}", seconds, "skylight")
        seconds = medians(
            {
                "shap": lambda: sampled.shap_values(some, nsamples=200, ranked_outputs=1),
                "skylight": lambda: gradient_shap(
                    case.model, some, targets, background=background, samples=200, batch_size=size
                ),
            }
        )
        report(f"Expected gradients, 2 images, 200 samples, {case.model.name}", seconds, "skylight")


def compare_kernel_shap(case: Case) -> None:
    """Target: not slower than ``shap.KernelExplainer`` with as many coalitions, 12 groups of all pixels."""
    import shap

    count, shape = 12, case.images.shape[1:]
    labels = np.arange(np.prod(shape[:2])).reshape(shape[:2]) * count // np.prod(shape[:2])
    background = np.random.default_rng(1).random((10, *shape), dtype=np.float32)
    image, samples, scores = case.images[:1], 512, score_model(case.model)
    size = case.best["forward"]

    def of_groups(rows: np.ndarray) -> np.ndarray:
        """Answer rows of group numbers: 0 is the image, 1 + i is background image i."""
        choices = np.concatenate([image, background])
        pixels = np.take_along_axis(rows.astype(int), labels.reshape(1, -1), axis=1).reshape(-1, *labels.shape)
        images = choices[pixels, *np.indices(labels.shape)]
        return scores.predict(images, batch_size=size, verbose=0)[:, :1]

    members = np.repeat(1 + np.arange(len(background))[:, None], count, axis=1)
    explainer = shap.KernelExplainer(of_groups, members)
    seconds = medians(
        {
            "shap": lambda: explainer.shap_values(np.zeros((1, count)), nsamples=samples, l1_reg=False, silent=True),
            "skylight": lambda: kernel_shap(
                case.model,
                image,
                0,
                groups=labels,
                background=background,
                samples=samples,
                score="logit",
                batch_size=size,
            ),
        }
    )
    report(
        f"Kernel SHAP, {count} groups, {samples} coalitions, background of 10, {case.model.name}", seconds, "skylight"
    )


def compare_blanking(case: Case) -> None:
    """Target: 0.7 times as many images per second as ``model.predict`` at its fastest batch size."""
    variants = np.repeat(case.images, case.images[0].size, axis=0)

    def predict(size: int) -> None:
        case.model.predict(variants, batch_size=size, verbose=0)

    best = _best(predict, (256, 512, 1024, 2048))
    seconds = medians(
        {
            f"model.predict, batches of {best}": lambda: predict(best),
            "skylight": lambda: blanking(case.model, case.images, case.targets),
        }
    )
    report(f"Blanking, {IMAGES} dmdt images of 528 cells, {case.model.name}", seconds, "skylight")
    print(f"  {len(variants) / seconds['skylight']:,.0f} images/s")


def compare_maximization(case: Case) -> None:
    """Target: activation maximization twice as fast as that of tf-keras-vis."""
    theirs, unit = ActivationMaximization(score_model(case.model)), CategoricalScore(0)
    seconds = medians(
        {
            "tf-keras-vis": lambda: theirs(unit, steps=50, input_modifiers=[Jitter(2)]),
            "skylight": lambda: activation_maximization(case.model, 0, steps=50, jitter=2),
        }
    )
    report(f"Activation maximization, 50 steps, {case.model.name}", seconds, "skylight")


def compare_engines(case: Case) -> None:
    """No target: every method by its engines, as `skylight.attribution.engines` calls them."""
    background = np.random.default_rng(1).random((20, *case.images.shape[1:]), dtype=np.float32)
    for engine, names in LIBRARIES.items():
        for name in [name for name in names if name in METHODS]:
            options = {"layer": "conv2d2"} if "cam" in name else {"background": background} if "shap" in name else {}
            options["score"] = "probability" if name == "scorecam" else "logit"
            ours = METHODS[name]
            seconds = medians(
                {
                    by: functools.partial(by_engine(by, ours), case.model, case.images, case.targets, **options)
                    for by in (engine, "skylight")
                }
            )
            report(f"{name} of the {options['score']}, {IMAGES} images, {case.model.name}", seconds, "skylight")


COMPARISONS = {
    quarter_xception: (
        compare_smoothgrad,
        compare_integrated_gradients,
        compare_log_odds,
        compare_road,
        compare_gradcam,
        compare_ablationcam,
        compare_captum,
    ),
    vgg6: (
        compare_smoothgrad,
        compare_integrated_gradients,
        compare_log_odds,
        compare_road,
        compare_gradcam,
        compare_ablationcam,
        compare_captum,
        compare_shapley,
        compare_kernel_shap,
    ),
    functools.partial(metallicity_cnn, 96, width=0.25): (compare_class_activation_maps,),
    functools.partial(periodic_cnn, 7): (
        compare_heatmaps,
        compare_log_odds,
        compare_road,
        compare_blanking,
        compare_shapley,
        compare_kernel_shap,
        compare_maximization,
        compare_engines,
    ),
}


def main() -> None:
    chosen = sys.argv[1:]
    known = {_name(each) for comparisons in COMPARISONS.values() for each in comparisons}
    if unknown := set(chosen) - known:
        sys.exit(f"error: no comparison {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    for network, comparisons in COMPARISONS.items():
        comparisons = [each for each in comparisons if not chosen or _name(each) in chosen]
        if comparisons:
            keras.utils.set_random_seed(0)
            case = Case(network())
        for comparison in comparisons:
            comparison(case)


def _name(comparison: Callable) -> str:
    return comparison.__name__.removeprefix("compare_")


if __name__ == "__main__":
    main()
