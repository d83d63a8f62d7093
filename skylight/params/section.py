"""The base of every section of ``params.yaml``."""

import pydantic


class Section(pydantic.BaseModel):
    """A section of parameters: unknown keys and values of another type are errors, values do not change."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)
