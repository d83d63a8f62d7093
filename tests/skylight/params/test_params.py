"""params.yaml: its values are loaded unchanged, and the error of every kind of fault names the key."""

from pathlib import Path

import pytest

from skylight import params
from skylight.errors import InputError


@pytest.fixture
def fault(tmp_path):
    """Load params.yaml with one text replaced by another; return the error's message."""

    def load(old, new):
        text = Path("params.yaml").read_text()
        assert old in text
        (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
        with pytest.raises(InputError) as error:
            params.load(tmp_path / "params.yaml")
        return str(error.value)

    return load


def test_the_file_in_the_repository_is_valid():
    assert params.load().periodic.dmdt.dt_edges[1] == 1 / 145


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 60 ", "epochs: 0 ", "periodic.train.epochs: must be at least 1, got 0"),
        ("epochs: 60 ", "epochs: many ", "periodic.train.epochs: must be an integer, got 'many'"),
        ("epochs: 60 ", "epochs: 1.5 ", "periodic.train.epochs: must be an integer, got 1.5"),
        ("epochs: 60 ", "", "periodic.train.epochs: missing"),
        ("epochs: 60 ", "epoch: 60 ", "periodic.train.epoch: unknown key (known here: "),
        ("test_fraction: 0.2", "test_fraction: 1", "periodic.train.test_fraction: must be less than 1"),
        ("sampling: none", "sampling: all", "periodic.train.sampling: must be one of 'none', 'smote'"),
        ("layout: crts", "layout: tess", "periodic.data: must be a section whose 'layout' is one of"),
        ("layout: crts", "layot: crts", "periodic.data: must be a section with a key 'layout'"),
        ("  simulate:\n", "  simulate: 3\n  simulat:\n", "periodic.simulate: must be a section of keys, got 3"),
        ("dm_edges: [-8,", "dm_edges: [9,", "periodic.dmdt.dm_edges: edges must ascend"),
        ("RRC: RRc", "RRC: RRx", "periodic: transfer.surveys.ptf.labels.classes.RRC: must be null or one of EW"),
        (
            "blanked_cells: [1,",
            "blanked_cells: [529,",
            "periodic: class_maps.blanked_cells: must be at most 528, the cells of the grid, got 529",
        ),
        ("band: zr", "bands: zr", "periodic.transfer.surveys.ztf.bands: unknown key"),
        ("{id}.csv", "star.csv", "files must have {id} in it once, got 'lightcurves/star.csv'"),
        ("symmetries: true", "symmetries: false", "shift needs symmetries: true, got 8"),
    ],
)
def test_a_fault_names_its_key(fault, old, new, message):
    assert message in fault(old, new)


def test_one_error_has_all_faults(fault):
    lines = fault("epochs: 60 ", "epochs: 0\n    batch: 3 ").splitlines()
    assert len(lines) == 2


def test_a_number_in_exponent_form_without_a_point_is_a_number(tmp_path):
    text = Path("params.yaml").read_text().replace("learning_rate: 2.0e-4", "learning_rate: 2e-4", 1)
    (tmp_path / "params.yaml").write_text(text)
    assert params.load(tmp_path / "params.yaml").periodic.train.learning_rate == 2e-4


def test_a_key_given_twice_is_an_error_with_its_line(fault):
    message = fault("    trees: 500", "    trees: 500\n    trees: 400")
    assert "line" in message and "trees" in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: No such file"):
        params.load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("control", "bars.networks: no network can be called control, because other outputs are"),
        ("a b", "bars.networks: the name of a network has only letters, digits, _ and -, got 'a b'"),
    ],
)
def test_a_network_needs_a_name_that_is_free_and_can_be_a_file(fault, name, message):
    assert message in fault("vgg16: {width", f"{name}: {{width")
