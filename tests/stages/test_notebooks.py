"""Every notebook runs with the files in Git alone, is stored without outputs, and only shows figures of stages."""

import re

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DRAWS = re.compile(r"matplotlib|seaborn|\.plot\b|imshow|\bplt\b")


def code(path) -> list:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_every_chapter_has_a_notebook():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    chapters = {name.partition("-")[0] for name in stages} - {"report"}
    assert chapters <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_no_outputs(path):
    nbformat.validate(nbformat.read(path, 4))
    assert not [cell for cell in code(path) if cell.outputs or cell.execution_count]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_figures_of_stages_and_draws_none(path):
    source = "\n".join(cell.source for cell in code(path))
    assert source.count("Image(") >= 5 and not DRAWS.search(source)


@pytest.fixture(scope="module")
def git_only(clone):
    """A clone with the files in Git alone: no data, no networks, no maps."""
    return clone().path


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_the_files_in_git_alone(path, git_only):
    notebook = nbformat.read(git_only / "notebooks" / path.name, 4)
    folder = {"metadata": {"path": str(git_only / "notebooks")}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert len([output for output in shown if "image/png" in output.get("data", {})]) >= 5
