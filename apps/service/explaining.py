"""What the service computes in its thread of networks: outputs, and maps with their completeness gaps."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache

from apps.files import import_tensorflow
from apps.service.inputs import Sample
from apps.service.models import Network
from skylight.errors import InputError

if TYPE_CHECKING:
    import keras

MOST_LOADED = 4
BLACK, MEAN, BACKGROUND = "black", "mean", "background"
BASELINES = {
    BLACK: "an input without light",
    MEAN: "the mean of the input in each channel",
    BACKGROUND: "objects of the training part",
}
SCORES = ("log_odds", "logit", "probability")  # those of skylight.attribution.scoring, which imports TensorFlow
STEPS = (10, 50, 200)
"""Integrated gradients are compiled anew for each number of steps, which is kept: any number would fill the memory."""


@dataclass(frozen=True)
class Method:
    """A method of `skylight.attribution`, as the service offers it.

    Attributes
    ----------
    steps : (str, int) or None
        The argument that ``steps`` of a request stands for, and its default, one of `STEPS`.
    baseline : str or None
        The argument that ``baseline`` of a request stands for.
    seed : bool
        Whether it draws random numbers.
    complete : bool
        Whether the values of its map sum to the score of the input minus that of the baseline.
    score : str or None
        The score where it is not that of the network.
    signed : bool
        Whether negative values are evidence against the class.
    """

    steps: tuple[str, int] | None = None
    baseline: str | None = None
    seed: bool = False
    complete: bool = False
    score: str | None = None
    signed: bool = True

    def options(self) -> list[str]:
        """Return the fields of a request that this method uses."""
        own = {"steps": self.steps, "baseline": self.baseline, "seed": self.seed}
        return ["target", "against", "score", *(name for name, used in own.items() if used)]


METHODS = {
    "integrated_gradients": Method(("steps", 50), "baseline", complete=True),
    "saliency": Method(signed=False),
    "gradient_x_input": Method(),
    "smoothgrad": Method(("samples", 50), seed=True, signed=False),
    "vargrad": Method(("samples", 50), seed=True, signed=False),
    "guided_backpropagation": Method(),
    "gradcam": Method(signed=False),
    "gradcam_plus_plus": Method(signed=False),
    "hirescam": Method(),
    "xgradcam": Method(),
    "layercam": Method(signed=False),
    "lrp": Method(),
    "deep_shap": Method(baseline="background", complete=True),
    "gradient_shap": Method(("samples", 200), "background", seed=True),
    "patch_occlusion": Method(score="probability"),
    "blanking": Method(score="probability"),
    "rise": Method(("masks", 200), seed=True, score="probability"),
}
"""Those whose answers take seconds; the others (Score-CAM, KernelSHAP, ...) need minutes for a larger network."""


@dataclass(frozen=True)
class Question:
    """What is asked about an input; `checked` has filled in every field that the method uses."""

    method: str | None = None
    target: str | None = None
    against: str | None = None
    score: str | None = None
    baseline: str | None = None
    steps: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Answer:
    """The outputs (K,) of a network for a sample, and its explanation, if one was asked for."""

    network: Network
    version: str
    sample: Sample
    outputs: np.ndarray
    question: Question | None = None
    gap: float | None = None
    maps: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        arrays = (self.sample.inputs, self.sample.picture, self.outputs, self.maps)
        return 1000 + sum(array.nbytes for array in arrays if array is not None)


def methods(network: Network) -> dict[str, Method]:
    """Return the methods that explain a network in seconds, by name."""
    small = network.kind in ("light_curve", "alert", "candidates", "digit")
    return {name: method for name, method in METHODS.items() if small or name != "blanking"}


def baselines(network: Network, method: Method) -> list[str]:
    """Return the baselines of a method, the default first."""
    if not method.baseline:
        return []
    compared = method.baseline == "background" and network.background is not None and network.background.exists()
    return [BACKGROUND, BLACK, MEAN] if compared else [BLACK, MEAN]


def checked(network: Network, question: Question) -> Question:
    """Check a question about a network, and fill in the defaults of the method.

    Raises
    ------
    InputError
        The method, a class or a baseline is unknown, or the method does not use a field that is given.
    """
    chosen = question.method or network.method
    if chosen not in (known := methods(network)):
        raise InputError(f"method: must be one of {', '.join(known)}, got {chosen!r}")
    method, filled = known[chosen], {"method": chosen}
    for name in ("steps", "baseline", "seed"):
        if getattr(question, name) is not None and name not in method.options():
            raise InputError(f"{name}: {chosen} has no such option")
    for name in ("target", "against"):
        value = getattr(question, name)
        if value is not None and value not in network.classes:
            raise InputError(f"{name}: must be one of {', '.join(network.classes)}, got {value!r}")
    if len(network.classes) == 1:
        if question.against is not None:
            raise InputError(f"against: {network.name} predicts one number")
        filled["target"] = network.classes[0]
    if question.against is not None and question.score not in (None, "logit"):
        raise InputError("against: needs the score logit")
    if question.score is not None and question.score not in SCORES:
        raise InputError(f"score: must be one of {', '.join(SCORES)}, got {question.score!r}")
    filled["target"] = question.target or filled.get("target") or network.target
    if method.steps:
        filled["steps"] = method.steps[1] if question.steps is None else question.steps
        if filled["steps"] not in STEPS:
            raise InputError(f"steps: must be one of {', '.join(map(str, STEPS))}, got {question.steps}")
    if method.baseline:
        known = baselines(network, method)
        filled["baseline"] = question.baseline or known[0]
        if filled["baseline"] not in known:
            raise InputError(f"baseline: must be one of {', '.join(known)}, got {question.baseline!r}")
    if method.seed:
        filled["seed"] = question.seed or 0
    return Question(**vars(question) | filled)


class Networks:
    """Loads networks when they are first asked for and keeps the last ones. Use it in one thread only."""

    def __init__(self):
        self._loaded = LRUCache(MOST_LOADED)

    def start(self) -> None:
        """Import TensorFlow, and make its operations deterministic."""
        import_tensorflow()
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each network is traced once, which it warns about
        from skylight.training.fit import deterministic

        deterministic(0)

    def predict(self, network: Network, sample: Sample) -> Answer:
        """Compute the outputs of a network; of several members, their mean."""
        return self.predict_all(network, [sample])[0]

    def predict_all(self, network: Network, samples: list[Sample]) -> list[Answer]:
        """Compute the outputs of a network for samples, all at once."""
        version, members = self._members(network)
        outputs = _outputs(network, members, np.stack([sample.inputs for sample in samples]))
        return [Answer(network, version, sample, each) for sample, each in zip(samples, outputs, strict=True)]

    def explain(self, network: Network, sample: Sample, question: Question) -> Answer:
        """Compute the outputs of a network and the map that a `checked` question asks for.

        Of several members, outputs, map and gap are means; all explain the class that the mean of the outputs predicts.
        """
        from skylight import attribution
        from skylight.attribution.scoring import resolve_score

        version, members = self._members(network)
        outputs = _outputs(network, members, sample.inputs[None])[0]
        method = METHODS[question.method]
        target = question.target or network.classes[int(outputs.argmax())]
        if target == question.against:
            raise InputError(f"against: must be another class than the target, got {target} for both")
        first = members[0][0]
        default = "logit" if question.against else method.score
        score = resolve_score(first, question.score, default)
        question = Question(**vars(question) | {"target": target, "score": score.name})
        asked = {"score": score.name}
        if question.against:
            asked["against"] = network.classes.index(question.against)
        options = _options(network, sample, question)
        inputs, index = sample.inputs[None], network.classes.index(target)
        if len(network.classes) == 1 and score.head == "sigmoid":
            index = 1  # it has two classes for the methods, and the number is the probability of this one
        explain, maps, gaps = getattr(attribution, question.method), [], []
        for model, _ in members:
            maps.append(explain(model, inputs, index, **options, **asked)[0])
            if method.complete:
                gaps.append(_gap(model, inputs, index, maps[-1], options[method.baseline], asked))
        gap = float(np.mean(gaps)) if gaps else None
        return Answer(network, version, sample, outputs, question, gap, np.mean(maps, axis=0, dtype=np.float32))

    def _members(self, network: Network) -> tuple[str, list[tuple["keras.Model", Callable]]]:
        """Return the version of a network and its members: the model, and its compiled outputs."""
        version = network.version()
        key = (network.name, version)
        if key not in self._loaded:
            self._loaded[key] = [_compiled(network.load(path)) for path in network.weights]
        return version, self._loaded[key]


def _compiled(model: "keras.Model") -> tuple["keras.Model", Callable]:
    import tensorflow as tf

    from skylight.attribution.scoring import images_spec

    return model, tf.function(lambda images: model(images, training=False), input_signature=[images_spec(model)])


def _outputs(network: Network, members: list, inputs: np.ndarray) -> np.ndarray:
    """Return the mean outputs of the members for inputs (N, ...): (N, K), one for each class."""
    outputs = np.mean([run(inputs).numpy() for _, run in members], axis=0)
    if outputs.shape[1] == 1 and len(network.classes) == 2:  # a single sigmoid is the probability of the second class
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs


def _options(network: Network, sample: Sample, question: Question) -> dict[str, Any]:
    """Return the arguments of a method other than what is explained."""
    method, options = METHODS[question.method], {}
    if method.steps:
        options[method.steps[0]] = question.steps
    if method.seed:
        options["seed"] = question.seed
    if method.baseline:
        options[method.baseline] = _baseline(network, sample, question.baseline)
    if question.method == "patch_occlusion":  # about 24 x 24 windows, whatever the size of the input
        side = max(sample.inputs.shape[:2])
        options |= {"patch": max(1, side // 12), "stride": max(1, side // 24)}
    if question.method == "lrp":
        options["rule"] = network.rule
    return options


def _baseline(network: Network, sample: Sample, name: str) -> np.ndarray:
    if name == BACKGROUND:
        return np.load(network.background)
    if name == MEAN:
        return np.broadcast_to(sample.inputs.mean(axis=(0, 1)), sample.inputs.shape)[None]
    return np.broadcast_to(np.float32(network.black), sample.inputs.shape)[None]


def _gap(model, inputs: np.ndarray, index: int, maps: np.ndarray, baseline: np.ndarray, asked: dict) -> float:
    """Return the score of the input, minus the mean score of the baselines, minus the sum of the map."""
    from skylight.attribution import completeness_gap

    repeated, many = np.repeat(inputs, len(baseline), axis=0), np.repeat(maps[None], len(baseline), axis=0)
    return float(completeness_gap(model, repeated, index, many, baseline=baseline, **asked).mean())
