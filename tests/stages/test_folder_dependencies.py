"""Folders of code as dependencies of a stage: Python's compiled modules in them do not count."""

import pytest

pytestmark = pytest.mark.slow


def test_a_stage_is_up_to_date_after_python_has_written_its_compiled_modules(clone):
    clone = clone()
    compiled = clone.path / "skylight/report/__pycache__"
    clone.shell("PYTHONDONTWRITEBYTECODE=1 dvc repro -s report")
    assert not compiled.exists()
    clone.shell("env -u PYTHONDONTWRITEBYTECODE python -c 'import skylight.report.chapter'")
    assert compiled.is_dir()
    assert "up to date" in clone.run("dvc", "status", "report")
    code = clone.path / "skylight/report/chapter.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert "modified:           skylight/report" in clone.run("dvc", "status", "report")
