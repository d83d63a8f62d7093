"""A functional Keras model, nested models included, as a list of steps in the order of computation."""

from dataclasses import dataclass

import keras

from skylight.attribution.relevance.layers import Linear, Part, parts


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
        several times, the later calls are named ``layer:1``, ``layer:2``, ...
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
