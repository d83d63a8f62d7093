"""The rules of the house: imports run one way, a stage declares every module it uses, what is shared, the hooks."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import ROOT

# What every script uses and no output depends on: a change there must not run the pipeline again.
AMBIENT = tuple(f"skylight/{name}" for name in ("__init__.py", "errors.py", "outputs.py", "params/", "tracking.py"))


@cache
def modules(path: Path) -> set[Path]:
    """The project's own files that a file imports, directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            base = Path(*name.split("."))
            found |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / file).is_file()}
    return {file for file in found if file.parts[0] in ("skylight", "stages")}


def everything(path: Path, but: tuple[str, ...] = ()) -> set[Path]:
    """The project's own files that a file needs, directly or not; those whose path starts as in ``but`` left out."""
    needed, waiting = set(), [path]
    while waiting:
        new = {file for file in modules(ROOT / waiting.pop()) - needed if not str(file).startswith(but)}
        needed |= new
        waiting += new
    return needed


SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "stages").glob("*/*.py") if path.name != "__init__.py")
LIBRARY = sorted(path.relative_to(ROOT) for path in (ROOT / "skylight").rglob("*.py"))


def stages() -> dict[str, tuple[Path, list[str]]]:
    """Script and dependencies of each stage of dvc.yaml."""
    result = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        inner = stage.get("do", stage)
        module = inner["cmd"].split()[2]
        result[name] = (Path(*module.split(".")).with_suffix(".py"), inner["deps"])
    return result


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_the_library_knows_no_stage(path):
    assert not [file for file in modules(ROOT / path) if file.parts[0] == "stages"]
    if path.parts[:2] == ("skylight", "attribution"):
        assert not [file for file in everything(path) if file.parts[:2] == ("skylight", "surveys")]


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_no_stage_imports_a_stage(path):
    assert not [file for file in modules(ROOT / path) if file.parts[0] == "stages" and file.name != "__init__.py"]


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_every_module_it_uses(name):
    script, deps = stages()[name]
    assert str(script) in deps
    needed = {str(path) for path in everything(script, but=AMBIENT) if path.name != "__init__.py"}
    declared = tuple(dep for dep in deps if dep.startswith("skylight"))
    missing = sorted(path for path in needed if not path.startswith(declared))
    assert not missing, f"{name} uses {missing} and does not declare them"


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_only_files_that_exist(name):
    _, deps = stages()[name]
    assert all((ROOT / dep).exists() for dep in deps if dep.startswith(("skylight", "stages")))


def test_steps_that_need_no_network_do_not_import_tensorflow():
    heavy, light = ("tensorflow", "keras"), ("simulate", "transform", "figures")
    scripts = [Path(f"stages/{chapter}/{step}.py") for chapter in ("periodic", "realbogus") for step in light]
    scripts += [Path(f"stages/{step}.py") for step in ("periodic/class_figures", "bars/simulate", "bars/save_figures")]
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
