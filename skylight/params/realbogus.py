"""Parameters of the real-bogus chapter."""

from typing import Annotated

from pydantic import Field

from skylight.params.section import InputPath, Score, Section, Seed

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Data(Section):
    """The alert packets and their labels."""

    path: InputPath = Field(description="a file of alert packets, a tar archive or a folder of them")
    labels: InputPath = Field(description="CSV table with the columns candid and label (0 bogus, 1 real)")


class Simulate(Section):
    """The simulated survey."""

    alerts: int = Field(ge=2)
    seed: Seed


class Transform(Section):
    """Packets to triplets."""

    max_rejected: Share = Field(description="largest share of the packets that may be rejected")


class Train(Section):
    """The training of the network."""

    test_fraction: Fraction
    validation_fraction: Fraction = Field(description="share of the alerts outside of the test part")
    split_seed: Seed
    epochs: int = Field(ge=1)
    patience: int = Field(ge=0, description="epochs without a smaller validation loss before the training stops")
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    seed: Seed


class Subcategories(Section):
    """The rule that sorts alerts into subcategories; see `skylight.alerts.subcategories`."""

    peak_snr: float = Field(gt=0)
    peak_axis_ratio: Share
    blank_radius: float = Field(gt=0)
    blank_share: Share
    masked_share: Share


class Realism(Section):
    """The comparison of the alerts with real ones."""

    packets: Data | None = Field(description="real alert packets and their labels; null: none")


class Heatmaps(Section):
    """The explanations of single alerts."""

    score: Score
    max_misclassified: int = Field(ge=0)
    min_probability: Share
    max_objects_per_subcategory: int = Field(ge=1)
    background: int = Field(ge=1, description="training triplets that SHAP compares with")
    seed: Seed
    subcategories: Subcategories


class Methods(Section):
    """The scorecard of many methods of attribution on validation alerts."""

    alerts: int = Field(ge=2, description="alerts, half of them of each class")
    samples: int = Field(ge=1, description="noisy copies of SmoothGrad")
    lrp_rules: list[str]
    seed: Seed


class ClassMaps(Section):
    """The explanations of classes."""

    candidate_probability: Share
    width: int = Field(ge=1, description="filters of the first layers of the GAN")
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    min_objects: int = Field(ge=1)
    min_correlation: float = Field(ge=-1, le=1)
    maximization_steps: int = Field(ge=1)
    maximization_smoothness: float = Field(ge=0, description="weight of the total variation")
    seed: Seed


class Realbogus(Section):
    """The chapter ``realbogus``."""

    data: Data
    simulate: Simulate
    transform: Transform
    train: Train
    realism: Realism
    heatmaps: Heatmaps
    methods: Methods
    class_maps: ClassMaps
