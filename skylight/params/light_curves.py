"""Parameters of a survey of light curves: where its files are, and how to read them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skylight.params.section import Section

Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)]
TimeRange = Annotated[list[float], Field(min_length=2, max_length=2)]


class Columns(Section):
    """The columns of the values: names in the header row, or positions from 0 in a file without header."""

    time: Column
    mag: Column
    magerr: Column
    band: Column | None = None


class TableColumns(Columns):
    """The columns of a table of all objects: those of the values, and the id of the object."""

    id: Column


class Labels(Section):
    """The table of classes: one row per object."""

    path: str = Field(description="file, relative to the survey's path")
    id: Column
    class_: Column = Field(alias="class")
    delimiter: str = ","
    skip_rows: int = Field(0, ge=0, description="rows above the header, or above the data when by position")
    classes: dict[str, str | None] = Field(
        description="name of a class in the table -> its name in periodic.classes, or null to leave its objects out"
    )


class CrtsLayout(Section):
    """The published layout: ``classes.csv`` and ``indiv_lc/class<N>/<lcid>.csv``."""

    layout: Literal["crts"]
    path: str
    time_range: TimeRange | None = Field(None, description="only rows from the first time to the second")


class BandsLayout(Section):
    """Any other layout: files may have rows of several bands."""

    path: str
    delimiter: str = ","
    skip_rows: int = Field(0, ge=0, description="rows above the header, or above the data when by position")
    band: str | None = Field(None, description="only rows of this band; null takes all rows")
    time_range: TimeRange | None = Field(None, description="only rows from the first time to the second")
    labels: Labels | None = None


class FilesLayout(BandsLayout):
    """One delimited file per object."""

    layout: Literal["files"]
    files: str = Field(description="file of an object, relative to path, with {id} (and {class}) in it")
    columns: Columns

    @model_validator(mode="after")
    def _consistent(self):
        if self.files.count("{id}") != 1:
            raise ValueError(f"files must have {{id}} in it once, got {self.files!r}")
        if "{class}" in self.files and self.labels is None:
            raise ValueError("files has {class} in it, which needs labels")
        return _band_has_a_column(self)


class TableLayout(BandsLayout):
    """One table of all objects, CSV or Parquet."""

    layout: Literal["table"]
    table: str = Field(description="the table, relative to path; .parquet, or any other ending for delimited text")
    columns: TableColumns

    @model_validator(mode="after")
    def _consistent(self):
        return _band_has_a_column(self)


def _band_has_a_column(data):
    if data.band is not None and data.columns.band is None:
        raise ValueError(f"band {data.band!r} needs columns.band")
    return data


Data = Annotated[CrtsLayout | FilesLayout | TableLayout, Field(discriminator="layout")]
