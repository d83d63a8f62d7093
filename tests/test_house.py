"""The rules of the house: imports run one way, stages declare the code they use, scripts are short, hooks pass."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests import house
from tests.house import APPS, LIBRARY, ROOT, SCRIPTS, chosen_by_name, code_deps, everything, modules, stages, tree

LONGEST = 120
"""Lines of a stage script; about 100 is the aim."""


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_imports_run_one_way(path):
    reached = {".".join(file.parts[:2]) for file in everything(path)}
    room = path.parts[1]
    assert not [file for file in modules(path) if file.parts[0] in ("stages", "apps")]
    domains = {"skylight.light_curves", "skylight.alerts", "skylight.galaxies", "skylight.candidates"}
    if room != "simulations":
        assert "skylight.simulations" not in reached
    if room in ("attribution", "evaluation", "networks", "training"):
        assert not reached & domains
    if room in ("attribution", "evaluation", "networks"):
        assert "skylight.params" not in reached and not reached & {"skylight.training", "skylight.report"}


@pytest.mark.parametrize("path", [*SCRIPTS, *APPS], ids=str)
def test_only_simulate_stages_import_simulations(path):
    simulates = any(file.parts[:2] == ("skylight", "simulations") for file in everything(path))
    assert simulates == (path.name == "simulate.py")


@pytest.mark.parametrize("path", [*SCRIPTS, *APPS], ids=str)
def test_no_stage_and_no_app_imports_a_stage(path):
    assert not [file for file in modules(path) if file.parts[0] == "stages" and file.name != "__init__.py"]


def test_only_stages_and_apps_load_the_parameters():
    for path in LIBRARY:
        if path.parts[1] != "params":
            names = [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
            imports = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
            names += [f"{node.module.split('.')[-1]}.{a.name}" for node in imports if node.module for a in node.names]
            assert not [name for name in names if name.endswith(("params.load", "params.load_all"))], path


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_a_stage_script_is_short(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_the_code_it_uses(name):
    script, deps = stages()[name]
    expected = code_deps(script, chosen_by_name(deps))
    declared = [dep for dep in deps if dep.startswith(("skylight", "stages")) and not dep.endswith(".yaml")]
    block = "\n".join(f"      - {dep}" for dep in expected)
    message = f"{name} in dvc.yaml: the code under deps should be (make deps prints it)\n{block}"
    assert sorted(declared) == sorted(expected), message


@pytest.mark.parametrize("name", stages())
def test_the_code_that_a_stage_declares_exists(name):
    _, deps = stages()[name]
    assert all((ROOT / dep).exists() for dep in deps if dep.startswith(("skylight", "stages")))


SMALL_HOUSE = {
    "skylight/__init__.py": "",
    "skylight/errors.py": "class InputError(Exception): ...",
    "skylight/plotting.py": "import numpy",
    "skylight/attribution/__init__.py": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from skylight.attribution.cam import gradcam
    from skylight.attribution.gradients import saliency, smoothgrad
    from skylight.attribution.relevance import lrp
METHODS = {}
""",
    "skylight/attribution/cam.py": "from skylight.attribution.scoring import score",
    "skylight/attribution/gradients.py": "def f():\n    from skylight.attribution.scoring import score",
    "skylight/attribution/scoring.py": "from skylight.errors import InputError",
    "skylight/attribution/relevance/__init__.py": '"""LRP."""\nfrom skylight.attribution.relevance import rules',
    "skylight/attribution/relevance/rules.py": "",
    "skylight/attribution/relevance/graph.py": "",
    "skylight/candidates/__init__.py": '"""Candidates."""',
    "skylight/candidates/hits.py": "",
    "skylight/candidates/plots.py": "import skylight.plotting as shared",
}
CAM = ["skylight/attribution/cam.py", "skylight/attribution/scoring.py"]
GRADIENTS = ["skylight/attribution/gradients.py", "skylight/attribution/scoring.py"]
LRP = ["skylight/attribution/relevance/__init__.py", "skylight/attribution/relevance/rules.py"]
METHODS = ["skylight/attribution/__init__.py", *CAM[:1], *GRADIENTS[:1], *LRP, *CAM[1:]]


@pytest.fixture
def small_house(tmp_path, monkeypatch):
    """A small project in place of the repository; returns a function that writes further files."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        for cached in (house.tree, house.modules, house.exports):
            cached.cache_clear()

    with monkeypatch.context() as patch:
        patch.setattr(house, "ROOT", tmp_path)
        write(SMALL_HOUSE)
        yield write
    write({})


@pytest.mark.parametrize(
    ("code", "deps"),
    [
        ("import numpy", []),
        ("from skylight.errors import InputError", []),
        ("from skylight.attribution import smoothgrad", GRADIENTS),
        ("from skylight.attribution import gradcam as explain", CAM),
        ("import skylight.attribution.cam as cam", CAM),
        ("def main():\n    from skylight.attribution import gradcam", CAM),
        ("def main():\n    import skylight.attribution.gradients", GRADIENTS),
        ("from skylight.attribution import lrp", LRP),
        ("from skylight.attribution import METHODS", METHODS),
        ("from skylight import attribution", METHODS),
        ("from skylight.candidates.plots import draw", ["skylight/candidates/plots.py", "skylight/plotting.py"]),
        ("from skylight.candidates import hits, plots", ["skylight/candidates", "skylight/plotting.py"]),
    ],
)
def test_the_code_of_a_stage_follows_from_its_imports(small_house, code, deps):
    small_house({"stages/stars/test.py": code})
    assert code_deps(Path("stages/stars/test.py")) == ["stages/stars/test.py", *deps]


def test_a_folder_is_a_dependency_if_all_modules_in_it_and_below_are_used(small_house):
    script = Path("stages/stars/test.py")
    small_house({str(script): "from skylight.attribution import METHODS"})
    assert code_deps(script)[1:] == METHODS  # nothing uses relevance/graph.py
    small_house({"skylight/attribution/relevance/rules.py": "from skylight.attribution.relevance.graph import walk"})
    assert code_deps(script)[1:] == ["skylight/attribution"]
    small_house({str(script): "from skylight.attribution import lrp"})
    assert code_deps(script)[1:] == ["skylight/attribution/relevance"]


def test_all_methods_chosen_by_name_are_all_of_attribution():
    files = everything(Path("skylight/attribution/__init__.py"))
    inside = house.modules_below(Path("skylight/attribution"))
    assert inside and inside <= files


def test_steps_that_need_no_network_do_not_import_tensorflow():
    light = [path for path in SCRIPTS if path.stem in ("simulate", "transform", "figures", "class_figures")]
    assert {path.parts[1] for path in light} >= {"periodic", "realbogus", "bars", "supernovae"}
    for script in light:
        for path in (script, *everything(script)):
            top = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
            names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module for node in top if isinstance(node, ast.ImportFrom)]
            assert not [found for found in names if found.split(".")[0] in ("tensorflow", "keras")], (script, path)


@cache
def pipeline() -> Repo:
    """Return the pipeline as DVC reads it, with every ``foreach`` resolved."""
    return Repo(ROOT)


@pytest.mark.slow
def test_only_simulated_surveys_are_not_pushed():
    kept_back = {out.fspath for out in pipeline().index.outs if out.use_cache and not out.can_push}
    simulated = {
        out.fspath for stage in pipeline().index.stages if stage.name.endswith("-simulate") for out in stage.outs
    }
    assert kept_back == simulated and all("/data/simulated/" in path for path in simulated)


def test_every_network_is_an_artifact_for_the_model_registry():
    models = {ROOT / artifact.path for artifact in pipeline().artifacts.read()["dvc.yaml"].values()}
    outs = {Path(out.fspath) for out in pipeline().index.outs}
    folders = {folder for out in outs for folder in out.parents}
    assert models and all(outs & {model, *model.parents} or model in folders for model in models)
    training = [stage for stage in pipeline().index.stages if trains(stages()[stage.name][0])]
    assert len(training) > 4
    for stage in training:
        made = {Path(out.fspath) for out in stage.outs}
        made |= {folder for out in made for folder in out.parents if folder in models}
        assert any(made & {model, *model.parents} for model in models), f"no artifact of {stage.name}"


def trains(script: Path) -> bool:
    """Return whether a script imports the function that trains a network."""
    imports = [node for node in ast.walk(tree(script)) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    return bool(names & {"skylight.training.fit.fit", "skylight.galaxies.regression.train"})


def test_no_command_has_a_value_of_params_yaml():
    """DVC writes values into commands before our code checks them; the shell would run what they hold."""
    commands = re.findall("^ +cmd: (.*)$", (ROOT / "dvc.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) > 25
    assert not [command for command in commands if "${" in command.replace(r"\${DVC_STAGE##*@}", "")]


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("data/asas/classes.csv", True),
        ("data/stars.csv", True),
        ("data/processed/periodic.rejected.csv", True),
        ("data/README.md", False),
        ("data/asas.dvc", False),
        ("data/.gitignore", False),
        ("data/simulated/.gitignore", False),
        ("data/processed/periodic_transfer/.gitignore", False),
    ],
)
def test_git_is_offered_no_data_of_the_user(path, ignored):
    status = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT).returncode
    assert status == (0 if ignored else 1)


def test_dvc_removes_no_path_that_is_made_of_a_key():
    """It removes outputs before a stage runs, which is before our code can check the key; not those with `persist`."""
    made = [stage for stage in pipeline().index.stages if "@" in stage.name]
    assert len(made) > 10
    assert not [str(out) for stage in made for out in stage.outs if not out.persist]


@pytest.mark.slow
def test_the_hooks_for_commits_pass(tmp_path):
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    (tmp_path / "clone/.venv").symlink_to(sys.prefix)
    hooks = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "hooks")}
    result = subprocess.run(hooks, cwd=tmp_path / "clone", env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Passed") >= 2
