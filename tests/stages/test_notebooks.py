"""Every notebook runs from what Git holds, is kept without outputs, and draws nothing of its own."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from ruamel.yaml import YAML

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DRAWS = re.compile(r"matplotlib|seaborn|\.plot\b|imshow|\bplt\b")


def code(path) -> list:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_there_is_one_for_every_chapter_of_the_pipeline():
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    chapters = {name.partition("-")[0] for name in stages} - {"report"}
    assert chapters <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_valid_and_holds_no_outputs(path):
    nbformat.validate(nbformat.read(path, 4))
    assert not [cell for cell in code(path) if cell.outputs or cell.execution_count]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_shows_the_figures_of_stages_and_draws_none(path):
    source = "\n".join(cell.source for cell in code(path))
    assert source.count("Image(") >= 5 and not DRAWS.search(source)


@pytest.fixture(scope="module")
def git_only(clone):
    """What Git holds and nothing more: no data, no networks, no maps."""
    return clone().path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_what_git_holds(path, git_only):
    notebook = nbformat.read(git_only / "notebooks" / path.name, 4)
    folder = {"metadata": {"path": str(git_only / "notebooks")}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert len([output for output in shown if "image/png" in output.get("data", {})]) >= 5
