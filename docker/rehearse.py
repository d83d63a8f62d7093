"""Run the steps of a Dockerfile where no container engine is: ``python docker/rehearse.py page`` (as root, on Linux).

Each stage gets a copy-on-write view of this machine's system in the place of its base image, without this checkout.
COPY and RUN change the view only. Then the last stage's command runs as its user, with a read-only root, an empty /tmp
and no network, until its health check passes. Base images differ from this machine, so this shows that the steps and
the started program work, and not that an engine would write the same bytes.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "SKYLIGHT_REHEARSAL"
DEVICES = ("null", "zero", "random", "urandom")
SECONDS = 120
"""By then the health check must have passed."""


@dataclass
class Stage:
    """A stage of a Dockerfile: its view of the system, and what its instructions have set."""

    root: Path
    environment: dict[str, str]
    folder: str = "/"
    user: str = "0"
    command: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Return where a path of the stage is on this machine."""
        return self.root / str(PurePosixPath(self.folder, path)).lstrip("/")

    def line(self, command: list[str]) -> list[str]:
        """Return the command line that runs a command in the stage, as its user."""
        user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--no-new-privs"]
        there = ["/bin/sh", "-c", f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"]
        return ["chroot", str(self.root), *(user if self.user != "0" else []), *there]


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments; a line that ends with a backslash goes on."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def build(image: str, work: Path) -> Stage:
    """Follow the instructions of an image's Dockerfile, and return its last stage.

    Raises
    ------
    subprocess.CalledProcessError
        A RUN fails.
    FileNotFoundError
        A COPY has no source.
    ValueError
        An instruction is none of those that this script knows.
    """
    stages: dict[str, Stage] = {}
    stage = None
    rules = (ROOT / f"docker/{image}.Dockerfile.dockerignore").read_text().split()
    for word, rest in instructions((ROOT / f"docker/{image}.Dockerfile").read_text()):
        print(f"{word} {rest}", flush=True)
        if word == "FROM":
            name = rest.partition(" AS ")[2] or str(len(stages))
            stage = stages[name] = view(work / name)
        elif word == "RUN":
            subprocess.run(stage.line(["/bin/sh", "-c", rest]), env=stage.environment, check=True)
        elif word == "COPY" and rest.startswith("--from="):
            origin, source, target = rest.removeprefix("--from=").split()
            shutil.copytree(stages[origin].at(source), stage.at(target), symlinks=True, dirs_exist_ok=True)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(source, stage, target, rules)
        elif word == "WORKDIR":
            stage.folder = rest
            stage.at("").mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            for key, value in (pair.split("=", 1) for pair in shlex.split(rest)):
                stage.environment[key] = value.replace("$PATH", stage.environment["PATH"])
        elif word == "USER":
            stage.user = rest
        elif word == "HEALTHCHECK":
            stage.check = json.loads(rest.partition("CMD ")[2])
        elif word == "CMD":
            stage.command = json.loads(rest)
        elif word != "EXPOSE":
            raise ValueError(f"{word}: this script does not know the instruction")
    return stage


def view(folder: Path) -> Stage:
    """Return a stage that starts from this machine's system, without this checkout; its Python is for every user."""
    root, upper, scratch = (folder / name for name in ("root", "upper", "scratch"))
    for path in (root, upper, scratch):
        path.mkdir(parents=True)
    mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={scratch}", "overlay", root)
    for empty in ("dev", "tmp", ROOT.relative_to("/")):
        mount("-t", "tmpfs", "tmpfs", root / empty)
    for device in DEVICES:
        (root / "dev" / device).touch()
        mount("--bind", f"/dev/{device}", root / "dev" / device)
    mount("-t", "proc", "proc", root / "proc")
    python = Path(sys.base_prefix).relative_to("/") / "bin"
    for parent in python.parents[:-1]:
        (root / parent).chmod(0o755)
    settings = {key: value for key, value in os.environ.items() if key.startswith("PIP_") or key.endswith("_proxy")}
    return Stage(root, settings | {"PATH": f"/{python}:/usr/sbin:/usr/bin:/sbin:/bin"})


def copy(source: str, stage: Stage, target: str, rules: list[str]) -> None:
    """Copy a file, or the content of a folder, without what the .dockerignore leaves out."""
    files = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
    files = [file for file in files if file.is_file() and sent(file.relative_to(ROOT), rules)]
    if not files:
        raise FileNotFoundError(f"COPY: there is no {source}, or the .dockerignore leaves it out")
    for file in files:
        name = file.relative_to(ROOT / source) if file != ROOT / source else file.name if target.endswith("/") else ""
        place = stage.at(target) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)


def sent(path: Path, rules: list[str]) -> bool:
    """Return whether the engine would get a file: the last rule that fits it, or a folder of it, decides."""
    result = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        if any(
            fnmatch(f"/{name}", f"/{pattern}") or fnmatch(f"/{name}", f"*/{pattern.removeprefix('**/')}")
            if pattern.startswith("**/")
            else fnmatch(str(name), pattern)
            for name in (path, *path.parents)
        ):
            result = rule.startswith("!")
    return result


def start(stage: Stage) -> None:
    """Run the command of a stage as an engine would, wait for its health check, and stop it by SIGTERM.

    Raises
    ------
    RuntimeError
        The command ends by itself, the health check does not pass, or the command does not end.
    """
    mount("-o", "remount,ro", stage.root)
    alone = ["unshare", "--net", "/bin/sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    server = subprocess.Popen(alone + stage.line(stage.command), env=stage.environment)
    check = ["nsenter", f"--net=/proc/{server.pid}/ns/net", *stage.line(stage.check)]
    try:
        end = time.monotonic() + SECONDS
        while (tried := subprocess.run(check, env=stage.environment, capture_output=True, text=True)).returncode:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"not healthy: {tried.stderr.strip().splitlines()[-1:]}")
            time.sleep(0.5)
        print("healthy", flush=True)
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    finally:
        server.kill()
    print("stopped", flush=True)


def mount(*words: object) -> None:
    """Mount something, as long as this process runs: it has a table of mounts of its own."""
    subprocess.run(["mount", *map(str, words)], check=True)


def main() -> int:
    """Rehearse in another process, whose mounts are gone when it has ended; then the folder can be removed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", choices=sorted(path.stem for path in ROOT.glob("docker/*.Dockerfile")))
    image = parser.parse_args().image
    if work := os.environ.get(INSIDE):
        start(build(image, Path(work)))
        return 0
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as work:
        alone = ["unshare", "--mount", "--propagation=private", sys.executable, *sys.argv]
        return subprocess.run(alone, env=os.environ | {INSIDE: work}).returncode


if __name__ == "__main__":
    sys.exit(main())
