"""The texts and tables of a chapter in the report: ``stages/<chapter>/report.yaml``.

The file contains texts and published numbers only. For a number of this repository it names the output file and the
key to read it from. Texts are Markdown with placeholders: ``{{ params... }}`` is a parameter, ``{{ survey }}`` is the
data of the chapter, and ``{{ value(file, key, format) }}`` is a number read from an output.

Only ``report.yaml`` is a template. Parameters and outputs are data: they are never rendered, and what would be Markdown
or HTML in them is shown as it is.
"""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup
from pydantic import Field

from skylight import params
from skylight.errors import InputError
from skylight.params.section import Section

ABSENT = "–"
SIMULATED = "data/simulated/"


class Paper(Section):
    """The paper that a chapter re-creates."""

    text: str
    url: str = Field(pattern="^https?://")


class Row(Section):
    """A row of a table. ``published`` is copied from the paper; ``key`` (and ``error``) are read from ``file``."""

    label: str
    published: str = ""
    key: str
    error: str | None = None
    file: str | None = None
    where: dict[str, str] = Field(default_factory=dict)
    format: str | None = None
    needs: str | None = Field(None, description="key of params.yaml without which the row is left out")


class Table(Section):
    """Published and own results; ``published`` and ``data`` (default: the survey) name the data that they are from."""

    title: str
    published: str | None = None
    data: str | None = None
    file: str
    format: str = ".3f"
    note: str = ""
    rows: list[Row]
    needs: str | None = Field(None, description="key of params.yaml without which the table is left out")


class Part(Section):
    """Figures with a title and a text. A folder in place of a figure means all figures in it."""

    title: str
    text: str = ""
    figures: dict[str, str] = Field(default_factory=dict)
    needs: str | None = Field(None, description="key of params.yaml without which the part is left out")


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

    def with_settings(self, settings: dict) -> "Chapter":
        """Return the chapter without what needs a key that ``settings`` lack or leave empty.

        Outputs of an earlier run, with other settings, may still be there.
        """
        tables = [
            table.model_copy(update={"rows": _that_apply(table.rows, settings)})
            for table in _that_apply(self.tables, settings)
        ]
        return self.model_copy(update={"tables": tables, "parts": _that_apply(self.parts, settings)})


def _that_apply(entries: list, settings: dict) -> list:
    return [entry for entry in entries if entry.needs is None or _setting(settings, entry.needs)]


def _setting(settings: dict, key: str) -> object:
    """Return the value of a key (``periodic.transfer.surveys``); None if there is none."""
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def read_chapter(path: str | Path) -> Chapter:
    """Read and check the ``report.yaml`` of a chapter; without the file, the title is the name of its folder.

    Raises
    ------
    InputError
        The file is not YAML, or a key is unknown, missing, given twice or of a wrong type. The message names the file
        and the line or key.
    """
    path = Path(path)
    if not path.exists():
        return Chapter(title=path.parent.name)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # nosec B506: it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    try:
        return params.check(Chapter, content)
    except InputError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


class _UniqueKeys(yaml.SafeLoader):
    """A loader for which a key that is given twice is an error; PyYAML's own would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(problem=f"{key.value} twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def real_data(name: str, settings: dict) -> str | None:
    """Return the path of the data of a chapter, or None if they are simulated."""
    path = settings.get(name, {}).get("data", {}).get("path", SIMULATED)
    return None if path.startswith(SIMULATED) else path


def code_span(text: str) -> str:
    """Return Markdown that shows a text as code, whatever is in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def plain(value: Any) -> Any:
    """Return Markdown that shows a text as it is; other values are not changed."""
    return re.sub(r"[\\`*_\[\]<>&!#|~]", r"\\\g<0>", " ".join(value.split())) if isinstance(value, str) else value


def value(file: str | Path, key: str, where: dict[str, str] | None = None) -> Any:
    """Read one number or text from an output; None if the file, the row or the key does not exist.

    Parameters
    ----------
    file
        A ``.json`` file of metrics, or a ``.csv`` table.
    key
        In JSON the nested keys of the value, joined by dots (``cnn.f1.RS CVn``); in CSV the column.
    where
        In CSV, values by column: the first row with all of them is read.
    """
    file = Path(file)
    if not file.exists():
        return None
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if all(row.get(k) == v for k, v in (where or {}).items())]
        return _number(rows[0].get(key)) if rows else None
    here = json.loads(file.read_text(encoding="utf-8"))
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
    """Format a value for a table: counts are rounded, a text is not changed, None is a dash."""
    if number is None:
        return ABSENT
    if isinstance(number, str):
        return number
    if form.endswith("d"):
        number = round(number)
    return format(number, form)


@dataclass
class Words:
    """Renders the texts of a chapter: fills in the placeholders and converts Markdown to HTML."""

    source: str
    settings: dict
    simulated: str
    path: str | None = None

    def __post_init__(self):
        # Outputs of a template are data, but for Markdown that was made here.
        self.jinja = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            finalize=lambda found: found if isinstance(found, Markup) else plain(found),
        )
        self.markdown = MarkdownIt("commonmark", {"html": False})
        self._survey = self.filled(self.simulated) if self.path is None else code_span(self.path)

    @property
    def survey(self) -> Markup:
        """The data of the chapter: its simulation, or the path that ``params.yaml`` has instead."""
        return Markup(self.markdown.renderInline(self._survey))  # nosec B704: markdown without HTML

    def filled(self, text: str) -> str:
        """Replace the placeholders of a text by parameters and numbers; `InputError` if it is not a good template."""
        try:
            return self.jinja.from_string(text).render(
                params=self.settings,
                survey=Markup(getattr(self, "_survey", "")),  # nosec B704: becomes markdown, whose HTML is escaped
                value=lambda file, key, form=".3f", **where: shown(value(file, key, where), form),
            )
        except Exception as error:  # a template can raise anything: {{ 1 / 0 }}
            raise InputError(f"{self.source}: {error} (in: {text.strip().splitlines()[0]})") from error

    def block(self, text: str) -> Markup:
        """Render paragraphs."""
        return Markup(self.markdown.render(self.filled(text)))  # nosec B704: markdown without HTML

    def inline(self, text: str) -> Markup:
        """Render one line, without a paragraph around it."""
        return Markup(self.markdown.renderInline(self.filled(text)))  # nosec B704: markdown without HTML


def table_cells(table: Table, words: Words) -> list[tuple[Markup, str, str]]:
    """Return the label, the published value and the value of this repository of every row."""
    rows = []
    for row in table.rows:
        file, form = row.file or table.file, row.format or table.format
        here = shown(value(file, row.key, row.where), form)
        if row.error and here != ABSENT:
            here += f" ± {shown(value(file, row.error, row.where), form)}"
        rows.append((words.inline(row.label), row.published, here))
    return rows
