"""Parameters of the supernovae chapter."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from skylight.params.section import BadKey, InputPath, Name, Score, Section, Seed


def _ascending(values: list[float]) -> list[float]:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"must ascend, got {values}")
    return values


Snr = Annotated[float, Field(gt=0)]
Edges = Annotated[list[Snr], Field(min_length=2), AfterValidator(_ascending)]


class Data(Section):
    """Where the survey is."""

    path: InputPath = Field(description="folder with train/, validation/ and test/, each a folder of chunks")
    truth: InputPath | None = Field(
        description="folder of the sources' footprints, for the evaluation; null if unknown"
    )


class Simulate(Section):
    """The simulated survey."""

    train: int = Field(ge=20, description="candidates in the training part, half of them real sources")
    validation: int = Field(ge=20)
    test: int = Field(ge=20)
    chunk: int = Field(ge=1, description="candidates in a file")
    snr: Edges = Field(max_length=2, description="of the faintest and of the brightest real source")
    seed: Seed


class Transform(Section):
    """The arrays for the networks."""

    max_rejected: float = Field(ge=0, lt=1, description="largest share of the candidates that may be unusable")


class Network(Section):
    """One network."""

    pooling: Literal["concatenation", "cyclic_average"] = Field(description="how the four turns are combined")
    batch_normalization: bool
    members: int = Field(ge=1, description="trainings with different seeds; more than one form an ensemble")


ENDINGS = ("", "_averaged", "_turns", "_ensemble")
"""What the stages add to the name of a network in the names of its outputs."""


def _free(networks: dict[str, Network]) -> dict[str, Network]:
    taken = {"footprints": "footprints"}
    for name in networks:
        for output in (f"{name}{ending}" for ending in ENDINGS):
            if output in taken:
                raise ValueError(f"{name} and {taken[output]} would both have an output called {output}")
            taken[output] = name
    for name in ("deep_hits", "cap"):
        if name not in networks:
            raise ValueError(f"must have a network {name}, which the others are compared with or the figures show")
    return networks


Networks = Annotated[dict[Name, Network], AfterValidator(_free)]


class Build(Section):
    """What all networks have in common."""

    width: float = Field(gt=0, description="factor on the number of filters of every convolution")
    negative_slope: float = Field(ge=0, lt=1, description="of the leaky ReLU; 0 is ReLU")
    dropout: float = Field(ge=0, lt=1, description="share of the hidden dense units")
    momentum: float = Field(gt=0, lt=1, description="of every batch normalisation")


class Train(Section):
    """The trainings."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    halve_every: int = Field(ge=1, description="steps between two halvings of the learning rate")
    momentum: float = Field(ge=0, lt=1, description="of the stochastic gradient descent")
    seed: Seed = Field(description="of the first member; the next ones count up")


class Test(Section):
    """The tables of the test."""

    bootstrap: int = Field(ge=2, description="samples for the errors")
    snr_edges: Edges = Field(description="of the bins of signal-to-noise ratio")
    seed: Seed


class Heatmaps(Section):
    """The relevance maps."""

    score: Score
    candidates: int = Field(ge=2, description="test candidates on which the maps are measured, half of each class")
    max_misclassified: int = Field(ge=1, description="largest number of misclassified ones besides, of each class")
    rules: list[str] = Field(min_length=1, description="rules of LRP, by name")
    rule: str = Field(description="the rule of the figures of single candidates, one of rules")

    @model_validator(mode="after")
    def _rule_is_one_of_rules(self):
        if self.rule not in self.rules:
            raise BadKey("rule", f"must be one of rules ({', '.join(self.rules)}), got {self.rule!r}")
        return self


class Methods(Section):
    """The scorecard of the rules of LRP and of other methods on validation candidates."""

    candidates: int = Field(ge=2, description="candidates, half of them of each class")
    seed: Seed


class Digits(Section):
    """The example on handwritten digits."""

    mnist: InputPath | None = Field(description="mnist.npz, or null for the digits that come with scikit-learn")
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    test_fraction: float = Field(gt=0, lt=1, description="of scikit-learn's digits; MNIST has its own test part")
    rules: list[str] = Field(min_length=1, description="rules of LRP, by name")
    seed: Seed


class Supernovae(Section):
    """The chapter ``supernovae``."""

    data: Data
    simulate: Simulate
    transform: Transform
    networks: Networks
    build: Build
    train: Train
    test: Test
    heatmaps: Heatmaps
    methods: Methods
    digits: Digits

    @property
    def network_options(self) -> dict[str, dict]:
        """Network -> the arguments of `skylight.networks.deep_hits.deep_hits`."""
        build = self.build.model_dump()
        return {name: network.model_dump(exclude={"members"}) | build for name, network in self.networks.items()}

    @property
    def members(self) -> dict[str, list[str]]:
        """Network -> the names of its members: ``cap_0``, ``cap_1``, ..."""
        return {name: [f"{name}_{i}" for i in range(network.members)] for name, network in self.networks.items()}
