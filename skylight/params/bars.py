"""Parameters of the galaxy-bars chapter."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skylight.errors import InputError
from skylight.params.section import Section

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Simulate(Section):
    """The simulated survey."""

    training: int = Field(ge=1)
    test: int = Field(ge=0)
    catalogue: int = Field(ge=1)
    median_petror90: float = Field(gt=0, description="of the training and test galaxies, arcsec")
    voters: int = Field(ge=20)
    length_scatter: float = Field(gt=0, description="relative scatter of the lengths that people draw")
    seed: Seed


class Augmentation(Section):
    """How far training images are changed."""

    rotation_range: float = Field(ge=0, le=360, description="degrees either way")
    horizontal_flip: bool
    vertical_flip: bool
    width_shift_range: float = Field(ge=0, lt=1, description="of the image, either way")
    height_shift_range: float = Field(ge=0, lt=1)
    brightness_range: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]
    noise_range: float = Field(ge=0, description="largest standard deviation of added noise, of the image's range")


class Data(Section):
    """Where the survey is, and how its images are read."""

    path: str
    truth: str | None = Field(description="folder of truth.csv and masks/, for the evaluation; null if unknown")
    crop: int = Field(ge=1, le=424, description="central pixels that are kept, of 424")
    size: int = Field(ge=71, description="pixels that they are reduced to; Xception takes no fewer")
    validation_split: Fraction
    max_rejected: int = Field(ge=0)
    augmentation: Augmentation
    seed: Seed


class ReduceLr(Section):
    """Keras's ReduceLROnPlateau."""

    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0)


class EarlyStopping(Section):
    """Keras's EarlyStopping; the best epoch's weights are kept."""

    patience: int = Field(ge=0)


class Network(Section):
    """The build of one network, and how long and how fast it learns."""

    width: float = Field(gt=0, description="factor on the filters of every convolution")
    min_filters: int = Field(ge=1, description="of any convolution, whatever the width")
    momentum: float = Field(gt=0, lt=1, description="of every batch normalisation")
    weights: Literal["imagenet"] | None
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)

    @model_validator(mode="after")
    def _imagenet_is_of_full_width(self):
        if self.weights is not None and self.width != 1:
            raise ValueError(f"weights imagenet need width 1, got {self.width}")
        return self


class Networks(Section):
    """The three networks; their answers, maps and lengths are also averaged."""

    vgg16: Network
    resnet50v2: Network
    xception: Network


class Train(Section):
    """What all trainings share."""

    batch_size: int = Field(ge=1)
    schedule: Literal["plateau", "cosine"] = Field(description="of the learning rate; reduce_lr is for plateau")
    reduce_lr: ReduceLr
    early_stopping: EarlyStopping
    seed: Seed


class Smoothgrad(Section):
    """The heatmaps."""

    smooth_samples: int = Field(ge=1)
    smooth_noise: float = Field(ge=0)
    brightness: Fraction | None = Field(description="luminance that the galaxies are brought to first; null: as is")
    colours: Literal["mean", "max"] = Field(description="what a map keeps of the three colours")
    symmetries: bool = Field(description="share the samples out over the turns and reflections of the image")
    shift: int = Field(ge=0, description="pixels by which the samples are shifted as well")
    seed: Seed

    @model_validator(mode="after")
    def _copies_fit(self):
        if self.symmetries and self.smooth_samples % 8:
            raise ValueError(f"smooth_samples must be a multiple of 8 with symmetries, got {self.smooth_samples}")
        if self.shift and not self.symmetries:
            raise ValueError(f"shift needs symmetries: true, got {self.shift}")
        return self


class BarlengthMask(Section):
    """The settings that are tried on the validation part."""

    corr_threshold: list[Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    len_threshold: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    xinput: list[bool] = Field(min_length=1)


class TestSetting(Section):
    """The one setting that the test part uses."""

    corr_threshold: float = Field(ge=0, le=1)
    len_threshold: int = Field(ge=1)
    xinput: bool


class Xai(Section):
    """From heatmaps to bar lengths."""

    validation_split: Fraction
    test_split: Fraction = Field(description="last part of the catalogue, which the control is tested on")
    smoothgrad: Smoothgrad
    barlength_mask: BarlengthMask
    test_setting: TestSetting | None = Field(description="null: the best on the validation part, of each estimator")
    bootstrap: int = Field(ge=2)
    seed: Seed

    @model_validator(mode="after")
    def _control_is_tested_on_test_galaxies(self):
        if self.test_split > 1 - self.validation_split:
            raise ValueError("test_split must lie within the part that validation_split leaves")
        return self


class Bars(Section):
    """The chapter ``bars``."""

    data: Data
    simulate: Simulate
    networks: Networks
    control: Network = Field(description="the Xception that regresses lengths")
    train: Train
    xai: Xai

    @property
    def models(self) -> list[str]:
        """The names of the networks, in the order of the tables and figures."""
        return list(type(self.networks).model_fields)

    def network(self, name: str) -> Network:
        """The settings of one network; `InputError` lists the known ones if there is none of that name."""
        if name not in self.models:
            raise InputError(f"no network is called {name!r} (known: {', '.join(self.models)})")
        return getattr(self.networks, name)
