"""Parameters of the supernovae chapter."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from skylight.params.section import Section

Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _ascending(values: list[float]) -> list[float]:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"must ascend, got {values}")
    return values


Snr = Annotated[float, Field(gt=0)]
Edges = Annotated[list[Snr], Field(min_length=2), AfterValidator(_ascending)]


class Data(Section):
    """Where the survey's chunks are."""

    path: str
    truth: str | None = Field(
        description="folder of the point sources' footprints, for the evaluation; null if unknown"
    )
    max_rejected: int = Field(ge=0, description="candidates that may be unusable before it is an error")


class Simulate(Section):
    """The simulated survey."""

    train: int = Field(ge=20)
    validation: int = Field(ge=20)
    test: int = Field(ge=20)
    chunk: int = Field(ge=1)
    snr: Edges = Field(max_length=2, description="of the faintest and of the brightest real source")
    seed: Seed


class Network(Section):
    """How a network brings the four quarter turns together, and how many of it are trained."""

    pooling: Literal["concatenation", "cyclic_average"]
    batch_normalization: bool
    members: int = Field(ge=1, description="networks that differ in their seed; more than one make an ensemble")


class Networks(Section):
    """The three networks."""

    deep_hits: Network
    cap: Network
    cap_bn: Network


class Build(Section):
    """What all networks share."""

    width: float = Field(gt=0, description="factor on the filters of every convolution")
    negative_slope: float = Field(ge=0, lt=1, description="of the leaky ReLU; 0 is ReLU")
    dropout: float = Field(ge=0, lt=1)
    momentum: float = Field(gt=0, lt=1, description="of every batch normalisation")


class Train(Section):
    """The trainings."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    halve_every: int = Field(ge=1, description="steps after which the learning rate is halved, again and again")
    momentum: float = Field(ge=0, lt=1, description="of the stochastic gradient descent")
    seed: Seed = Field(description="of the first member; the others have the next ones")


class Test(Section):
    """The test tables."""

    bootstrap: int = Field(ge=2)
    snr_edges: Edges
    seed: Seed


class Heatmaps(Section):
    """The relevance maps."""

    candidates: int = Field(ge=2, description="of the test part that are explained by every rule, half of each class")
    max_misclassified: int = Field(ge=1, description="most misclassified candidates explained, of each class")
    rules: list[str] = Field(min_length=1)
    rule: str = Field(description="the one of these that the figures of single candidates show")

    @model_validator(mode="after")
    def _rule_is_one_of_rules(self):
        if self.rule not in self.rules:
            raise ValueError(f"rule must be one of rules ({', '.join(self.rules)}), got {self.rule!r}")
        return self


class Digits(Section):
    """The example on handwritten digits."""

    mnist: str | None = Field(description="mnist.npz, or null for the digits that come with scikit-learn")
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    test_fraction: float = Field(gt=0, lt=1, description="of scikit-learn's digits; MNIST has its own test part")
    rules: list[str] = Field(min_length=1)
    seed: Seed


class Supernovae(Section):
    """The chapter ``supernovae``."""

    data: Data
    simulate: Simulate
    networks: Networks
    build: Build
    train: Train
    test: Test
    heatmaps: Heatmaps
    digits: Digits

    @property
    def network_options(self) -> dict[str, dict]:
        """Network -> the arguments that `skylight.networks.deep_hits.deep_hits` builds it from."""
        names = type(self.networks).model_fields
        return {
            name: getattr(self.networks, name).model_dump(exclude={"members"}) | self.build.model_dump()
            for name in names
        }

    @property
    def members(self) -> dict[str, list[str]]:
        """Network -> the names of its members: ``cap_0``, ``cap_1``, ..."""
        names = type(self.networks).model_fields
        return {name: [f"{name}_{i}" for i in range(getattr(self.networks, name).members)] for name in names}
