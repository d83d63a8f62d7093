"""The rules of the house: imports run one way, a stage declares every module it uses, what is shared, the hooks."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.house import LIBRARY, ROOT, SCRIPTS, code_deps, everything, modules, stages


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_arrows_run_one_way(path):
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


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_only_simulate_stages_import_simulations(path):
    simulates = any(file.parts[:2] == ("skylight", "simulations") for file in everything(path))
    assert simulates == (path.name == "simulate.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_no_stage_imports_a_stage(path):
    assert not [file for file in modules(path) if file.parts[0] == "stages" and file.name != "__init__.py"]


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_the_code_it_uses(name):
    script, deps = stages()[name]
    expected = code_deps(script)
    declared = [dep for dep in deps if dep.startswith(("skylight", "stages")) and not dep.endswith(".yaml")]
    block = "\n".join(f"      - {dep}" for dep in expected)
    assert declared == expected, f"{name} in dvc.yaml: the code under deps should be (make deps prints it)\n{block}"


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_only_files_that_exist(name):
    _, deps = stages()[name]
    assert all((ROOT / dep).exists() for dep in deps if dep.startswith(("skylight", "stages")))


def test_steps_that_need_no_network_do_not_import_tensorflow():
    heavy, light = ("tensorflow", "keras"), ("simulate", "transform", "figures")
    scripts = [Path(f"stages/{chapter}/{step}.py") for chapter in ("periodic", "realbogus") for step in light]
    scripts += [Path(f"stages/{step}.py") for step in ("periodic/class_figures", "bars/simulate", "bars/figures")]
    for script in scripts:
        for path in (script, *everything(script)):
            tree = ast.parse((ROOT / path).read_text())
            top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module for node in top if isinstance(node, ast.ImportFrom)]
            assert not [found for found in names if found.split(".")[0] in heavy], path


@cache
def pipeline() -> Repo:
    """The pipeline as DVC reads it, every ``foreach`` written out."""
    return Repo(ROOT)


def test_simulated_surveys_are_not_pushed_and_all_else_in_the_cache_is():
    kept_back = {out.fspath for out in pipeline().index.outs if out.use_cache and not out.can_push}
    simulated = {
        out.fspath for stage in pipeline().index.stages if stage.name.endswith("-simulate") for out in stage.outs
    }
    assert kept_back == simulated and all("/data/simulated/" in path for path in simulated)


def test_every_network_is_an_artifact_for_the_model_registry():
    models = {ROOT / artifact.path for artifact in pipeline().artifacts.read()["dvc.yaml"].values()}
    outs = {Path(out.fspath) for out in pipeline().index.outs}
    assert models and all(outs & {model, *model.parents} for model in models)
    for stage in pipeline().index.stages:
        script = ROOT.joinpath(*stage.cmd.split()[2].split(".")).with_suffix(".py")
        if "training.fit(" in script.read_text():
            made = {Path(out.fspath) for out in stage.outs}
            assert any(made & {model, *model.parents} for model in models), f"no artifact of {stage.name}"


def test_the_hooks_for_commits_pass(tmp_path):
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    (tmp_path / "clone/.venv").symlink_to(sys.prefix)
    hooks = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "hooks")}
    result = subprocess.run(hooks, cwd=tmp_path / "clone", env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Passed") >= 2
