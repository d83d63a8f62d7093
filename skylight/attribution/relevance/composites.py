"""Assign a rule to each layer: single rules, maps from layers to rules, and composites from the literature."""

import fnmatch
from collections.abc import Mapping

import numpy as np
from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.layers import Linear, MaxPool, Rearrange, Sum
from skylight.attribution.relevance.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Rule,
    Simple,
    WinnerTakesAll,
    WSquare,
    ZBox,
)
from skylight.errors import InputError

Key = str | type | tuple[type, ...]
Composite = tuple[tuple[Key, Rule], ...]

FIRST = "<first>"  # key of the first dense layers or convolutions after the image
WEIGHTED = "<weighted>"  # key of all dense layers and convolutions

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
RULES: dict[str, Rule] = {
    "simple": Simple(),
    "epsilon": Epsilon(),
    "gamma": Gamma(),
    "flat": Flat(),
    "ww": WSquare(),
    "alphabeta": AlphaBeta(),
    "zbox": ZBox(),
    "winner": WinnerTakesAll(),
}

PRESETS: dict[str, Composite] = {
    "epsilon_plus": ((CONVOLUTIONS, AlphaBeta(1, 0)),),
    "epsilon_plus_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(1, 0))),
    "epsilon_alpha2_beta1": ((CONVOLUTIONS, AlphaBeta(2, 1)),),
    "epsilon_alpha2_beta1_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(2, 1))),
}

_OTHERS: Composite = (("*", WinnerTakesAll()), ("*", Epsilon()))


def composite(rule: str | Rule | Mapping) -> Composite:
    """Return the pairs of key and rule of the argument ``rule`` of `lrp`; those for all other layers are at the end.

    Raises
    ------
    InputError
        If a name is neither a rule nor a preset.
    """
    if isinstance(rule, Mapping):
        return tuple((key, _rule(value)) for key, value in rule.items()) + _OTHERS
    if isinstance(rule, str) and rule in PRESETS:
        return PRESETS[rule] + _OTHERS
    return (("*", _rule(rule)), *_OTHERS)


def _rule(rule: str | Rule) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, str) and rule in RULES:
        return RULES[rule]
    known = ", ".join([*RULES, *PRESETS])
    raise InputError(f"rule: must be a rule, a map from layers to rules, or one of {known}, got {rule!r}")


def assign(composite: Composite, graph: Graph) -> list[Rule]:
    """Return the rule of every step of a graph: that of the first key that matches the step.

    Raises
    ------
    InputError
        If the name in a key matches no layer, or a rule cannot be applied to a layer that was named.
    """
    first = _first(graph)
    names = [*graph.values, *(type(step.layer).__name__ for step in graph.steps)]
    for key, _ in composite:
        if isinstance(key, str) and key not in (FIRST, WEIGHTED) and not fnmatch.filter(names, key):
            raise InputError(f"rule: {key!r} matches no layer; the layers are {', '.join(graph.values)}")
    rules = [next(rule for key, rule in composite if _matches(key, rule, step, first)) for step in graph.steps]
    for step, rule in zip(graph.steps, rules, strict=True):
        if isinstance(rule, WinnerTakesAll) and isinstance(step.part, Linear | Sum):
            raise InputError(f"rule: winner is for max pooling, not for layer {step.name}")
        if isinstance(rule, ZBox) and step.weighted and step.output not in first:
            raise InputError(f"rule: zbox is for the layer that sees the image, not for layer {step.name}")
    return rules


def _matches(key: Key, rule: Rule, step: Step, first: set[int]) -> bool:
    if key == FIRST:
        return step.output in first
    if key == WEIGHTED:
        return step.weighted
    if not isinstance(key, str):
        return isinstance(step.layer, key)
    if any(sign in key for sign in "*?["):
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
    unchanged = {0}
    for step, rule in zip(graph.steps, rules, strict=True):
        if isinstance(step.part, Rearrange) and unchanged.issuperset(step.inputs):
            unchanged.add(step.output)
        if isinstance(rule, ZBox) and step.weighted and unchanged.issuperset(step.inputs):
            outside = (images < np.float32(rule.low)) | (images > np.float32(rule.high))
            if outside.any():
                value, bounds = images[outside][0], f"{rule.low} and {rule.high}"
                raise InputError(f"inputs: must lie between {bounds}, the bounds of zbox, got {value}")
