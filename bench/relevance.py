"""LRP on a quarter-width Xception at 96 x 96 and on VGG6: against an ideal time, captum and zennit, and its memory.

The ideal time is that of three compiled forward and backward passes of the network on the same batch. captum and zennit
run the same network with the same weights (batch normalisation is folded before) in PyTorch, in the same process. This
part is skipped if they are not installed (bench/requirements.txt).
"""

import argparse
import gc
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bench.timing import medians
from skylight.attribution import lrp
from skylight.attribution.relevance import AlphaBeta, Epsilon
from skylight.attribution.relevance.canonizers import fold
from skylight.attribution.relevance.graph import Graph, Step, walk
from skylight.attribution.relevance.layers import Elementwise, Linear, MaxPool, Sum
from skylight.attribution.scoring import images_spec, score_model
from skylight.networks.applications import backbone
from skylight.networks.vgg6 import vgg6

RULES = {
    "epsilon": Epsilon(1e-6),
    "gamma": "gamma",
    "alpha 2, beta 1": AlphaBeta(2, 1),
    "epsilon_plus": "epsilon_plus",
    "epsilon_alpha2_beta1_flat": "epsilon_alpha2_beta1_flat",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    networks = {"VGG6": vgg6(), "Xception, width 0.25, 96 x 96": xception()}
    torch = pytorch()
    for name, model in networks.items():
        rng = np.random.default_rng(0)
        images = rng.random((options.images, *model.input_shape[1:]), dtype=np.float32)
        targets = np.zeros(options.images, np.int32)
        against_ideal(name, model, images, targets, options.repeats)
        if torch:
            against_pytorch(name, model, images, targets, options.repeats)
    leak(networks["VGG6"], options.calls)


def xception() -> keras.Model:
    """Return Xception of quarter width; its batch normalisation has random statistics, not the initial ones."""
    base = backbone(keras.applications.Xception, (96, 96, 3), width=0.25, pooling="avg")
    model = keras.Model(base.input, layers.Dense(37, activation="sigmoid", name="answers")(base.output))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.2, 0.6, layer.moving_variance.shape))
            layer.beta.assign(rng.normal(0, 0.1, layer.beta.shape))
    return model


def against_ideal(name: str, model: keras.Model, images: np.ndarray, targets: np.ndarray, repeats: int) -> None:
    scores = score_model(model)

    @tf.function(input_signature=[images_spec(model), tf.TensorSpec([None], tf.int32)])
    def forward_and_backward(images, targets):
        with tf.GradientTape() as tape:
            tape.watch(images)
            explained = tf.gather(scores(images, training=False), targets, axis=1, batch_dims=1)
        return tape.gradient(explained, images)

    seconds = medians(
        {"ideal": lambda: [forward_and_backward(images, targets).numpy() for _ in range(3)]}
        | {rule: lambda rule=rule: lrp(model, images, targets, rule=RULES[rule]) for rule in RULES},
        repeats,
    )
    print(f"\n{name}, {len(images)} images; ideal: 3 forward-plus-backward passes, {seconds['ideal']:.3g} s")
    for rule in RULES:
        print(f"  lrp {rule:38s} {seconds[rule]:10.4g} s   {seconds[rule] / seconds['ideal']:8.3g} x ideal")


def against_pytorch(name: str, model: keras.Model, images: np.ndarray, targets: np.ndarray, repeats: int) -> None:
    graph = fold(walk(score_model(model)))
    captum, zennit = captum_lrp(graph), zennit_lrp(graph)
    pairs = {
        "epsilon": (Epsilon(1e-6), {"captum": captum, "zennit": lambda *a: zennit("epsilon", *a)}),
        "epsilon_plus": ("epsilon_plus", {"zennit": lambda *a: zennit("epsilon_plus", *a)}),
    }
    for title, (rule, theirs) in pairs.items():
        runs: dict[str, Callable] = {"ours": lambda rule=rule: lrp(model, images, targets, rule=rule)}
        runs |= {library: lambda run=run: run(images, targets) for library, run in theirs.items()}
        maps = {library: run() for library, run in runs.items()}
        seconds = medians(runs, repeats)
        print(f"{name}, {title}, same weights")
        for library in runs:
            difference = np.abs(maps[library] - maps["ours"]).max() / np.abs(maps["ours"]).max()
            print(
                f"  {library:42s} {seconds[library]:10.4g} s   {seconds[library] / seconds['ours']:8.3g} x ours   "
                f"largest difference {difference:.1e} of the largest relevance"
            )


def pytorch() -> types.ModuleType | None:
    """Import torch, captum and zennit, or return None. zennit needs the names of two classes of torchvision."""
    try:
        import torch

        if "torchvision" not in sys.modules:
            for module in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
                sys.modules[module] = types.ModuleType(module)
            for name in ("Bottleneck", "BasicBlock"):
                setattr(sys.modules["torchvision.models.resnet"], name, type(name, (torch.nn.Module,), {}))
        import captum.attr  # noqa: F401
        import zennit.composites  # noqa: F401
    except ImportError as error:
        print(f"no PyTorch libraries to compare with: {error}")
        return None
    torch.set_num_threads(os.cpu_count())
    return torch


def network(graph: Graph, add: Callable):
    """Build the network of a graph in PyTorch, in NCHW; ``add`` makes the module that adds two values."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = torch.nn.ModuleList([torch_module(step, add) for step in graph.steps])

        def forward(self, images):
            values = {0: images}
            for step, module in zip(graph.steps, self.rows, strict=True):
                xs = [values[value] for value in step.inputs]
                y = module(*xs)
                if isinstance(step.layer, layers.GlobalAveragePooling2D | layers.Flatten):
                    y = y.permute(0, 2, 3, 1).flatten(1)  # the order of Keras
                values[step.output] = y
            return values[graph.output]

    return Network().eval()


def torch_module(step: Step, add: Callable):
    """Return the module of one step. It may consist of a padding, which has no rule, and a layer."""
    import torch

    layer, part = step.layer, step.part
    if isinstance(part, Sum):
        return add()
    if isinstance(part, Elementwise):
        return torch.nn.ReLU()
    if isinstance(part, MaxPool):
        return Padded(layer, layer.pool_size, step.shape, -1e30, torch.nn.MaxPool2d(layer.pool_size, layer.strides))
    if isinstance(part, Linear) and part.weighted:
        kernel, bias = (torch.tensor(np.asarray(value)) for value in part.weights(tf.float32))
        if isinstance(layer, layers.Dense):
            module = torch.nn.Linear(*kernel.shape)
            kernel = kernel.T
        elif part.output_axes == 2:
            module = torch.nn.Conv2d(kernel.shape[2], kernel.shape[2], kernel.shape[:2], groups=kernel.shape[2])
            kernel = kernel.permute(2, 3, 0, 1)
        else:
            strides = 1 if isinstance(layer, layers.SeparableConv2D) else layer.strides
            module = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2], strides)
            kernel = kernel.permute(3, 2, 0, 1)
        module.weight.data, module.bias.data = kernel.contiguous(), bias.expand(len(module.bias)).contiguous()
        return module if isinstance(layer, layers.Dense) else Padded(layer, module.kernel_size, step.shape, 0, module)
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return torch.nn.AvgPool2d(step.shape[1:3])
    return torch.nn.Dropout()  # dropout, folded batch normalisation, flattening: nothing in evaluation mode


def Padded(layer, window, shape, fill, module):
    """Pad as TensorFlow does ("same" has the larger margin at the end), then apply a module."""
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(torch.nn.functional.pad(x, margins, value=fill) if any(margins) else x)

    margins = []
    for size, pool, stride in zip(shape[2:0:-1], window[::-1], module_strides(module), strict=True):
        missing = max(0, (-(-size // stride) - 1) * stride + pool - size) if layer.padding == "same" else 0
        margins += [missing // 2, missing - missing // 2]
    return Module()


def module_strides(module) -> tuple[int, int]:
    """Return the strides of a module along columns and rows."""
    return module.stride[::-1] if isinstance(module.stride, tuple) else (module.stride, module.stride)


def captum_lrp(graph: Graph) -> Callable:
    """Return LRP-epsilon of captum as a function of images and targets."""
    import torch
    from captum.attr import LRP
    from captum.attr._utils.custom_modules import Addition_Module
    from captum.attr._utils.lrp_rules import EpsilonRule

    model = network(graph, Addition_Module)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.AvgPool2d | Addition_Module):
            module.rule = EpsilonRule(epsilon=1e-6)

    def run(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        x = torch.tensor(images).permute(0, 3, 1, 2).contiguous().requires_grad_()
        relevance = LRP(model).attribute(x, target=torch.tensor(targets, dtype=torch.int64))
        return relevance.detach().permute(0, 2, 3, 1).numpy()

    return run


def zennit_lrp(graph: Graph) -> Callable:
    """Return composites of zennit (epsilon for all layers, EpsilonPlus) as a function of name, images and targets."""
    import torch
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlus, LayerMapComposite, layer_map_base
    from zennit.layer import Sum as ZennitSum
    from zennit.rules import Epsilon as ZennitEpsilon
    from zennit.types import Convolution

    class Stacked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sum = ZennitSum(dim=-1)

        def forward(self, *xs):
            return self.sum(torch.stack(xs, dim=-1))

    everywhere = [(Convolution, ZennitEpsilon(1e-6)), (torch.nn.Linear, ZennitEpsilon(1e-6))]
    composites = {
        "epsilon": LayerMapComposite(layer_map=layer_map_base(1e-6) + everywhere),
        "epsilon_plus": EpsilonPlus(epsilon=1e-6, stabilizer=1e-6),
    }
    model = network(graph, Stacked)

    def run(composite: str, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        x = torch.tensor(images).permute(0, 3, 1, 2).contiguous().requires_grad_()

        def start(scores):
            return torch.nn.functional.one_hot(torch.tensor(targets, dtype=torch.int64), scores.shape[1]) * scores

        with Gradient(model, composites[composite]) as attributor:
            _, relevance = attributor(x, start)
        return relevance.permute(0, 2, 3, 1).numpy()

    return run


def leak(model: keras.Model, calls: int) -> None:
    """Print how much resident memory grows over many calls with one image, with all rules in turn."""
    image = np.random.default_rng(0).random((1, *model.input_shape[1:]), dtype=np.float32)
    rules = list(RULES.values())
    for call in range(50):
        lrp(model, image, rule=rules[call % len(rules)])
    before = resident()
    for call in range(calls):
        lrp(model, image, rule=rules[call % len(rules)])
    print(
        f"\n{calls} LRP calls: resident memory grew by {(resident() - before) / 2**20:.1f} MiB (target: less than 20)"
    )


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
