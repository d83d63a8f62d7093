"""Assign a rule to each layer: single rules, maps from layers to rules, and composites from the literature."""

import fnmatch
from collections.abc import Mapping

import numpy as np
from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.parts import (
    Contraction,
    Linear,
    Linearised,
    MaxPool,
    Part,
    Product,
    Rearrange,
    Sum,
)
from skylight.attribution.relevance.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Rule,
    SignalTakesAll,
    Simple,
    Uniform,
    WinnerTakesAll,
    WSquare,
    ZBox,
)
from skylight.attribution.several_inputs import Unpack
from skylight.errors import InputError

Key = str | type | tuple[type, ...]
Composite = tuple[tuple[Key, Rule], ...]

FIRST = "<first>"  # key of the first dense layers or convolutions after the image
WEIGHTED = "<weighted>"  # key of all dense layers and convolutions

CONVOLUTIONS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D),
)
RULES: dict[str, Rule] = {
    "simple": Simple(),
    "epsilon": Epsilon(),
    "gamma": Gamma(),
    "flat": Flat(),
    "ww": WSquare(),
    "alphabeta": AlphaBeta(),
    "zbox": ZBox(),
    "winner": WinnerTakesAll(),
    "signal": SignalTakesAll(),
    "uniform": Uniform(),
}

PRESETS: dict[str, Composite] = {
    "epsilon_plus": ((CONVOLUTIONS, AlphaBeta(1, 0)),),
    "epsilon_plus_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(1, 0))),
    "epsilon_alpha2_beta1": ((CONVOLUTIONS, AlphaBeta(2, 1)),),
    "epsilon_alpha2_beta1_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(2, 1))),
}


def composite(rule: str | Rule | Mapping) -> Composite:
    """Return the pairs of key and rule of the argument ``rule`` of `lrp`.

    Raises
    ------
    InputError
        If a name is neither a rule nor a preset.
    """
    if isinstance(rule, Mapping):
        return tuple((key, _rule(value)) for key, value in rule.items())
    if isinstance(rule, str) and rule in PRESETS:
        return PRESETS[rule]
    return (("*", _rule(rule)),)


def _rule(rule: str | Rule) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, str) and rule in RULES:
        return RULES[rule]
    known = ", ".join([*RULES, *PRESETS])
    raise InputError(f"rule: must be a rule, a map from layers to rules, or one of {known}, got {rule!r}")


def assign(composite: Composite, graph: Graph) -> list[Rule]:
    """Return the rule of every step of a graph: the first that matches the step and can be applied to it.

    Without such a rule a step has the default for its kind: epsilon, winner takes all for max pooling, signal takes all
    for products of cells, uniform for attention and other matrix products.

    Raises
    ------
    InputError
        If the name in a key matches no layer, or a rule cannot be applied to a layer that was named.
    """
    first = _first(graph)
    names = [*graph.values, *(type(step.layer).__name__ for step in graph.steps)]
    for key, rule in composite:
        if isinstance(key, str) and key not in (FIRST, WEIGHTED) and not fnmatch.filter(names, key):
            raise InputError(f"rule: {key!r} matches no layer; the layers are {', '.join(graph.values)}")
        if not _is_pattern(key):
            _check_named(key, rule, graph, first)
    return [
        next(
            (rule for key, rule in composite if _matches(key, rule, step, first) and _applies(rule, step.part)),
            _default(step.part),
        )
        for step in graph.steps
    ]


def _check_named(key: Key, rule: Rule, graph: Graph, first: set[int]) -> None:
    """Check that a rule can be applied to a part of each layer that a key names."""
    steps = [step for step in graph.steps if isinstance(step.part, _RULED) and _matches(key, rule, step, first)]
    able = {step.name for step in steps if _applies(rule, step.part)}
    for step in steps:
        name = next((name for name, known in RULES.items() if type(known) is type(rule)), type(rule).__name__)
        purpose = "max pooling" if isinstance(rule, WinnerTakesAll) else "other layers"
        purpose = "products and attention" if isinstance(rule, SignalTakesAll | Uniform) else purpose
        if step.name not in able:
            raise InputError(f"rule: {name} is for {purpose}, not for layer {step.name}")
        if isinstance(rule, ZBox) and step.weighted and step.output not in first:
            raise InputError(f"rule: zbox is for the layer that sees the image, not for layer {step.name}")


_RULED = Linear | Linearised | Sum | MaxPool | Product | Contraction  # the parts whose backward pass is a rule


def _applies(rule: Rule, part: Part) -> bool:
    if isinstance(part, Product | Contraction):
        return isinstance(rule, SignalTakesAll | Uniform)
    if isinstance(part, Linearised):  # its weights are not known one by one
        return isinstance(rule, Epsilon | Simple) or not isinstance(rule, Rule)
    if isinstance(part, MaxPool):
        return not isinstance(rule, SignalTakesAll | Uniform)
    return not isinstance(rule, SignalTakesAll | Uniform | WinnerTakesAll)


def _default(part: Part) -> Rule:
    if isinstance(part, MaxPool):
        return WinnerTakesAll()
    if isinstance(part, Product):
        return SignalTakesAll()
    return Uniform() if isinstance(part, Contraction) else Epsilon()


def _is_pattern(key: Key) -> bool:
    return isinstance(key, str) and any(sign in key for sign in "*?[")


def _matches(key: Key, rule: Rule, step: Step, first: set[int]) -> bool:
    if key == FIRST:
        return step.output in first
    if key == WEIGHTED:
        return step.weighted
    if not isinstance(key, str):
        return isinstance(step.layer, key)
    if _is_pattern(key):
        return fnmatch.fnmatchcase(step.name, key) and _suits(rule, step, first)
    return key in (step.name, type(step.layer).__name__)


def _suits(rule: Rule, step: Step, first: set[int]) -> bool:
    """Return whether a rule that was assigned by a pattern is meant for this layer."""
    if isinstance(rule, AlphaBeta):
        return step.weighted  # a sum of inputs of one sign, as after a ReLU, would multiply the relevance by alpha
    if isinstance(rule, ZBox):
        return step.output in first
    if isinstance(rule, Flat | WSquare):
        return True
    return isinstance(step.part, MaxPool) == isinstance(rule, WinnerTakesAll)


def _first(graph: Graph) -> set[int]:
    """Return the outputs of the weighted steps whose inputs have not passed another weighted step."""
    mixed: set[int] = set()  # values that have passed a weighted step
    first: set[int] = set()
    for step in graph.steps:
        if mixed.isdisjoint(step.inputs) and not step.weighted:
            continue
        if mixed.isdisjoint(step.inputs):
            first.add(step.output)
        mixed.add(step.output)
    return first


def check_bounds(graph: Graph, rules: list[Rule], images: np.ndarray) -> None:
    """Check that the images are within the bounds of every `ZBox` whose layer sees the unchanged pixels.

    Raises
    ------
    InputError
        If they are not.
    """
    pixels = {0: [images]}  # of the values that hold nothing but unchanged pixels
    for step, rule in zip(graph.steps, rules, strict=True):
        if not pixels.keys() >= set(step.inputs):
            continue
        seen = [each for value in step.inputs for each in pixels[value]]
        if isinstance(step.layer, Unpack):
            pixels[step.output] = [each[:, step.layer.columns] for each in seen]
        elif isinstance(step.part, Rearrange):
            pixels[step.output] = seen
        for each in seen if isinstance(rule, ZBox) and step.weighted else []:
            outside = (each < np.float32(rule.low)) | (each > np.float32(rule.high))
            if outside.any():
                value, bounds = each[outside][0], f"{rule.low} and {rule.high}"
                raise InputError(f"inputs: must lie between {bounds}, the bounds of zbox, got {value}")
