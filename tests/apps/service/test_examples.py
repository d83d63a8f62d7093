"""Files to try a network with."""

import pytest

from apps.service import examples
from apps.service.models import registry
from skylight import params
from skylight.errors import InputError
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def settings():
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def networks(settings):
    return registry(settings)


@pytest.fixture(autouse=True)
def surveys(tmp_path, monkeypatch):
    """A folder in the place of the repository, with one empty file for each kind of survey."""
    monkeypatch.chdir(tmp_path)
    examples.files.cache_clear()
    for name in (
        *("crts/v0/indiv_lc/class1/9.csv", "crts/v0/indiv_lc/class4/1.csv", "crts/v0/classes.csv"),
        *("ztf_alerts/packets/b.avro", "ztf_alerts/packets/a.avro", "hits/test/chunk_0000.npz"),
        *("galaxy_zoo/images_test_rev1/images/7.jpg", "galaxy_zoo/images_training_rev1/8.jpg"),
        *("sdss_metallicity/images/5.jpg", "ptf/lightcurves/3.csv"),
    ):
        path = tmp_path / "data/simulated" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    yield
    examples.files.cache_clear()


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("periodic", ["1.csv", "9.csv"]),
        ("periodic-ptf", ["3.csv"]),
        ("periodic-ztf", []),  # one table of all objects
        ("realbogus", ["a.avro", "b.avro"]),
        ("bars-xception", ["7.jpg"]),  # of the test part
        ("supernovae-cap", ["chunk_0000.npz"]),
        ("metallicity-regression", ["5.jpg"]),
    ],
)
def test_examples_are_files_of_the_survey(networks, settings, network, names):
    found = examples.of_network(networks[network], settings)
    assert list(found) == names
    assert all(example.about == f"simulated, {name}" for name, (example, _) in found.items())


def test_the_content_is_that_of_the_file(networks, settings):
    assert examples.content(networks["realbogus"], settings, "b.avro") == b"ztf_alerts/packets/b.avro"


@pytest.mark.parametrize("name", ["c.avro", "../packets/a.avro", "..", "/etc/passwd", ""])
def test_no_other_file_is_given(networks, settings, name):
    with pytest.raises(InputError, match=r"example: must be one of a\.avro, b\.avro"):
        examples.content(networks["realbogus"], settings, name)


def test_digits_are_made_and_read_by_the_network(networks, settings):
    network = networks["supernovae-digits-cnn"]
    found = examples.of_network(network, settings)
    assert list(found) == ["0.png", "1.png", "2.png"]
    read, *options = network.read
    (sample,) = read(examples.content(network, settings, "1.png"), 0, 1, *options)
    assert sample.inputs.shape == (8, 8, 1) and sample.inputs.max() > 0.5
