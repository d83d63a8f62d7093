"""Parameters of a survey of light curves: where its files are, and how to read them."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from skylight.params.section import BadKey, Section


def _ascending(limits: list[float]) -> list[float]:
    if limits[0] >= limits[1]:
        raise ValueError(f"must ascend, got {limits}")
    return limits


def _delimiter(text: str) -> str:
    """Return the delimiter; any number of blanks is one blank."""
    if text and not text.strip(" "):
        return " "
    if (
        len(text) != 1
        or not text.isascii()
        or text.isalnum()
        or text in "#\"'.+-_\\"
        or not (text == "\t" or text > " ")
    ):
        raise ValueError(
            f"must be one character such as , ; | or a tab, or a blank for any number of blanks, got {text!r}"
        )
    return text


def _printable(path: str) -> str:
    if not path or not path.isprintable():
        raise ValueError(f"must be a path without control characters, got {path!r}")
    _check_length(path)
    return path


def _check_length(path: str) -> None:
    """Check that a file system can have the path: it takes names of at most 255 bytes."""
    longest = max(len(part.encode(errors="surrogateescape")) for part in path.split("/"))
    if longest > 255 or len(path) > 4000:
        raise ValueError(f"must be a path of names of at most 255 bytes, got {len(path)} characters")


def _inside(path: str) -> str:
    """Check that a path stays in the folder that it is relative to, where DVC sees its changes."""
    parts = PurePosixPath(path)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or not path.isprintable():
        raise ValueError(f"must be a path inside the survey's path, got {path!r}")
    _check_length(path)
    return path


def _codes_as_text(classes: object) -> object:
    """Return the classes with their numbers, such as 4 for RRab, as texts."""
    if not isinstance(classes, dict):
        return classes
    return {str(name) if type(name) is int else name: value for name, value in classes.items()}


Position = Annotated[int, Field(ge=0, lt=10_000)]
Column = Annotated[str, Field(min_length=1)] | Position
Delimiter = Annotated[str, AfterValidator(_delimiter)]
SkippedRows = Annotated[int, Field(ge=0, le=1_000_000)]
Inside = Annotated[str, AfterValidator(_inside)]
Limit = Annotated[float, Field(allow_inf_nan=False)]
Range = Annotated[list[Limit], Field(min_length=2, max_length=2), AfterValidator(_ascending)]


class Rows(Section):
    """The rows to keep; a value outside, such as 99.999 for "not measured", is no measurement. Null: no limit."""

    path: Annotated[str, AfterValidator(_printable)]
    time_range: Range | None = Field(None, description="first and last time")
    mag_range: Range | None = Field([-5.0, 40.0], description="brightest and faintest magnitude")
    magerr_range: Range | None = Field([0.0, 9.0], description="smallest and largest error of a magnitude")


class Columns(Section):
    """The columns of the values: names in the header row, or positions from 0 in a file without header."""

    time: Column
    mag: Column
    magerr: Column | None = Field(None, description="null where the survey gives no errors")
    band: Column | None = None


class TableColumns(Columns):
    """The columns of a table of all objects: those of the values, and the id of the object."""

    id: Column


class Labels(Section):
    """The table of classes: one row per object."""

    path: Inside = Field(description="file, relative to the survey's path")
    id: Column
    class_: Column = Field(alias="class")
    delimiter: Delimiter = ","
    skip_rows: SkippedRows = Field(0, description="rows above the header, or above the data when by position")
    classes: Annotated[dict[str, str | None], BeforeValidator(_codes_as_text)] = Field(
        description="class in the table -> its name in periodic.classes, or null to leave its objects out"
    )
    others: Literal["rejected", None] = Field(
        "rejected", description="what objects of the other classes are; null leaves them out"
    )


class CrtsLayout(Rows):
    """The published layout: ``classes.csv`` and ``indiv_lc/class<N>/<lcid>.csv``."""

    layout: Literal["crts"]


class BandsLayout(Rows):
    """Any other layout: files may have rows of several bands."""

    delimiter: Delimiter = ","
    skip_rows: SkippedRows = Field(0, description="rows above the header, or above the data when by position")
    band: str | None = Field(None, description="only rows of this band; null takes all rows")
    labels: Labels | None = None


class FilesLayout(BandsLayout):
    """One delimited file per object."""

    layout: Literal["files"]
    files: Inside = Field(description="file of an object, relative to path, with {id} (and {class}) in it")
    columns: Columns

    @model_validator(mode="after")
    def _consistent(self):
        if self.files.count("{id}") != 1:
            raise BadKey("files", f"must have {{id}} in it once, got {self.files!r}")
        if "*" in self.files:
            raise BadKey("files", f"takes no *, {{id}} stands for any id, got {self.files!r}")
        if "{class}" in self.files and self.labels is None:
            raise BadKey("files", "has {class} in it, which needs labels")
        return _band_has_a_column(self)


class TableLayout(BandsLayout):
    """One table of all objects, CSV or Parquet."""

    layout: Literal["table"]
    table: Inside = Field(description="the table, relative to path; .parquet, or any other ending for delimited text")
    columns: TableColumns

    @model_validator(mode="after")
    def _consistent(self):
        return _band_has_a_column(self)


def _band_has_a_column(data):
    if data.band is not None and data.columns.band is None:
        raise BadKey("columns.band", f"must be there to select the band {data.band!r}")
    return data


Data = Annotated[CrtsLayout | FilesLayout | TableLayout, Field(discriminator="layout")]
