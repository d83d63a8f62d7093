"""Which rule goes to which layer: single rules, maps from layers to rules, and the composites of the literature."""

import fnmatch
from collections.abc import Mapping

from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.layers import Linear, Sum
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

FIRST = "<first>"  # key of the dense layers and convolutions that no other one stands before
WEIGHTED = "<weighted>"  # key of all dense layers and convolutions

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
MAX_POOLINGS = (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
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
}

PRESETS: dict[str, Composite] = {
    "epsilon_plus": ((CONVOLUTIONS, AlphaBeta(1, 0)),),
    "epsilon_plus_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(1, 0))),
    "epsilon_alpha2_beta1": ((CONVOLUTIONS, AlphaBeta(2, 1)),),
    "epsilon_alpha2_beta1_flat": ((FIRST, Flat()), (CONVOLUTIONS, AlphaBeta(2, 1))),
}

_OTHERS: Composite = ((MAX_POOLINGS, WinnerTakesAll()), (object, Epsilon()))


def composite(rule: str | Rule | Mapping) -> Composite:
    """Give the pairs of key and rule, the first match counting, that stand for ``rule`` (see `lrp`).

    Raises
    ------
    InputError
        If a name is neither a rule nor a preset.
    """
    if isinstance(rule, Mapping):
        return tuple((key, _rule(value)) for key, value in rule.items()) + _OTHERS
    if isinstance(rule, str) and rule in PRESETS:
        return PRESETS[rule] + _OTHERS
    rule = _rule(rule)
    if isinstance(rule, Flat | WSquare):
        return ((object, rule),)
    if isinstance(rule, AlphaBeta):
        return ((WEIGHTED, rule), *_OTHERS)
    if isinstance(rule, ZBox):
        return ((FIRST, rule), *_OTHERS)
    return (_OTHERS[0], (object, rule))


def _rule(rule: str | Rule) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, str) and rule in RULES:
        return RULES[rule]
    raise InputError(
        f"rule: must be a rule, a map from layers to rules, or one of {', '.join([*RULES, *PRESETS])}, got {rule!r}"
    )


def assign(composite: Composite, graph: Graph) -> list[Rule]:
    """Give the rule of every step of a graph: that of the first key that the step matches.

    Raises
    ------
    InputError
        If the name in a key matches no layer, or a rule does not suit the layer.
    """
    first = _first(graph)
    for key, _ in composite:
        named = isinstance(key, str) and key not in (FIRST, WEIGHTED)
        if named and not any(_matches(key, step, first) for step in graph.steps):
            raise InputError(f"rule: {key!r} matches no layer; the layers are {', '.join(graph.values)}")
    rules = [next(rule for key, rule in composite if _matches(key, step, first)) for step in graph.steps]
    for step, rule in zip(graph.steps, rules, strict=True):
        if isinstance(rule, WinnerTakesAll) and isinstance(step.part, Linear | Sum):
            raise InputError(f"rule: winner is for max pooling, not for layer {step.name}")
    return rules


def _matches(key: Key, step: Step, first: set[int]) -> bool:
    if key == FIRST:
        return step.output in first
    if key == WEIGHTED:
        return _weighted(step)
    if isinstance(key, str):
        return fnmatch.fnmatchcase(step.name, key) or type(step.layer).__name__ == key
    return isinstance(step.layer, key)


def _weighted(step: Step) -> bool:
    return isinstance(step.part, Linear) and step.part.weighted


def _first(graph: Graph) -> set[int]:
    """Give the outputs of the weighted steps that no other weighted step stands before."""
    mixed: set[int] = set()  # values that have been through one
    first: set[int] = set()
    for step in graph.steps:
        if mixed.isdisjoint(step.inputs) and not _weighted(step):
            continue
        if mixed.isdisjoint(step.inputs):
            first.add(step.output)
        mixed.add(step.output)
    return first
