"""The structure of the house, read from the code: which file imports which, and what a stage should depend on.

Run ``make deps`` (``python -m tests.house [STAGE...]``) to print the code that each stage should list under ``deps``.
"""

import ast
import sys
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
# What every script uses and no output depends on: a change there must not run the pipeline again.
AMBIENT = tuple(
    f"skylight/{name}" for name in ("__init__.py", "errors.py", "outputs.py", "params/", "training/tracking")
)
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "stages").glob("*/*.py") if path.name != "__init__.py")
LIBRARY = sorted(path.relative_to(ROOT) for path in (ROOT / "skylight").rglob("*.py"))


@cache
def modules(path: Path) -> set[Path]:
    """The project's own files that a file imports, directly; a name that a package exports leads to its module."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            exported = exports(node.module)
            names = [exported.get(alias.name, f"{node.module}.{alias.name}") for alias in node.names]
            if not all(alias.name in exported for alias in node.names):
                names.append(node.module)
        for name in names:
            base = Path(*name.split("."))
            found |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / file).is_file()}
    return {file for file in found if file.parts[0] in ("skylight", "stages", "apps")} - {path}


@cache
def exports(package: str) -> dict[str, str]:
    """Name -> module of all that a package imports for editors alone, and itself when the name is first used."""
    init = ROOT.joinpath(*package.split("."), "__init__.py")
    if not init.is_file():
        return {}
    blocks = [node for node in ast.parse(init.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


def everything(path: Path, but: tuple[str, ...] = ()) -> set[Path]:
    """The project's own files that a file needs, directly or not; those whose path starts as in ``but`` left out."""
    needed, waiting = set(), [path]
    while waiting:
        new = {file for file in modules(waiting.pop()) - needed if not str(file).startswith(but)}
        needed |= new
        waiting += new
    return needed


@cache
def stages() -> dict[str, tuple[Path, list[str]]]:
    """Script and dependencies of each stage of dvc.yaml."""
    result = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        inner = stage.get("do", stage)
        module = inner["cmd"].split()[2]
        result[name] = (Path(*module.split(".")).with_suffix(".py"), inner["deps"])
    return result


def code_deps(script: Path) -> list[str]:
    """The code that a stage depends on: its script, the files it needs, and a folder where it needs all of it."""
    needed = {path for path in everything(script, but=AMBIENT) if path.name != "__init__.py"}
    folders = {path.parent for path in needed} - {Path("skylight")}
    whole = {folder for folder in folders if set(_modules_below(folder)) <= needed}
    whole = {folder for folder in whole if not whole & set(folder.parents)}
    inside = {path for path in needed if whole & set(path.parents)}
    return [str(script), *sorted(map(str, whole | (needed - inside)))]


def _modules_below(folder: Path) -> list[Path]:
    found = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py"]
    return [path for path in found if not str(path).startswith(AMBIENT)]


if __name__ == "__main__":
    for name in sys.argv[1:] or stages():
        print(f"  {name}:", "    deps:", *(f"      - {dep}" for dep in code_deps(stages()[name][0])), sep="\n")
