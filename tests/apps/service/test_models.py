"""The registry of networks."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from apps.service.models import OWN, own, registry
from skylight import params
from skylight.errors import InputError
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def known():
    return registry(params.load(ROOT / "params.yaml"))


def test_every_artifact_of_the_pipeline_is_a_network(known):
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]
    weights = [path for network in known.values() for path in network.weights]
    assert len(artifacts) > 10
    for name, artifact in artifacts.items():
        path = Path(artifact["path"])
        assert any(path == each or path in each.parents for each in weights), name


def test_the_commands_that_make_weights_are_stages(known):
    described = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for network in known.values():
        stage, _, instance = network.made_by.removeprefix("dvc repro ").partition("@")
        assert stage in described and ("foreach" in described[stage] or "matrix" in described[stage]) == bool(instance)


def test_the_version_is_the_hash_of_dvc(known, tmp_path):
    weights = tmp_path / "w"
    (weights / "sub").mkdir(parents=True)
    for name, content in (("B.npy", "a"), ("a.npy", "bb"), ("sub/z.npy", "c")):
        (weights / name).write_text(content)
    network = known["supernovae-cap-bn"]
    assert len(network.weights) == 1
    assert replace(network, weights=(weights,)).version() == "ccd640f9ebb88be9f40715268f846e5b.dir"  # by `dvc add w`
    assert replace(network, weights=(weights / "B.npy",)).version() == "0cc175b9c0f1b6a831c399e269772661"  # md5 of "a"


def test_missing_weights_are_named_with_their_command(known, tmp_path):
    network = replace(known["metallicity"], weights=(tmp_path / "none.h5",))
    reason = f"{tmp_path}/none.h5: no such weights; `dvc repro metallicity-train` makes them"
    assert network.missing() == reason
    with pytest.raises(InputError, match="no such weights"):
        network.version()


@pytest.mark.parametrize(
    "entries, reason",
    [
        ("- a", "one entry per network"),
        ("a: [", "not YAML"),
        ("a b: {like: realbogus, weights: x}", "'a b' is no name"),
        ("a: {like: realbogus}", "a: must have like and weights"),
        ("a: {like: realbogus, weights: x, batch: 3}", "a: must have like and weights"),
        ("a: {like: nothing, weights: x}", "a: like must be one of periodic"),
        ("a: {like: realbogus, weights: x, classes: [one]}", "a: classes must be 2 names, got 1"),
    ],
)
def test_a_wrong_entry_of_a_user_is_named(known, tmp_path, entries, reason):
    (tmp_path / OWN).write_text(entries)
    with pytest.raises(InputError, match=reason):
        own(tmp_path, known)


def test_a_folder_without_entries_is_named(known, tmp_path):
    with pytest.raises(InputError, match=r"models.yaml: no such file; SKYLIGHT_MODELS needs models.yaml"):
        own(tmp_path, known)
