"""The documents name only files, functions, parameters, stages and commands that exist."""

import ast
import copy
import re
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from skylight import params
from tests.house import ROOT, exports
from tests.test_house import pipeline

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
FOLDERS = "apps|bench|data|docs|notebooks|out|profiles|skylight|stages|tests"
DEFAULTS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
CHAPTERS = "|".join(DEFAULTS)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(text: str, language: str = "") -> list[str]:
    """The code blocks of a page, with exactly this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """What stands in backticks outside of code blocks."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def outputs() -> set[Path]:
    """All files and folders that the stages write, relative to the root."""
    return {Path(out.fspath).relative_to(ROOT) for out in pipeline().index.outs}


def exists(path: str) -> bool:
    """Whether a path is there or is made by the pipeline; ``<name>`` and ``*`` stand for any text."""
    pattern = Path(re.sub(r"<[^>]+>", "*", path))
    if any(ROOT.glob(str(pattern))):
        return True
    folders = {folder for out in outputs() for folder in out.parents}
    inside = [parent for parent in pattern.parents if parent.parts[:1] == ("data",)]
    return any(out.match(str(pattern)) for out in outputs() | folders) or any(
        out.match(str(parent)) for parent in inside for out in outputs()
    )


def defines(module: Path, name: str) -> bool:
    """Whether a module defines, imports or assigns a name at its top."""
    for node in ast.parse(module.read_text()).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        named = [getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)]
        named += [alias.asname or alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
        if name in named:
            return True
    return False


def importable(dotted: str) -> bool:
    """Whether ``skylight.x.y`` is a module of the project, or a name in one."""
    *above, last = dotted.split(".")
    if (ROOT.joinpath(*above, last)).is_dir() or ROOT.joinpath(*above, f"{last}.py").is_file():
        return True
    module = ROOT.joinpath(*above).with_suffix(".py")
    if not module.is_file():
        module = ROOT.joinpath(*above, "__init__.py")
    return last in exports(".".join(above)) or (module.is_file() and defines(module, last))


def parameter(key: str) -> bool:
    """Whether a dotted key is in params.yaml; ``bars.networks.vgg16`` as well as a section."""
    here = DEFAULTS
    for name in key.split("."):
        if not isinstance(here, dict) or name not in here:
            return False
        here = here[name]
    return True


@pages
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target, _, anchor = link.partition("#")
        if "://" not in link:
            path = (page.parent / target).resolve() if target else page
            assert path.exists(), f"{link}: no such file"
            assert not anchor or anchor in anchors(path), f"{link}: no such heading"


@pages
def test_every_figure_has_words_for_those_who_cannot_see_it(page):
    assert all(words.strip() for words in re.findall(r"!\[(.*?)\]", page.read_text()))


@pages
def test_every_file_it_names_exists(page):
    named = [span for span in spans(page.read_text()) if re.fullmatch(rf"(?:{FOLDERS})/[\w./<>*-]*", span)]
    # <chapter> and the like in CONTRIBUTING.md are files to write.
    named = [path for path in named if not (page.name == "CONTRIBUTING.md" and "<" in path)]
    examples = ("data/mine", "data/hits", "data/asas", "data/stripe82", "data/crts", "data/ztf")
    assert not [path for path in named if not path.startswith(examples) and not exists(path)]


@pages
def test_every_module_and_function_it_names_exists(page):
    text = page.read_text()
    named = {span for span in spans(text) if re.fullmatch(r"(?:skylight|stages|tests|apps|bench)(?:\.\w+)+", span)}
    named |= set(re.findall(r"python -m ((?:skylight|stages|tests|apps|bench)[\w.]*)", text))
    for block in blocks(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("skylight"):
                named |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert not [name for name in named if not importable(name)]


@pages
def test_every_parameter_it_names_exists(page):
    text = page.read_text()
    named = {span for span in spans(text) if re.fullmatch(rf"(?:{CHAPTERS})(?:\.\w+)+", span)}
    named |= set(re.findall(rf"-S '?((?:{CHAPTERS})[\w.]+)=", text))
    assert not [key for key in named if not parameter(key)]


@pages
def test_every_example_of_parameters_is_accepted(page):
    for block in blocks(page.read_text(), "yaml"):
        content = copy.deepcopy(DEFAULTS)
        for chapter, sections in YAML(typ="safe").load(block).items():
            for name, section in sections.items():
                whole = (name == "data" and chapter == "periodic") or not isinstance(section, dict)
                content[chapter][name] = section if whole else content[chapter][name] | section
        params.check(params.Params, content)


@pages
def test_every_stage_and_command_it_names_exists(page):
    text = "\n".join(blocks(page.read_text())) + "\n" + "\n".join(spans(page.read_text()))
    stages = {name for stage in pipeline().index.stages for name in (stage.name, stage.name.partition("@")[0])}
    named = set(
        re.findall(rf"\b(?:{CHAPTERS})-[a-z-]+(?=\s|@|$)", "\n".join(re.findall(r"dvc (?:repro|exp run).*", text)))
    )
    assert not named - stages
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^(?:\$ )?make ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for command in re.findall(r"(?:^|\| |\$ )skylight ([a-z]+)", text, re.MULTILINE):
        assert (ROOT / f"apps/{command}.py").is_file(), f"skylight {command}"
