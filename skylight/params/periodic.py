"""Parameters of the chapter on periodic variables."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from skylight.light_curves.features import FEATURES
from skylight.outputs import FORMULA
from skylight.params.light_curves import Data
from skylight.params.section import BadKey, Name, Score, Section, Seed, input_path

Fraction = Annotated[float, Field(ge=0, le=1)]
LONGEST_NAME = 60  # characters of a class; it is in figures, tables and messages


def _ascending(edges: list[float]) -> list[float]:
    if any(b <= a for a, b in pairwise(edges)):
        raise ValueError("edges must ascend")
    return edges


def _class_name(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a class must have a name of at most {LONGEST_NAME} characters, got {len(name):,}")
    if not name or not name.isprintable() or name[0] in FORMULA or name != name.strip():
        raise ValueError(f"a class must be a name that does not begin with a space or one of {FORMULA}, got {name!r}")
    return name


def _different(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there {names.count(name)} times")
    return names


ClassName = Annotated[str, AfterValidator(_class_name)]
Edges = Annotated[list[float], Field(min_length=13), AfterValidator(_ascending)]


class Simulate(Section):
    """The simulated surveys."""

    seed: Seed
    scale: float = Field(gt=0, description="number of CRTS stars / 45,630")
    ztf_stars: int = Field(ge=1)
    ptf_stars: int = Field(ge=1)


class Dmdt(Section):
    """The grid of the dmdt images; the network needs at least 12 rows and 12 columns."""

    dm_edges: Edges
    dt_edges: Edges


class Transform(Section):
    """The transformation of light curves to dmdt images and features."""

    augmentation: Literal["vanilla", "double", "sample_1"]
    sample_to: int = Field(ge=1)
    seed: Seed
    max_rejected: Fraction


class Train(Section):
    """The training of the network."""

    shuffle_seed: Seed
    split_seed: Seed
    test_fraction: float = Field(gt=0, lt=1)
    sampling: Literal["none", "smote", "under", "smote_under"]
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    seed: Seed


class Test(Section):
    """The forest that the network is compared with."""

    trees: int = Field(ge=1)
    seed: Seed


class Forest(Section):
    """The explanation of the forest."""

    objects_per_class: int = Field(ge=1)
    background: int = Field(ge=1)
    coalitions: int = Field(ge=2 * len(FEATURES))
    seed: Seed


class Examples(Section):
    """The objects to draw."""

    max_misclassified: int = Field(ge=0)


class Engines(Section):
    """What computes each map of an object; blanking is in no library."""

    gradcam: Literal["skylight", "tf_keras_vis"]
    saliency: Literal["skylight", "tf_keras_vis"]
    deep_shap: Literal["skylight", "shap"]


class Heatmaps(Section):
    """The explanations of single objects."""

    score: Score
    min_probability: Fraction
    max_objects_per_class: int = Field(ge=1)
    background: int = Field(ge=1)
    engines: Engines
    seed: Seed


class Methods(Section):
    """All methods of attribution on one object, and tests of their faithfulness."""

    example_class: str
    objects_per_class: int = Field(ge=1)
    lrp_rules: list[str]
    seed: Seed


class Libraries(Section):
    """The comparison with other libraries."""

    objects_per_class: int = Field(ge=1)
    background: int = Field(ge=1)
    scores: list[Literal["logit", "log_odds", "probability"]] = Field(min_length=1)


class ClassMaps(Section):
    """Explanations of a class: lighting, activation maximization and pix2piXAI, and the test of them by blanking."""

    max_objects_per_class: int = Field(ge=1)
    min_probability: Fraction
    candidate_probability: Fraction
    min_objects: int = Field(ge=1)
    width: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    blanked_cells: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    random_draws: int = Field(ge=1)
    seed: Seed


class Transfer(Section):
    """The trained network on other surveys, before and after fine-tuning."""

    surveys: dict[Name, Data]
    train_fraction: float = Field(gt=0, lt=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    seed: Seed


class Periodic(Section):
    """The chapter ``periodic``."""

    classes: Annotated[list[ClassName], Field(min_length=2), AfterValidator(_different)]
    data: Data
    simulate: Simulate
    dmdt: Dmdt
    transform: Transform
    train: Train
    test: Test
    forest: Forest
    examples: Examples
    heatmaps: Heatmaps
    methods: Methods
    libraries: Libraries
    class_maps: ClassMaps
    transfer: Transfer

    @model_validator(mode="after")
    def _cells_fit_the_grid(self):
        cells = (len(self.dmdt.dm_edges) - 1) * (len(self.dmdt.dt_edges) - 1)
        if max(self.class_maps.blanked_cells) > cells:
            most = max(self.class_maps.blanked_cells)
            raise BadKey("class_maps.blanked_cells", f"must be at most {cells}, the cells of the grid, got {most}")
        return self

    @property
    def surveys(self) -> dict[str, Data]:
        """Key in the section -> the description of a survey."""
        return {"data": self.data} | {f"transfer.surveys.{name}": data for name, data in self.transfer.surveys.items()}

    @model_validator(mode="after")
    def _surveys_are_outside_of_outputs(self):
        for key, data in self.surveys.items():
            try:
                input_path(data.path)
            except ValueError as error:
                raise BadKey(f"{key}.path", str(error)) from None
        return self

    @model_validator(mode="after")
    def _the_survey_for_the_training_has_labels(self):
        if getattr(self.data, "labels", True) is None:
            raise BadKey("data.labels", "must not be null, the network is trained on this survey")
        return self

    @model_validator(mode="after")
    def _labels_map_to_classes(self):
        for key, data in self.surveys.items():
            labels = getattr(data, "labels", None)
            for name, class_name in (labels.classes if labels else {}).items():
                if class_name is not None and class_name not in self.classes:
                    raise BadKey(
                        f"{key}.labels.classes.{name}",
                        f"must be null or one of {', '.join(self.classes)}, got {class_name!r}",
                    )
        return self
