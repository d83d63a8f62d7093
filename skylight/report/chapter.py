"""What a chapter says in the report: ``stages/<chapter>/report.yaml``, and the numbers it takes from the outputs.

The file holds words and published numbers only. Every number of this repository stands there as the place it is read
from: a file of metrics and a key in it. Texts are Markdown; ``{{ params... }}`` in them is a parameter,
``{{ survey }}`` the data that the chapter ran on, and ``{{ value(file, key, format) }}`` a number read from an output.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from pydantic import Field
from ruamel.yaml import YAML, YAMLError

from skylight import params
from skylight.errors import InputError
from skylight.params.section import Section

ABSENT = "–"
SIMULATED = "data/simulated/"


class Paper(Section):
    """Where a chapter comes from."""

    text: str
    url: str


class Row(Section):
    """A line of a table; ``published`` is typed from the paper, ``key`` (and ``error``) are read from ``file``."""

    label: str
    published: str = ""
    key: str
    error: str | None = None
    file: str | None = None
    where: dict[str, str] = Field(default_factory=dict)
    format: str | None = None


class Table(Section):
    """Published | here: ``published`` names the data of the one, ``data`` (else the survey) that of the other."""

    title: str
    published: str | None = None
    data: str | None = None
    file: str
    format: str = ".3f"
    note: str = ""
    rows: list[Row]


class Part(Section):
    """Some figures with a title and a text. A folder instead of a figure stands for all pictures in it."""

    title: str
    text: str = ""
    figures: dict[str, str] = Field(default_factory=dict)


class Chapter(Section):
    """The whole of ``stages/<chapter>/report.yaml``."""

    title: str
    question: str = ""
    paper: Paper | None = None
    simulated: str = "simulated data"
    introduction: str = ""
    cover: str | None = None
    tables: list[Table] = Field(default_factory=list)
    parts: list[Part] = Field(default_factory=list)


def read_chapter(path: str | Path) -> Chapter:
    """Read and check a chapter's words; without a file, a chapter has its name for a title and nothing else.

    Raises
    ------
    InputError
        It is not YAML, or a key is unknown, missing or of a wrong type; the message names the file and the key.
    """
    path = Path(path)
    if not path.exists():
        return Chapter(title=path.parent.name)
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text())
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    try:
        return params.check(Chapter, content)
    except InputError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def survey(name: str, chapter: Chapter, settings: dict) -> str:
    """In words, the data that a chapter ran on: the simulation, or the path that the parameters point to instead."""
    path = settings.get(name, {}).get("data", {}).get("path", SIMULATED)
    return chapter.simulated if path.startswith(SIMULATED) else f"`{path}`"


def value(file: str | Path, key: str, where: dict[str, str] | None = None) -> Any:
    """Read one number or text from an output; None where the file, the row or the key is not there.

    Parameters
    ----------
    file
        A ``.json`` file of metrics, or a ``.csv`` table.
    key
        In JSON the keys down to the value, joined by dots (``cnn.f1.RS CVn``); in CSV the column.
    where
        In CSV, the columns that choose the row: the first row that has these values.
    """
    file = Path(file)
    if not file.exists():
        return None
    if file.suffix == ".csv":
        with file.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if all(row.get(k) == v for k, v in (where or {}).items())]
        return _number(rows[0].get(key)) if rows else None
    here = json.loads(file.read_text())
    for part in key.split("."):
        if not isinstance(here, dict) or part not in here:
            return None
        here = here[part]
    return here


def _number(text: str | None) -> Any:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def shown(number: Any, form: str) -> str:
    """``number`` as a table shows it: counts without a point, a text as it is, a dash for what is not there."""
    if number is None:
        return ABSENT
    if isinstance(number, str):
        return number
    if form.endswith("d"):
        number = round(number)
    return format(number, form)


@dataclass
class Words:
    """Renders a chapter's texts: placeholders filled in, Markdown to HTML."""

    source: str
    settings: dict
    survey: str

    def __post_init__(self):
        self.jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        self.markdown = MarkdownIt("commonmark", {"html": False})
        self.survey = self.filled(self.survey)

    def filled(self, text: str) -> str:
        """``text`` with parameters and numbers in place of the placeholders; `InputError` if one means nothing."""
        try:
            return self.jinja.from_string(text).render(
                params=self.settings,
                survey=self.survey,
                value=lambda file, key, form=".3f", **where: shown(value(file, key, where), form),
            )
        except jinja2.TemplateError as error:
            raise InputError(f"{self.source}: {error} (in: {text.strip().splitlines()[0]})") from None

    def block(self, text: str) -> Markup:
        """Paragraphs."""
        return Markup(self.markdown.render(self.filled(text)))

    def inline(self, text: str) -> Markup:
        """A line, without a paragraph around it."""
        return Markup(self.markdown.renderInline(self.filled(text)))


def table_cells(table: Table, words: Words) -> list[tuple[Markup, str, str]]:
    """Label, published and here of every row."""
    rows = []
    for row in table.rows:
        file, form = row.file or table.file, row.format or table.format
        here = shown(value(file, row.key, row.where), form)
        if row.error and here != ABSENT:
            here += f" ± {shown(value(file, row.error, row.where), form)}"
        rows.append((words.inline(row.label), row.published, here))
    return rows
