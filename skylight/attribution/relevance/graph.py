"""A functional Keras model as a list of steps in the order they are computed, nested models opened up."""

from dataclasses import dataclass

import keras

from skylight.attribution.relevance.layers import Linear, Part, parts


@dataclass(frozen=True)
class Step:
    """One part of one layer: it reads the values numbered ``inputs`` and makes the value ``output``.

    Attributes
    ----------
    part : Part
        What it does.
    layer : keras Layer or Operation
        The layer that it is a part of.
    name : str
        The name of that layer in the graph.
    inputs, output : tuple of int, int
        Values, numbered from 0, the image.
    shape : tuple
        Shape of the first input where the layer is called, None where it is free.
    """

    part: Part
    layer: keras.Operation
    name: str
    inputs: tuple[int, ...]
    output: int
    shape: tuple[int | None, ...]

    @property
    def weighted(self) -> bool:
        """Whether it is the linear part of a dense layer or of a convolution."""
        return isinstance(self.part, Linear) and self.part.weighted


@dataclass(frozen=True)
class Graph:
    """The steps of a model, in order, and the value that each layer gives.

    Attributes
    ----------
    steps : list of Step
        In the order of computation; the last one makes the model's output.
    values : dict of str to int
        Layer name -> its output. A layer inside a nested model is named ``model/layer``; of a layer that is
        called several times, the later calls are ``layer:1``, ``layer:2``, ...
    output : int
        The model's output.
    """

    steps: list[Step]
    values: dict[str, int]
    output: int


def walk(model: keras.Model) -> Graph:
    """Give the graph of a functional model of one input and one output.

    Raises
    ------
    InputError
        If LRP does not know one of its layers.
    """
    steps: list[Step] = []
    values: dict[str, int] = {}

    def named(name: str, value: int) -> str:
        calls = sum(known.rpartition(":")[0] == name or known == name for known in values)
        name = f"{name}:{calls}" if calls else name
        values[name] = value
        return name

    def visit(model: keras.Model, image: int, prefix: str) -> int:
        model = getattr(model, "_functional", None) or model  # a Sequential model wraps its functional form
        made = {id(model.inputs[0]): image}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                inputs = tuple(made[id(tensor)] for tensor in node.input_tensors)
                made[id(node.outputs[0])] = call(node, inputs, prefix)
        return made[id(model.outputs[0])]

    def call(node, inputs: tuple[int, ...], prefix: str) -> int:
        layer, name = node.operation, prefix + node.operation.name
        if isinstance(layer, keras.Model):
            output = visit(layer, inputs[0], f"{name}/")
            named(name, output)
            return output
        row = parts(node)
        name = named(name, len(steps) + len(row))
        for part in row:
            steps.append(Step(part, layer, name, inputs, len(steps) + 1, node.input_tensors[0].shape))
            inputs = (len(steps),)
        return len(steps)

    values[model.inputs[0]._keras_history.operation.name] = 0
    return Graph(steps, values, visit(model, 0, ""))
