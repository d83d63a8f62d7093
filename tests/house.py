"""Which file of the project imports which, and the code that each stage depends on, read from the source.

``make deps`` (``python -m tests.house [STAGE...]``) prints the code that each stage should list under ``deps``.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from operator import getitem
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
# Every script uses these files and no output depends on them: a change there must not run the pipeline again.
AMBIENT = tuple(
    f"skylight/{name}" for name in ("__init__.py", "errors.py", "outputs.py", "params/", "training/tracking")
)
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "stages").glob("*/*.py") if path.name != "__init__.py")
APPS = sorted(path.relative_to(ROOT) for path in (ROOT / "apps").rglob("*.py"))
# `skylight/__main__.py` only starts the command line of `apps`.
LIBRARY = sorted(path.relative_to(ROOT) for path in (ROOT / "skylight").rglob("*.py") if path.name != "__main__.py")


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, also inside functions.

    For ``from package import name`` it is the module of ``name``, also where the package imports it lazily, or the
    package itself if ``name`` is defined there.
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            lazy = exports(node.module)
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield lazy.get(alias.name, submodule if files(submodule) else node.module)


@cache
def modules(path: Path) -> set[Path]:
    """Return the files of the project that a file imports directly."""
    found = {file for name in imported(path) for file in files(name)}
    return {file for file in found if file.parts[0] in ("skylight", "stages", "apps")} - {path}


def files(module: str) -> list[Path]:
    """Return the file of a module or package of the project; none for another module."""
    base = Path(*module.split("."))
    return [file for file in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / file).is_file()]


@cache
def exports(package: str) -> dict[str, str]:
    """Return name -> module of what a package imports lazily: its imports under ``if TYPE_CHECKING``."""
    init = Path(*package.split("."), "__init__.py")
    if not (ROOT / init).is_file():
        return {}
    blocks = [node for node in tree(init).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


def everything(path: Path, but: tuple[str, ...] = ()) -> set[Path]:
    """Return the files of the project that a file needs, directly or not, except paths that start as in ``but``."""
    needed, waiting = set(), [path]
    while waiting:
        new = {file for file in modules(waiting.pop()) - needed if not str(file).startswith(but)}
        needed |= new
        waiting += new
    return needed


@cache
def stages() -> dict[str, tuple[Path, list[str]]]:
    """Read the script and the dependencies of each stage of dvc.yaml; a ``foreach`` stage has an entry for each key."""
    result, settings = {}, yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        inner = stage.get("do", stage)
        script = Path(*inner["cmd"].split()[2].split(".")).with_suffix(".py")
        keys = reduce(getitem, stage["foreach"].strip("${}").split("."), settings) if "foreach" in stage else [""]
        for key in keys:
            deps = [dep.replace("${key}", key) for dep in inner["deps"]]
            result[f"{name}@{key}" if key else name] = (script, deps)
    return result


def chosen_by_name(deps: list[str]) -> list[Path]:
    """Return the architectures among the dependencies, which `skylight.networks.galaxy_zoo` imports by their names."""
    found = [Path(dep) for dep in deps if dep.startswith("skylight/networks/") and (ROOT / dep).is_file()]
    return [file for file in found if "\ndef features(" in (ROOT / file).read_text(encoding="utf-8")]


def code_deps(script: Path, chosen: Iterable[Path] = ()) -> list[str]:
    """Return the code that a stage depends on: its script and the files it needs; a folder if it needs all of it.

    ``chosen`` are modules that the script imports by a name from ``params.yaml``.
    """
    needed = set(chosen).union(*(everything(path, but=AMBIENT) for path in (script, *chosen)))
    needed = {path for path in needed if has_code(path)}
    folders = {path.parent for path in needed} - {Path("skylight")}
    whole = {folder for folder in folders if modules_below(folder) <= needed}
    whole = {folder for folder in whole if not whole & set(folder.parents)}
    inside = {path for path in needed if whole & set(path.parents)}
    return [str(script), *sorted(map(str, whole | (needed - inside)))]


def modules_below(folder: Path) -> set[Path]:
    """Return all modules in a folder and the folders in it, except `AMBIENT`."""
    found = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py"}
    return {path for path in found if not str(path).startswith(AMBIENT)}


def has_code(path: Path) -> bool:
    """Return whether a file has more than a docstring; most ``__init__.py`` have not."""
    return path.name != "__init__.py" or len(tree(path).body) > 1


if __name__ == "__main__":
    for name in sys.argv[1:] or stages():
        script, deps = stages()[name]
        code = code_deps(script, chosen_by_name(deps))
        print(f"  {name}:", "    deps:", *(f"      - {dep}" for dep in code), sep="\n")
