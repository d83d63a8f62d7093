"""The base of every section of ``params.yaml``, and the types that several chapters use."""

import re
from pathlib import Path
from typing import Annotated, Literal

import pydantic

NO_INPUTS = (Path("data/processed"), Path("out"))
"""Folders of outputs, which stages and DVC replace, so that no survey of the user can be there."""


Score = Literal["logit", "log_odds", "probability"]
"""What a map explains; see `skylight.attribution.scoring.Score`."""


class BadKey(ValueError):
    """Keys of a section do not go together; ``key``, relative to the section, is the one to name in the message."""

    def __init__(self, key: str, reason: str):
        super().__init__(reason)
        self.key = key


class Section(pydantic.BaseModel):
    """A section of parameters.

    Unknown keys, values of a wrong type, infinite numbers and NaN are errors; the values cannot be changed.
    """

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def plain_name(name: str) -> str:
    """Check a name that becomes a part of paths and of the command lines in ``dvc.yaml``."""
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_-]{0,99}", name):
        raise ValueError(f"a name must be 1 to 100 letters (A to Z), digits, _ and -, not first a -, got {name!r}")
    return name


def input_path(path: str) -> str:
    """Check that a path of the user is not, contains or lies in a folder that stages write."""
    if not path or "\0" in path:
        raise ValueError(f"must be a path, got {path!r}")
    place = Path(path).resolve()
    for folder in NO_INPUTS:
        own = folder.resolve()
        if place == own or own in place.parents or place in own.parents:
            raise ValueError(f"must be outside of {folder}, which the stages write, got {path!r}")
    return path


Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
Name = Annotated[str, pydantic.AfterValidator(plain_name)]
InputPath = Annotated[str, pydantic.AfterValidator(input_path)]
