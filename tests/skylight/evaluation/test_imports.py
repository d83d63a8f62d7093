"""Attribution and evaluation, and what they use, import only the libraries that pyproject.toml names."""

import ast
import re
import sys
import tomllib

import pytest

from tests.house import LIBRARY, ROOT, everything

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = [path for path in LIBRARY if path.parts[1] in ("attribution", "evaluation")]
MODULES = sorted({*ROOMS, *(needed for path in ROOMS for needed in everything(path))})


def libraries(requirements):
    """Return the names by which the packages of some requirements are imported."""
    names = {re.split("[^a-z-]", requirement)[0] for requirement in requirements}
    return {{"scikit-learn": "sklearn", "scikit-image": "skimage"}.get(name, name) for name in names}


def test_the_package_needs_few_libraries():
    few = {"keras", "tensorflow", "numpy", "scipy", "sklearn", "pandas", "threadpoolctl", "tqdm"}
    assert libraries(PROJECT["dependencies"]) == few


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_import_only_the_libraries_of_the_package(path):
    imported = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    optional = libraries(PROJECT["optional-dependencies"].get(path.stem, []))
    assert imported <= libraries(PROJECT["dependencies"]) | optional | {"skylight", *sys.stdlib_module_names}
