"""Temporary clones of the working tree in which tests run DVC."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, set_params


class Clone:
    """A clone with its own DVC cache, in which tests set parameters and run commands."""

    def __init__(self, path: Path):
        self.path = path

    def change(self, **changes: object) -> None:
        """Set parameters by key: ``clone.change(**{"periodic.train.epochs": 1})``."""
        set_params(self.path / "params.yaml", changes)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}

    def run(self, *command: str, fails: bool = False) -> str:
        """Run ``python -m ...`` in the clone; return what it printed."""
        return self._run([sys.executable, "-m", *command], fails)

    def shell(self, line: str, fails: bool = False, **environment: str) -> str:
        """Run a command line in a shell; return what it printed."""
        return self._run(["bash", "-c", line], fails, **environment)

    def _run(self, command: list[str], fails: bool, **environment: str) -> str:
        result = subprocess.run(
            command, cwd=self.path, env=self.environment | environment, capture_output=True, text=True
        )
        output = result.stdout + result.stderr
        assert (result.returncode != 0) == fails, output[-4000:]
        return output

    def repro(self, *arguments: str) -> set[str]:
        """Run ``dvc repro``; return the names of the stages that ran."""
        lines = self.run("dvc", "repro", *arguments).splitlines()
        return {line.split("'")[1] for line in lines if line.startswith("Running stage")}

    def repro_killed(self, *arguments: str, once: str) -> None:
        """Start ``dvc repro``, and kill it with all its processes as soon as the path ``once`` exists."""
        command = [sys.executable, "-m", "dvc", "repro", *arguments]
        run = subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not (self.path / once).exists():
            assert run.poll() is None, f"it ended before {once} was there"
            time.sleep(0.002)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()

    def commit(self, message: str) -> None:
        self.shell(f"git add -A && git commit -q -m {message}")

    def cloned_to(self, path: Path) -> "Clone":
        """Clone the last commit of this clone, with an empty DVC cache."""
        self.shell(f"git clone -q . {path}")
        return Clone(path)

    def lock(self) -> str:
        return (self.path / "dvc.lock").read_text()


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Callable[[], Clone]:
    """Return a function that clones the working tree: the files that Git tracks or would track."""

    def make() -> Clone:
        path = tmp_path_factory.mktemp("clone") / "skylight"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, path / name)
        clone = Clone(path)
        clone.shell("git init -q && git config user.name test && git config user.email test@example.org")
        clone.commit("clone")
        return clone

    return make
