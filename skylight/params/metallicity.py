"""Parameters of the metallicity chapter."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from skylight.params.section import InputPath, Score, Section, Seed

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Data(Section):
    """The survey."""

    path: InputPath
    truth: InputPath | None = Field(description="folder of truth.csv and truth/, for the evaluation; null if unknown")
    pixel_scale: float = Field(
        gt=0, description="of the pictures, arcsec; those of another scale than 0.396 are resampled"
    )


class Simulate(Section):
    """The simulated survey."""

    scale: float = Field(gt=0, description="number of low and high galaxies / the published number")
    medium: float = Field(ge=0, le=1, description="share of the medium galaxies that are simulated")
    seed: Seed


class Transform(Section):
    """Pictures to arrays."""

    size: int = Field(ge=8, description="central pixels that are kept, of 160")
    validation_fraction: Fraction
    seed: Seed
    max_rejected: float = Field(ge=0, le=1, description="share of the pictures")


class Network(Section):
    """The network, of classification and regression alike."""

    width: float = Field(gt=0, description="factor on the filters of every convolution")
    momentum: float = Field(gt=0, lt=1, description="of every batch normalisation")


class FindLearningRate(Section):
    """The learning-rate range test."""

    lowest: float = Field(gt=0)
    highest: float = Field(gt=0)
    steps: int = Field(ge=10)

    @field_validator("highest")
    @classmethod
    def _rises(cls, highest: float, info):
        if highest <= info.data.get("lowest", 0):
            raise ValueError(f"must be more than lowest, got {highest}")
        return highest


class Training(Section):
    """One training."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["ranger", "adamw"]
    schedule: Literal["one_cycle", "flat_cosine"]
    learning_rate: float = Field(gt=0, description="the highest of the schedule")
    weight_decay: float = Field(ge=0)
    rotation: float = Field(ge=0, le=180, description="largest angle of the augmentation, degrees")
    seed: Seed


class Cutouts(Section):
    """Real cutouts that the trained network classifies too."""

    path: InputPath
    pixel_scale: float = Field(gt=0, description="arcsec")


class Test(Section):
    """The test of the classifier."""

    worst: int = Field(ge=0, description="validation galaxies of highest loss that are drawn")
    cutouts: Cutouts | None
    bootstrap: int = Field(ge=2)
    seed: Seed


class Heatmaps(Section):
    """Maps of both classes."""

    score: Score
    redshift: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]
    galaxies: int = Field(ge=1, description="validation galaxies, at most")
    methods: int = Field(ge=1, description="of these, galaxies that all methods explain")
    background: int = Field(ge=1, description="training images that SHAP compares with")
    seed: Seed


class Evaluate(Section):
    """The maps against the true metallicities."""

    radius: float = Field(gt=0, le=5, description="effective radii within which maps are compared")
    bootstrap: int = Field(ge=2)
    seed: Seed


class Features(Section):
    """The plane of UMAP."""

    neighbours: int = Field(ge=2)
    min_dist: float = Field(ge=0, le=1)
    seed: Seed


class Metallicity(Section):
    """The chapter ``metallicity``."""

    data: Data
    simulate: Simulate
    transform: Transform
    network: Network
    find_learning_rate: FindLearningRate
    train: Training
    test: Test
    heatmaps: Heatmaps
    evaluate: Evaluate
    regress: Training
    features: Features
