"""Remotes in a folder, on S3 and over SSH: push from one clone, pull into another, and every kind of failure."""

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml

from tests.conftest import ROOT, profile
from tests.servers import dying, free_port, serving, wait_for

DATA, STAGES = "data/processed/periodic", {"periodic-simulate", "periodic-transform"}
# What `make pull` runs.
(PULL,) = re.findall(
    r"^\t(.*dvc pull.*)$", (ROOT / "Makefile").read_text().replace("$(BIN)/", "").replace("$$", "$"), re.M
)
(GUARD,) = re.findall(
    r"^\t@(.*dvc remote default .*)$", (ROOT / "Makefile").read_text().replace("$(BIN)/", "").replace("$$", "$"), re.M
)
pytestmark = pytest.mark.slow

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass(frozen=True)
class Remote:
    """The URL of a remote, its options for ``dvc remote modify --local``, and a function that overwrites an object."""

    url: str
    options: dict[str, str]
    overwrite: Callable[[str, bytes], None]

    def use(self, clone, **options: str) -> None:
        """Make it the default remote of a clone, on this machine only."""
        lines = ["[core]", "remote = shared", "['remote \"shared\"']", f"url = {self.url}", "verify = true"]
        lines += [f"{key} = {value}" for key, value in (self.options | options).items()]
        (clone.path / ".dvc/config.local").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path) -> Remote:
    place = tmp_path / "remote"
    return Remote(str(place), {}, lambda key, content: (place / key).write_bytes(content))


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The options for an S3 service that requires a key."""
    log, port = tmp_path_factory.mktemp("s3") / "log", free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, log, INITIAL_NO_AUTH_ACTION_COUNT="3"):  # the three calls below that make the user
        wait_for(port, log)
        iam = boto3.client(
            "iam",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        iam.create_user(UserName="someone")
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="someone", PolicyName="all", PolicyDocument=json.dumps(allowed))
        key = iam.create_access_key(UserName="someone")["AccessKey"]
        yield {
            "endpointurl": f"http://127.0.0.1:{port}",
            "region": "us-east-1",
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
        }


@pytest.fixture
def s3(s3_server, tmp_path) -> Remote:
    bucket = boto3.resource(
        "s3",
        endpoint_url=s3_server["endpointurl"],
        region_name=s3_server["region"],
        aws_access_key_id=s3_server["access_key_id"],
        aws_secret_access_key=s3_server["secret_access_key"],
    ).Bucket(tmp_path.name.replace("_", "-"))
    bucket.create()
    return Remote(
        f"s3://{bucket.name}/skylight",
        s3_server,
        lambda key, content: bucket.put_object(Key=f"skylight/{key}", Body=content),
    )


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory) -> Iterator[tuple[int, Path]]:
    """The port of an OpenSSH server, and the folder of a key that it accepts (``known``) and one that it refuses."""
    if SSHD is None:
        pytest.skip("no sshd on this machine (Debian: apt install openssh-server)")
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "known", "unknown"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # usually made when the system starts the service
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "known.pub",
        "PasswordAuthentication": "no",
        "StrictModes": "no",  # temporary folders belong to all
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    with serving([SSHD, "-D", "-e", "-f", str(folder / "config")], folder / "log"):
        wait_for(port, folder / "log")
        yield port, folder


@pytest.fixture
def ssh(ssh_server, tmp_path) -> Remote:
    port, keys = ssh_server
    place = tmp_path / "remote"
    return Remote(
        f"ssh://{getpass.getuser()}@127.0.0.1:{port}{place}",
        {"keyfile": str(keys / "known"), "allow_agent": "false"},
        lambda key, content: (place / key).write_bytes(content),
    )


@pytest.fixture(scope="module")
def source(clone):
    """A clone whose pipeline is its first two stages, run at tiny scale."""
    clone = clone()
    stages = yaml.safe_load((clone.path / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    text = yaml.safe_dump({"stages": {name: stages[name] for name in STAGES}})
    (clone.path / "dvc.yaml").write_text(text, encoding="utf-8")
    clone.change(**profile("tiny", "periodic"))
    (clone.path / "dvc.lock").unlink()
    assert clone.repro() == STAGES
    clone.commit("tiny")
    return clone


@pytest.fixture
def other(source, tmp_path):
    """Another clone of the same commit, with nothing in its cache."""
    return source.cloned_to(tmp_path / "other")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def error(printed: str) -> str:
    """Return the error that DVC printed, which must not be a traceback."""
    assert "Traceback" not in printed
    return printed[printed.index("ERROR: ") :]


def test_make_pull_without_a_remote_is_one_line(other, folder):
    assert re.fullmatch(r"error: there is no remote to fetch from; add one with: .*\n", other.shell(GUARD, fails=True))
    folder.use(other)
    assert other.shell(GUARD) == ""


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_after_a_push_another_clone_pulls_and_has_nothing_to_run(kind, source, other, request):
    remote = request.getfixturevalue(kind)
    remote.use(source)
    remote.use(other)
    files = contents(source.path / DATA)
    assert f"{len(files) + 1} files pushed" in source.run("dvc", "push")  # and the list of them; no survey
    other.shell(PULL)
    assert contents(other.path / DATA) == files and len(files) == 5
    assert other.repro("--allow-missing") == set()
    assert not (other.path / "data/simulated/crts").exists()
    if kind == "folder":
        assert other.repro() == {"periodic-simulate"}
    assert other.lock() == source.lock()


def test_a_remote_that_dies_during_a_push_or_pull_is_an_error_and_the_next_try_continues(source, other, s3):
    alive, whole = s3.options["endpointurl"], contents(source.path / DATA)
    s3.use(source)
    with dying(int(alive.rpartition(":")[2]), after=300_000) as port:
        s3.use(source, endpointurl=f"http://127.0.0.1:{port}")
        assert "failed to push data to the cloud" in error(source.shell("dvc push", fails=True, AWS_MAX_ATTEMPTS="1"))
    assert contents(source.path / DATA) == whole
    s3.use(source)
    assert "pushed" in source.run("dvc", "push")

    with dying(int(alive.rpartition(":")[2]), after=300_000) as port:
        s3.use(other, endpointurl=f"http://127.0.0.1:{port}")
        assert "failed to pull data from the cloud" in error(other.shell(PULL, fails=True, AWS_MAX_ATTEMPTS="1"))
    assert contents(other.path / DATA).items() <= whole.items()
    s3.use(other)
    other.shell(PULL)
    assert contents(other.path / DATA) == whole


@pytest.mark.parametrize(("kind", "message"), [("s3", "Forbidden"), ("ssh", "Permission denied")])
def test_a_wrong_key_is_refused_and_nothing_is_lost(kind, message, source, request):
    remote, whole = request.getfixturevalue(kind), contents(source.path / DATA)
    wrong = (
        {"secret_access_key": "wrong"}
        if kind == "s3"
        else {"keyfile": str(request.getfixturevalue("ssh_server")[1] / "unknown")}
    )
    remote.use(source, **wrong)
    assert message in error(source.run("dvc", "push", fails=True))
    assert contents(source.path / DATA) == whole and source.repro() == set()


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_a_corrupted_object_is_an_error_and_does_not_reach_the_workspace(kind, source, other, request):
    remote, whole = request.getfixturevalue(kind), contents(source.path / DATA)
    remote.use(source)
    remote.use(other)
    source.run("dvc", "push")
    listed = json.loads(source.shell(f"dvc ls . {DATA} --show-hash --json"))
    (digest,) = [file["md5"] for file in listed if file["path"] == "X_2d.npy"]
    remote.overwrite(f"files/md5/{digest[:2]}/{digest[2:]}", whole["X_2d.npy"][:-1] + b"?")
    assert f"Checkout failed for following targets:\n{DATA}\n" in error(other.shell(PULL, fails=True))
    assert contents(other.path / DATA).items() <= whole.items()
    remote.overwrite(f"files/md5/{digest[:2]}/{digest[2:]}", whole["X_2d.npy"])
    other.shell(PULL)
    assert contents(other.path / DATA) == whole
