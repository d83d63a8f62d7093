"""The images and the compose file: by the schema of the Compose Specification, by hadolint, and by a rehearsal."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

COMPOSE = ROOT / "docker/docker-compose.yaml"
IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))
BIN = Path(sys.executable).parent


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, without comments; a line that ends with a backslash goes on."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line]


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def schema_errors(file: Path) -> str:
    """Return what check-jsonschema says about a compose file; nothing if the specification allows it."""
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout if result.returncode else ""


def test_the_compose_file_follows_the_specification(tmp_path):
    assert not schema_errors(COMPOSE)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(COMPOSE.read_text().replace("read_only: true\n", "readonly: true\n"))
    assert "readonly" in schema_errors(wrong)


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_hadolint_has_nothing_to_say(image, tmp_path):
    command = [BIN / "hadolint", "--failure-threshold", "style"]
    result = subprocess.run([*command, image], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    worse = tmp_path / image.name
    worse.write_text(image.read_text().replace(" --no-cache-dir", ""))
    assert "DL3042" in subprocess.run([*command, worse], capture_output=True, text=True).stdout


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_an_image_has_two_stages_a_pinned_base_a_plain_user_and_a_health_check(image):
    steps = instructions(image)
    bases = [rest.partition(" AS ")[0] for word, rest in steps if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base) for base in bases), bases
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    users = [rest for word, rest in steps[last:] if word == "USER"]
    assert users == ["10001"], "a number, so that an orchestrator can see that it is not root"
    words = [word for word, _ in steps[last:]]
    assert words.count("HEALTHCHECK") == words.count("CMD") == 1
    assert not [rest for word, rest in steps[last:] if word == "RUN" and "pip" in rest], "tools stay in the first stage"
    assert "ADD" not in words
    assert json.loads(next(rest for word, rest in steps if word == "CMD"))[:2] == ["python", "-m"]


def test_all_images_have_the_same_base():
    assert (
        len({rest.partition(" AS ")[0] for image in IMAGES for word, rest in instructions(image) if word == "FROM"})
        == 1
    )


def test_the_services_are_those_of_the_dockerfiles_and_locked_up(services):
    assert {service["build"]["dockerfile"] for service in services.values()} == {f"docker/{i.name}" for i in IMAGES}
    for name, service in services.items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["pids_limit"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "not open to the network by default"
        assert all(volume["read_only"] for volume in service.get("volumes", [])), name
        assert "privileged" not in service and "network_mode" not in service, name


def test_ports_of_the_compose_file_the_images_and_the_health_checks_agree(services):
    for name, service in services.items():
        steps = dict(instructions(ROOT / service["build"]["dockerfile"]))
        _, _, inner = service["ports"][0].split(":")
        assert steps["EXPOSE"] == inner, name
        assert f"127.0.0.1:{inner}/" in steps["HEALTHCHECK"], name
        assert json.loads(steps["CMD"])[-2:] == ["--port", inner], name
    assert services["page"]["environment"]["SKYLIGHT_SERVICE"] == "http://service:8080"
    assert services["page"]["depends_on"] == {"service": {"condition": "service_healthy"}}


def test_no_secret_is_in_the_files():
    for path in [COMPOSE, *IMAGES]:
        for line in path.read_text().splitlines():
            if "TOKEN" in line:
                assert "${SKYLIGHT_TOKEN:-}" in line, f"{path.name}: {line}"


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_the_build_gets_what_it_copies_and_nothing_else(image):
    rules = image.with_name(f"{image.name}.dockerignore").read_text().split()
    copied = {
        word
        for name, rest in instructions(image)
        if name == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    }
    assert rules[0] == "*" and set(rules[1:]) == {f"!{name}" for name in copied} | {"**/__pycache__"}
    assert all((ROOT / name).exists() for name in copied)


def test_the_page_image_holds_all_that_the_page_imports():
    from tests.house import everything

    needed = {path for file in (ROOT / "apps/page").glob("*.py") for path in everything(file.relative_to(ROOT))}
    assert all(path.parent == Path("apps/page") or path == Path("apps/__init__.py") for path in needed), needed


@pytest.mark.slow
def test_the_steps_of_the_page_image_work(tmp_path):
    """The service's steps are the same with more packages, which take minutes: docker/rehearse.py service."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("views of the file system need root and Linux")
    probe = f"mount -t overlay -o lowerdir=/,upperdir={tmp_path}/a,workdir={tmp_path}/b overlay {tmp_path}/c"
    for name in "abc":
        (tmp_path / name).mkdir()
    if subprocess.run(["unshare", "--mount", "--net", "sh", "-c", probe], capture_output=True).returncode:
        pytest.skip("this machine mounts no overlays")
    command = [sys.executable, ROOT / "docker/rehearse.py", "page"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    lines = result.stdout.splitlines()
    assert "healthy" in lines and lines[-1] == "stopped"
