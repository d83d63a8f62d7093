"""A functional Keras model, nested models included, as a list of steps in the order of computation."""

from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from skylight.attribution.relevance.layers import program
from skylight.attribution.relevance.parts import Activations, Back, Linear, Part


@dataclass(frozen=True)
class Step:
    """One part of one layer. It reads the values with the numbers ``inputs`` and computes the value ``output``.

    Attributes
    ----------
    part : Part
        The computation and its backward pass.
    layer : keras Layer or Operation
        The layer that the part belongs to.
    name : str
        The name of that layer in the graph.
    inputs, output : tuple of int, int
        Numbers of values. Value 0 is the image.
    shape : tuple
        Shape of the first input in this call of the layer; None along free axes.
    """

    part: Part
    layer: keras.Operation
    name: str
    inputs: tuple[int, ...]
    output: int
    shape: tuple[int | None, ...]

    @property
    def weighted(self) -> bool:
        """Whether this is the linear part of a dense layer or of a convolution."""
        return isinstance(self.part, Linear) and self.part.weighted


@dataclass(frozen=True)
class Graph:
    """The steps of a model, in order, and the number of the output value of each layer.

    Attributes
    ----------
    steps : list of Step
        In the order of computation; the last one computes the model's output.
    values : dict of str to int
        Layer name -> number of its output. A layer of a nested model is named ``model/layer``. If a layer is called
        several times, the later calls are named ``layer:1``, ``layer:2``, ... Of a layer or a nested model with several
        outputs the later ones are named ``layer[1]``, ``layer[2]``, ...
    output : int
        Number of the model's output.
    """

    steps: list[Step]
    values: dict[str, int]
    output: int


def walk(model: keras.Model) -> Graph:
    """Return the graph of a functional model with one input and one output.

    Raises
    ------
    InputError
        If LRP does not support one of its layers.
    """
    steps: list[Step] = []
    values: dict[str, int] = {}

    def named(name: str, value: int) -> str:
        calls = sum(known.rpartition(":")[0] == name or known == name for known in values)
        name = f"{name}:{calls}" if calls else name
        values[name] = value
        return name

    def visit(model: keras.Model, inputs: tuple[int, ...], prefix: str) -> list[int]:
        model = getattr(model, "_functional", None) or model  # a Sequential model wraps its functional form
        made = dict(zip((id(tensor) for tensor in model.inputs), inputs, strict=True))
        nodes = [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]
        nodes = [node for node in nodes if not node.is_input]
        read = {id(tensor) for tensor in (*model.outputs, *(t for node in nodes for t in node.input_tensors))}
        for node in nodes:
            inputs = tuple(made[id(tensor)] for tensor in node.input_tensors)
            made |= call(node, inputs, prefix, read)
        return [made[id(tensor)] for tensor in model.outputs]

    def call(node, inputs: tuple[int, ...], prefix: str, read: set[int]) -> dict[int, int]:
        """Add the steps of one call of a layer, and return the number of each output that is read."""
        layer, name = node.operation, prefix + node.operation.name
        if isinstance(layer, keras.Model):
            outputs = visit(layer, inputs, f"{name}/")
            for place, output in enumerate(outputs):
                named(f"{name}[{place}]" if place else name, output)
            return {id(tensor): output for tensor, output in zip(node.outputs, outputs, strict=True)}
        made = {}
        for place, tensor in enumerate(node.outputs):
            if id(tensor) not in read:
                continue
            row, start = program(node, place), len(steps)
            full_name = named(f"{name}[{place}]" if place else name, start + len(row))
            numbers = (*inputs, *range(start + 1, start + len(row) + 1))
            for part, reads in row:
                origins = tuple(numbers[value] for value in reads)
                steps.append(Step(part, layer, full_name, origins, len(steps) + 1, node.input_tensors[0].shape))
            made[id(tensor)] = len(steps)
        return made

    values[model.inputs[0]._keras_history.operation.name] = 0
    (output,) = visit(model, (0,), "")
    return _reaching(Graph(steps, values, output))


def _reaching(graph: Graph) -> Graph:
    """Remove the steps that do not lead to the output, as those to an unused output of a nested model."""
    read = {graph.output}
    for step in reversed(graph.steps):
        if step.output in read:
            read.update(step.inputs)
    steps = [step for step in graph.steps if step.output in read]
    return replace(graph, steps=steps, values={name: value for name, value in graph.values.items() if value in read})


def forward(graph: Graph, images: tf.Tensor) -> tuple[dict[int, Activations], list[Back]]:
    """Compute the values of all steps, and the backward pass of each."""
    activations, ways_back = {0: Activations(images)}, []
    for step in graph.steps:
        activations[step.output], back = step.part(*(activations[value] for value in step.inputs))
        ways_back.append(back)
    return activations, ways_back


def sized(graph: Graph, shape: tuple[int, ...], dtype: tf.DType) -> Graph:
    """Return the graph of a model with free axes for images of one shape: all its steps have shapes without None."""
    shapes: dict[int, tuple[int | None, ...]] = {}

    def trace(images: tf.Tensor) -> None:
        activations, _ = forward(graph, images)
        shapes.update({value: tuple(known.values.shape) for value, known in activations.items()})

    tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec([None, *shape], dtype))
    return replace(graph, steps=[replace(step, shape=shapes[step.inputs[0]]) for step in graph.steps])
