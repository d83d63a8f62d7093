"""The networks of the supernovae chapter are named and chosen in params.yaml."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from skylight.errors import InputError
from skylight.params import check
from skylight.params.supernovae import Supernovae

ROOT = Path(__file__).parents[3]
CAP = {"pooling": "cyclic_average", "batch_normalization": False, "members": 2}


def chapter(**networks):
    content = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["supernovae"]
    return check(Supernovae, content | {"networks": content["networks"] | networks})


def test_a_network_is_one_entry():
    supernovae = chapter(mine=CAP)
    assert list(supernovae.members) == ["deep_hits", "cap", "cap_bn", "mine"]
    assert supernovae.members["mine"] == ["mine_0", "mine_1"]
    expected = {"pooling": "cyclic_average", "batch_normalization": False} | supernovae.build.model_dump()
    assert supernovae.network_options["mine"] == expected


def test_names_that_cannot_be_file_names_and_missing_networks_are_errors():
    with pytest.raises(InputError, match=r"networks\.a/b: a name must be .* got 'a/b'"):
        chapter(**{"a/b": CAP})
    with pytest.raises(InputError, match=r"networks\.mine\.pooling: must be one of .*, got 'max'"):
        chapter(mine=CAP | {"pooling": "max"})
    content = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["supernovae"]
    with pytest.raises(InputError, match="networks: must have a network deep_hits"):
        check(Supernovae, content | {"networks": {"cap": CAP}})


@pytest.mark.parametrize("name", ["cap_averaged", "footprints", "cap_ensemble", "cap_turns"])
def test_no_two_outputs_have_one_name(name):
    with pytest.raises(InputError, match=f"would both have an output called {name}"):
        chapter(**{name: CAP})
