"""A copy of a Keras network in PyTorch, with the same weights, to compare with captum.

Each layer is a module of its own, so that the library can attach hooks to it.
"""

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skylight.attribution.scoring import score_model


class TorchCopy(nn.Module):
    """Compute the scores (N, K) of ``model`` from images (N, C, H, W)."""

    def __init__(self, model: keras.Model):
        super().__init__()
        network = score_model(model)
        self.input, self.output = network.inputs[0], network.outputs[0]
        levels = sorted(network._nodes_by_depth.items(), reverse=True)
        self.steps, self.layers = [], nn.ModuleDict()
        for node in (node for _, level in levels for node in level):
            if not isinstance(node.operation, keras.layers.InputLayer):
                self.layers[node.operation.name] = _module(node.operation)
                sources = [id(tensor) for tensor in node.input_tensors]
                self.steps.append((node.operation.name, sources, id(node.outputs[0])))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = {id(self.input): images}
        for name, sources, result in self.steps:
            values[result] = self.layers[name](*(values[source] for source in sources))
        return values[id(self.output)]


def _module(layer: keras.Layer) -> nn.Module:
    parts = [_linear(layer)]
    if getattr(layer, "activation", keras.activations.linear) is keras.activations.relu:
        parts.append(nn.ReLU())
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _linear(layer: keras.Layer) -> nn.Module:
    kind = type(layer).__name__
    weights = [torch.from_numpy(np.ascontiguousarray(weight)) for weight in layer.get_weights()]
    if kind == "Dense":
        return _filled(nn.Linear(*weights[0].shape), weights[0].T, weights[1:])
    if kind == "Conv2D":
        return _convolution(layer, weights[0].permute(3, 2, 0, 1), weights[1:])
    if kind == "SeparableConv2D":
        depthwise = _convolution(layer, weights[0].permute(2, 3, 0, 1), [], groups=weights[0].shape[2])
        pointwise = weights[1].permute(3, 2, 0, 1)
        return nn.Sequential(
            depthwise, _filled(nn.Conv2d(*pointwise.shape[1::-1], 1, bias=len(weights) > 2), pointwise, weights[2:])
        )
    if isinstance(layer, keras.layers.BatchNormalization):
        module = nn.BatchNorm2d(layer.gamma.shape[0], eps=layer.epsilon)
        for target, value in zip(("weight", "bias", "running_mean", "running_var"), weights, strict=True):
            getattr(module, target).data = value
        return module
    if kind in ("MaxPooling2D", "MaxPool2D"):
        return nn.Sequential(
            *_same(layer, layer.pool_size, fill=-torch.inf), nn.MaxPool2d(layer.pool_size, layer.strides)
        )
    simple = {
        "Activation": nn.Identity,
        "Dropout": nn.Identity,
        "Add": _Add,
        "Flatten": _Flatten,
        "GlobalAveragePooling2D": _GlobalAverage,
    }
    return simple[kind]()


def _convolution(layer: keras.Layer, kernel: torch.Tensor, bias: list, groups: int = 1) -> nn.Module:
    outputs, inputs, *size = kernel.shape
    module = nn.Conv2d(inputs * groups, outputs, size, layer.strides, groups=groups, bias=bool(bias))
    pads = _same(layer, size)
    return nn.Sequential(*pads, _filled(module, kernel, bias)) if pads else _filled(module, kernel, bias)


def _filled(module: nn.Module, kernel: torch.Tensor, bias: list) -> nn.Module:
    module.weight.data = kernel.contiguous()
    if bias:
        module.bias.data = bias[0]
    return module


def _same(layer: keras.Layer, size: tuple[int, int], fill: float = 0.0) -> list[nn.Module]:
    """Return TensorFlow's padding "same", which depends on the image size; an odd pixel is added at the end."""
    if layer.padding != "same":
        return []
    shape = layer.input.shape[1:3]
    pads = []
    for length, side, step in reversed(list(zip(shape, size, layer.strides, strict=True))):
        total = max((-(-length // step) - 1) * step + side - length, 0)
        pads += [total // 2, total - total // 2]
    return [nn.ConstantPad2d(pads, fill)] if any(pads) else []


class _Add(nn.Module):
    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        return sum(images)


class _Flatten(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 2, 3, 1).flatten(1)  # channels last, the order of the weights of the next layer


class _GlobalAverage(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(images, 1).flatten(1)
