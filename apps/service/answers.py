"""The JSON of an answer."""

import base64
import math

import numpy as np
from pydantic import BaseModel

from apps.service import drawing
from apps.service.explaining import SCORES, STEPS, Answer, baselines, methods
from apps.service.inputs import FORMATS
from apps.service.models import Network


class Model(BaseModel):
    """The network that answered."""

    name: str
    version: str


class Prediction(BaseModel):
    """What a network says: probabilities of classes, or one number."""

    predicted: str | None
    probabilities: dict[str, float | None] | None
    value: float | None
    quantity: str | None


class Explanation(BaseModel):
    """How a map was made, and its values."""

    method: str
    score: str
    target: str
    against: str | None
    baseline: str | None
    steps: int | None
    seed: int | None
    completeness_gap: float | None
    shape: list[int]
    lowest: float | None
    highest: float | None
    sum: float | None


class Pictures(BaseModel):
    """PNG files in base64."""

    picture: str
    overlay: str
    map: str


class Predicted(BaseModel):
    """The answer to a prediction."""

    model: Model
    item: int
    items: int
    about: dict[str, int | float | str | dict[str, int] | None]
    prediction: Prediction


class Explained(Predicted):
    """The answer to an explanation."""

    explanation: Explanation
    images: Pictures


class Status(BaseModel):
    """Whether the service is alive, or ready."""

    status: str


class MethodOptions(BaseModel):
    """What a method takes."""

    options: list[str]
    baselines: list[str]
    steps: int | None
    all_steps: list[int]
    signed: bool


class ModelDescription(BaseModel):
    """A network: what it tells, what it takes, and how it is explained."""

    name: str
    about: str
    kind: str
    formats: list[str]
    classes: list[str]
    exclusive: bool
    available: bool
    missing: str | None
    version: str | None
    members: int
    method: str
    target: str | None
    scores: list[str]
    methods: dict[str, MethodOptions]


class Models(BaseModel):
    """All networks."""

    models: list[ModelDescription]


def described(network: Network) -> ModelDescription:
    """Describe a network."""
    missing = network.missing()
    known = {
        name: MethodOptions(
            options=method.options(),
            baselines=baselines(network, method),
            steps=method.steps and method.steps[1],
            all_steps=list(STEPS) if method.steps else [],
            signed=method.signed,
        )
        for name, method in methods(network).items()
    }
    return ModelDescription(
        name=network.name,
        about=network.about,
        kind=network.kind,
        formats=list(FORMATS[network.kind]),
        classes=list(network.classes),
        exclusive=network.exclusive,
        available=missing is None,
        missing=missing,
        version=None if missing else network.version(),
        members=len(network.weights),
        method=network.method,
        target=network.target,
        scores=list(SCORES),
        methods=known,
    )


def predicted(answer: Answer, item: int) -> Predicted:
    """Return the answer to a prediction."""
    about = {name: _finite(value) if isinstance(value, float) else value for name, value in answer.sample.about.items()}
    return Predicted(
        model=Model(name=answer.network.name, version=answer.version),
        item=item,
        items=answer.sample.items,
        about=about,
        prediction=prediction(answer),
    )


def prediction(answer: Answer) -> Prediction:
    """Return the probabilities of the classes, or the number that the network predicts."""
    classes, outputs = answer.network.classes, answer.outputs
    if len(classes) == 1:
        return Prediction(predicted=None, probabilities=None, value=_finite(outputs[0]), quantity=classes[0])
    best = classes[int(outputs.argmax())] if answer.network.exclusive and np.isfinite(outputs).all() else None
    probabilities = dict(zip(classes, map(_finite, outputs), strict=True))
    return Prediction(predicted=best, probabilities=probabilities, value=None, quantity=None)


def explained(answer: Answer, item: int, style: drawing.Style) -> Explained:
    """Return the answer to an explanation, with its pictures."""
    maps = answer.maps
    values = {"lowest": _finite(maps.min()), "highest": _finite(maps.max()), "sum": _finite(maps.sum(dtype=float))}
    pictures = {
        "picture": drawing.picture(answer.sample),
        "overlay": drawing.overlay(answer.sample, maps, style),
        "map": drawing.alone(answer.sample, maps, style),
    }
    return Explained(
        **dict(predicted(answer, item)),
        explanation=Explanation(
            **vars(answer.question), completeness_gap=_finite(answer.gap), shape=list(maps.shape), **values
        ),
        images=Pictures(**{name: base64.b64encode(drawing.png(each)).decode() for name, each in pictures.items()}),
    )


def _finite(value: float | None) -> float | None:
    """Return a number, or None where JSON has none for it."""
    return float(value) if value is not None and math.isfinite(value) else None
