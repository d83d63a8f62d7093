"""The base of every section of ``params.yaml``."""

import pydantic


class Section(pydantic.BaseModel):
    """A section of parameters. Unknown keys and values of a wrong type are errors; the values cannot be changed."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)
