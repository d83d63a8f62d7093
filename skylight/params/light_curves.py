"""Parameters that say where a survey's light curves are and how to read them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skylight.params.section import Section

Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)]
TimeRange = Annotated[list[float], Field(min_length=2, max_length=2)]


class Columns(Section):
    """Where the values stand: names from the header row, or positions from 0 in a file without one."""

    time: Column
    mag: Column
    magerr: Column
    band: Column | None = None


class TableColumns(Columns):
    """The same in a table of all objects, which also has the object's id."""

    id: Column


class Labels(Section):
    """The table of classes: a row an object."""

    path: str = Field(description="file, relative to the survey's path")
    id: Column
    class_: Column = Field(alias="class")
    delimiter: str = ","
    skip_rows: int = Field(0, ge=0, description="rows above the header, or above the data when by position")
    classes: dict[str, str | None] = Field(
        description="the table's name of a class -> the name in periodic.classes, or null to leave it out"
    )


class Selection(Section):
    """Which rows of a light curve count."""

    band: str | None = Field(None, description="only rows of this band; null takes all rows")
    time_range: TimeRange | None = Field(None, description="only rows from the first time to the second")


class CrtsLayout(Selection):
    """The published layout: ``classes.csv`` and ``indiv_lc/class<N>/<lcid>.csv``."""

    layout: Literal["crts"]
    path: str


class FilesLayout(Selection):
    """One delimited file an object."""

    layout: Literal["files"]
    path: str
    files: str = Field(description="file of an object, relative to path, with {id} (and {class}) in it")
    delimiter: str = ","
    skip_rows: int = Field(0, ge=0, description="rows above the header, or above the data when by position")
    columns: Columns
    labels: Labels | None = None

    @model_validator(mode="after")
    def _consistent(self):
        if self.files.count("{id}") != 1:
            raise ValueError(f"files must have {{id}} in it once, got {self.files!r}")
        if "{class}" in self.files and self.labels is None:
            raise ValueError("files has {class} in it, which needs labels")
        return _band_has_a_column(self)


class TableLayout(Selection):
    """One table of all objects, CSV or Parquet."""

    layout: Literal["table"]
    path: str
    table: str = Field(description="the table, relative to path; .parquet, or any other ending for delimited text")
    delimiter: str = ","
    skip_rows: int = Field(0, ge=0, description="rows above the header, or above the data when by position")
    columns: TableColumns
    labels: Labels | None = None

    @model_validator(mode="after")
    def _consistent(self):
        return _band_has_a_column(self)


def _band_has_a_column(data):
    if data.band is not None and data.columns.band is None:
        raise ValueError(f"band {data.band!r} needs columns.band")
    return data


Data = Annotated[CrtsLayout | FilesLayout | TableLayout, Field(discriminator="layout")]
