"""Parameters of the galaxy-bars chapter."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from skylight.errors import InputError
from skylight.params.section import BadKey, InputPath, Name, Score, Section, Seed

Fraction = Annotated[float, Field(gt=0, lt=1)]
RESERVED = {"control", "ensemble", "averageheatmaps", "averagemeasurements"}
"""Names of other outputs, which no network can have."""


class Data(Section):
    """The survey and how it is split."""

    path: InputPath
    truth: InputPath | None = Field(description="folder of truth.csv and masks/, for the evaluation; null if unknown")
    split_seed: Seed


class Simulate(Section):
    """The simulated survey."""

    training: int = Field(ge=1)
    test: int = Field(ge=0)
    catalogue: int = Field(ge=1)
    median_petror90: float = Field(gt=0, description="of the training and test galaxies, arcsec")
    voters: int = Field(ge=20)
    length_scatter: float = Field(gt=0, description="relative scatter of the lengths that people draw")
    seed: Seed


class Transform(Section):
    """Pictures to arrays."""

    crop: int = Field(ge=1, le=424, description="central pixels that are kept, of 424")
    size: int = Field(ge=71, description="pixels that they are reduced to; Xception accepts no fewer")
    max_rejected: float = Field(ge=0, le=1, description="share of the pictures of each part")


class Augmentation(Section):
    """Random changes of the training images; the names are those of Keras's ``ImageDataGenerator``."""

    rotation_range: float = Field(ge=0, le=360, description="largest angle in degrees, in both directions")
    horizontal_flip: bool
    vertical_flip: bool
    width_shift_range: float = Field(ge=0, lt=1, description="largest shift / width, in both directions")
    height_shift_range: float = Field(ge=0, lt=1, description="largest shift / height, in both directions")
    brightness_range: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]
    noise_range: float = Field(ge=0, description="largest standard deviation of the noise / range of the image")


class Network(Section):
    """One network and its training."""

    width: float = Field(gt=0, description="factor on the filters of every convolution")
    min_filters: int = Field(ge=1, description="of any convolution, whatever the width")
    momentum: float = Field(gt=0, lt=1, description="of every batch normalisation")
    weights: Literal["imagenet"] | None
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)

    @model_validator(mode="after")
    def _imagenet_needs_full_width(self):
        if self.weights is not None and self.width != 1:
            raise BadKey("width", f"must be 1 with weights: imagenet, got {self.width}")
        return self


class ReduceLr(Section):
    """Keras's ReduceLROnPlateau."""

    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0)


class EarlyStopping(Section):
    """Keras's EarlyStopping; the weights of the best epoch are kept."""

    patience: int = Field(ge=0)


class Train(Section):
    """Settings that all trainings share."""

    validation_split: Fraction
    augmentation: Augmentation
    batch_size: int = Field(ge=1)
    schedule: Literal["plateau", "cosine"] = Field(description="of the learning rate; reduce_lr is for plateau")
    reduce_lr: ReduceLr
    early_stopping: EarlyStopping
    seed: Seed


class Heatmaps(Section):
    """SmoothGrad maps of the answer "there is a bar"."""

    score: Score
    smooth_samples: int = Field(ge=1)
    smooth_noise: float = Field(ge=0)
    brightness: Fraction | None = Field(description="luminance that all galaxies are scaled to first; null: no scaling")
    colours: Literal["mean", "max"] = Field(description="how the three colours of a map become one")
    symmetries: bool = Field(description="share the noisy copies among the rotations and reflections of the image")
    shift: int = Field(ge=0, description="largest shift of the noisy copies, pixels")
    seed: Seed

    @model_validator(mode="after")
    def _copies_fit(self):
        if self.symmetries and self.smooth_samples % 8:
            raise BadKey("smooth_samples", f"must be a multiple of 8 with symmetries, got {self.smooth_samples}")
        if self.shift and not self.symmetries:
            raise BadKey("shift", f"must be 0 without symmetries, got {self.shift}")
        return self


class TestSetting(Section):
    """One setting of the threshold scan."""

    corr_threshold: float = Field(ge=0, le=1)
    len_threshold: int = Field(ge=1)
    xinput: bool


class Measure(Section):
    """From heatmaps to bar lengths."""

    validation_split: Fraction
    test_split: Fraction = Field(description="last part of the catalogue, on which the control is tested")
    corr_threshold: list[Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    len_threshold: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    xinput: list[bool] = Field(min_length=1)
    test_setting: TestSetting | None = Field(description="for all estimators; null: the best of each on validation")
    bootstrap: int = Field(ge=2)
    seed: Seed

    @model_validator(mode="after")
    def _control_is_tested_on_test_galaxies(self):
        if self.test_split > 1 - self.validation_split:
            raise BadKey("test_split", "must lie within the part that validation_split leaves")
        return self


class Command(Section):
    """The command ``skylight measure``; no stage reads it."""

    min_bar_fraction: float = Field(ge=0, le=1, description="of the volunteers, below which the answer is no bar")


class Bars(Section):
    """The chapter ``bars``."""

    data: Data
    simulate: Simulate
    transform: Transform
    train: Train
    networks: dict[Name, Network] = Field(min_length=1)
    control: Network = Field(description="the Xception that is trained on lengths")
    heatmaps: Heatmaps
    measure: Measure
    command: Command

    def network(self, name: str) -> Network:
        """Return the settings of one network; `InputError` lists the known names if there is none of this name."""
        if name not in self.networks:
            raise InputError(f"no network is called {name!r} (known: {', '.join(self.networks)})")
        return self.networks[name]

    @field_validator("networks")
    @classmethod
    def _names_are_free(cls, networks: dict[str, Network]):
        for name in networks:
            if name in RESERVED:
                raise ValueError(f"no network can be called {name}, because other outputs are")
        return networks
