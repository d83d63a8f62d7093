"""The pages of the report: figures with the stage that made each, tables, parameters and times.

Each page is one HTML file that contains its figures and style.
"""

import base64
import csv
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from skylight.errors import InputError
from skylight.report.chapter import Chapter, Words, real_data, table_cells
from skylight.report.pipeline import Stage, draw, made_by

STAGE = "report"
TIME_COLUMNS = ["stage", "seconds", "processor_seconds", "peak_memory_mib", "machine"]


@dataclass(frozen=True)
class Picture:
    """A figure on a page: its file, its caption and the stage that made it."""

    path: Path
    caption: Markup
    stage: Stage

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, read from the header of the PNG."""
        header = self.path.read_bytes()[:24]
        if header[:8] != b"\x89PNG\r\n\x1a\n" or len(header) < 24:
            raise InputError(f"{self.path}: not a PNG image")
        return struct.unpack(">II", header[16:24])


@dataclass(frozen=True)
class Group:
    """Figures under one title; those of a folder have one caption and are hidden until the reader opens them."""

    title: str
    text: Markup
    pictures: list[Picture]
    folders: list[tuple[str, Markup, list[Picture]]]


def pictures_of(report: Stage, stages: list[Stage]) -> list[Picture]:
    """Return all PNG files that the report depends on, with the stage that made each, without captions."""
    found = []
    for dep in report.deps:
        stage = made_by(stages, dep)
        if stage:
            path = Path(dep)
            files = sorted(path.rglob("*.png")) if path.is_dir() else [path] if path.suffix == ".png" else []
            found += [Picture(file, Markup(""), stage) for file in files]
    return found


def groups(chapter: Chapter, pictures: list[Picture], words: Words) -> list[Group]:
    """Return the parts of a chapter with the figures that exist; a last group has the figures that no part names."""
    left, result = {str(picture.path): picture for picture in pictures}, []
    for part in chapter.parts:
        single, folders = [], []
        for name, caption in part.figures.items():
            inside = [path for path in left if path.startswith(f"{name}/")]
            if name in left:
                single.append(Picture(Path(name), words.inline(caption), left.pop(name).stage))
            elif inside:
                folders.append((Path(name).name, words.inline(caption), [left.pop(path) for path in inside]))
        if single or folders:
            result.append(Group(part.title, words.block(part.text), single, folders))
    if left:
        rest = [Picture(p.path, Markup("<code>{}</code>").format(p.path.name), p.stage) for p in left.values()]
        result.append(Group("More figures" if result else "Figures", Markup(""), rest, []))
    return result


def read_times(path: str | Path) -> dict[str, dict]:
    """Read times (seconds) and memory (MiB) of each stage by name, as `bench/stages.py` wrote them.

    A processor time that was not measured is NaN.
    """
    with Path(path).open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != TIME_COLUMNS:
            raise InputError(f"{path}: the columns must be {','.join(TIME_COLUMNS)}")
        rows = list(reader)
    for number, row in enumerate(rows, start=2):
        try:
            row |= {name: float(row[name]) for name in ("seconds", "peak_memory_mib")}
            row["processor_seconds"] = float(row["processor_seconds"] or "nan")
        except (TypeError, ValueError):
            raise InputError(f"{path} line {number}: {', '.join(TIME_COLUMNS[1:-1])} must be numbers") from None
    return {row["stage"]: row for row in rows}


def duration(seconds: float) -> str:
    """Format a time in seconds: 8.3 s, 2 min 5 s, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def section_text(text: str, name: str) -> str:
    """Return a top-level section of a YAML file as text, with its comments."""
    found = re.search(rf"^{re.escape(name)}:.*\n(?:(?:[ \t#].*)?\n)*", text + "\n", flags=re.MULTILINE)
    return found.group().rstrip() if found else ""


def chapter_of(
    name: str, chapter: Chapter, stages: list[Stage], settings: dict, params_text: str, times: dict[str, dict]
) -> dict:
    """Collect everything that the page of a chapter shows; ``stages`` are those of the whole pipeline."""
    report = next(stage for stage in stages if stage.name == STAGE)
    own = [stage for stage in stages if stage.chapter == name]
    path = real_data(name, settings)
    words = Words(f"stages/{name}/report.yaml", settings, chapter.simulated, path)
    pictures = [p for p in pictures_of(report, stages) if p.stage.chapter == name]
    read = {before for stage in own for before in stage.after}
    cover = next((p for p in pictures if str(p.path) == chapter.cover), pictures[0] if pictures else None)
    return {
        "name": name,
        "page": f"{name}.html",
        "title": chapter.title,
        "question": chapter.question,
        "paper": chapter.paper,
        "survey": words.survey,
        "simulated": path is None,
        "introduction": words.block(chapter.introduction),
        "cover": cover,
        "tables": [
            {
                "title": words.inline(table.title),
                "published": table.published,
                "data": words.inline(table.data) if table.data else words.survey,
                "note": words.inline(table.note),
                "files": list(dict.fromkeys([row.file or table.file for row in table.rows])),
                "rows": table_cells(table, words),
            }
            for table in chapter.tables
        ],
        "groups": groups(chapter, pictures, words),
        "graph": Markup(draw([*own, report], f"{name}.html")),  # nosec B704: `draw` escapes the names
        "targets": dict.fromkeys(stage.group for stage in own if stage.name not in read),
        "stages": [(stage, times.get(stage.name)) for stage in own],
        "total": sum(times[stage.name]["seconds"] for stage in own if stage.name in times),
        "timed": all(stage.name in times for stage in own),
        "machines": list(dict.fromkeys(times[s.name]["machine"] for s in own if s.name in times)),
        "params": section_text(params_text, name),
    }


def render(chapters: list[dict]) -> dict[str, str]:
    """Return the pages by file name: ``index.html`` and one page per chapter."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    page = environment.get_template("chapter.html")
    pages = {chapter["page"]: page.render(chapter=chapter, chapters=chapters) for chapter in chapters}
    return {"index.html": environment.get_template("index.html").render(chapters=chapters), **pages}
