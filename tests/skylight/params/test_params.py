"""params.yaml: its values are loaded unchanged, and the error of every kind of fault names the key."""

import re
from pathlib import Path
from typing import get_args

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
            params.load_all(tmp_path / "params.yaml")
        return str(error.value)

    return load


def test_the_file_in_the_repository_is_valid():
    assert params.load_all().periodic.dmdt.dt_edges[1] == params.load().periodic.dmdt.dt_edges[1] == 1 / 145


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
        ("layout: crts", "layout: tess", "periodic.data.layout: must be one of 'crts', 'files', 'table', got 'tess'"),
        ("layout: crts", "layot: crts", "periodic.data: must be a section with a key 'layout'"),
        ("  simulate:\n", "  simulate: 3\n  simulat:\n", "periodic.simulate: must be a section of keys, got 3"),
        ("dm_edges: [-8,", "dm_edges: [9,", "periodic.dmdt.dm_edges: edges must ascend"),
        ("RRC: RRc", "RRC: RRx", "periodic.transfer.surveys.ptf.labels.classes.RRC: must be null or one of EW"),
        (
            "blanked_cells: [1,",
            "blanked_cells: [529,",
            "periodic.class_maps.blanked_cells: must be at most 528, the cells of the grid, got 529",
        ),
        ("band: zr", "bands: zr", "periodic.transfer.surveys.ztf.bands: unknown key"),
        (
            "{id}.csv",
            "star.csv",
            "periodic.transfer.surveys.ptf.files: must have {id} in it once, got",
        ),
        ("symmetries: true", "symmetries: false", "bars.heatmaps.shift: must be 0 without symmetries, got 8"),
        ("[EW, EA, RRab,", "[EW, EW, RRab,", "periodic.classes: 'EW' is there 2 times"),
        ("[EW, EA,", '[EW, "=EA()",', "periodic.classes.1: a class must be a name that does not begin with"),
        ("path: data/simulated/crts/v0", "path: .", "periodic.data.path: must be outside of data/processed"),
        (
            "path: data/simulated/ptf",
            "path: out/../out/x",
            "periodic.transfer.surveys.ptf.path: must be outside of out",
        ),
        (
            "path: data/simulated/galaxy_zoo",
            "path: data/processed/bars",
            "bars.data.path: must be outside of data/proc",
        ),
        ("path: data/simulated/hits ", "path: '' ", "supernovae.data.path: must be a path, got ''"),
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


NAME = "a name must be 1 to 100 letters (A to Z), digits, _ and -, not first a -, got "


@pytest.mark.parametrize(
    "section", ["periodic.transfer.surveys.ptf", "bars.networks.vgg16", "supernovae.networks.cap_bn"]
)
@pytest.mark.parametrize(
    "name", ["x; touch pwned; #", "../../../../victim", "my survey", "-x", "", "a\n", "é", "$(id)", "a" * 101]
)
def test_names_cannot_be_commands_or_paths(fault, section, name):
    parent, _, old = section.rpartition(".")
    assert f"{parent}.{params.printable(name)}: {NAME}{name!r}" in fault(f" {old}:", f" {quoted(name)}:")


@pytest.mark.parametrize("name", ["1", "null", "true", "1.5"])
def test_a_name_is_a_text(fault, name):
    message = fault(" ptf:", f" {name}:")
    assert re.match(r"periodic\.transfer\.surveys\.\S+: must be a name of letters, digits, _ and -; in quotes", message)


def quoted(text: str) -> str:
    return '"' + params.printable(text) + '"'


def test_a_network_needs_a_name_that_no_other_output_has(fault):
    message = "bars.networks: no network can be called control, because other outputs are"
    assert message in fault("vgg16: {width", "control: {width")


def numbers(section):
    """Yield each number in a part of the parameters: its section and its key."""
    for name, field in section.model_fields.items():
        value = getattr(section, name)
        if isinstance(value, params.Section):
            yield from numbers(value)
        elif float in (field.annotation, *get_args(field.annotation)):
            yield section, name


def test_no_number_is_infinite_or_nan():
    tried = list(numbers(params.load_all()))
    assert len(tried) > 25
    for section, name in tried:
        for bad in (float("inf"), float("-inf"), float("nan")):
            content = section.model_dump(by_alias=True) | {name: bad}
            with pytest.raises(InputError, match=rf"{name}: must be "):
                params.check(type(section), content)
    dmdt = params.load_all().periodic.dmdt.model_dump()
    with pytest.raises(InputError, match=r"dm_edges\.22: must be a finite number, got inf"):
        params.check(
            params.Periodic.model_fields["dmdt"].annotation, dmdt | {"dm_edges": [*dmdt["dm_edges"][:-1], float("inf")]}
        )


def test_labels_are_needed_for_the_training_only(tmp_path):
    text = Path("params.yaml").read_text()
    layout = "    layout: files\n    files: '{id}.csv'\n    columns: {time: t, mag: m, magerr: e}\n    labels: null\n"
    start, end = text.index("    layout: crts"), text.index("    path: data/simulated/crts")
    (tmp_path / "params.yaml").write_text(text[:start] + layout + text[end:])
    with pytest.raises(InputError, match=r"^periodic\.data\.labels: must not be null, the network is trained"):
        _ = params.load(tmp_path / "params.yaml").periodic
    labels = re.search(r"          path: classes.csv\n(          .*\n)+", text).group()
    (tmp_path / "params.yaml").write_text(text.replace(f"        labels:\n{labels}", "        labels: null\n"))
    assert params.load_all(tmp_path / "params.yaml").periodic.transfer.surveys["ptf"].labels is None


def test_a_stage_checks_the_section_of_its_chapter_only(tmp_path):
    text = Path("params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("crop: 136", "crob: 136"))
    loaded = params.load(tmp_path / "params.yaml")
    assert loaded.periodic == params.load_all().periodic and loaded.supernovae.members["cap"]
    with pytest.raises(InputError, match=r"^bars\.transform\.crop: missing\nbars\.transform\.crob: unknown key"):
        _ = loaded.bars
    with pytest.raises(InputError, match=r"^bars\.transform\.crop: missing\nbars\.transform\.crob: unknown key"):
        params.load_all(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("periodik: 1\n")
    with pytest.raises(InputError, match=r"^periodic: missing$"):
        _ = params.load(tmp_path / "params.yaml").periodic


BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" if i else "a0: &a0 [1]\n" for i in range(12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff\n", " line 2: not a text in UTF-8"),
        ("a: 1".encode("utf-16"), " line 1: not a text in UTF-8"),
        (b"", ": must be a section of keys, got None"),
        (b"- 1", r": must be a section of keys, got \[1\]"),
        (b"a: !!int x", ": not valid YAML: "),
        (b"a: !!float x", ": not valid YAML: "),
        (b"a: !!bool x", ": not valid YAML: "),
        (b"a: !!timestamp x", ": not valid YAML: "),
        (b"a: !!binary \xc3\xa9", ": not valid YAML: "),
        (b"a: !!python/object/apply:os.system [id]", " line 1: not valid YAML: could not determine a constructor"),
        (b"a: 1\nb: " + b"1" * 5000, " line 2: a number of 5,000 characters"),
        (b"a: 0x" + b"f" * 5000, " line 1: a number of 5,002 characters"),
        (b"[" * 5000 + b"]" * 5000, ": not valid YAML: nested too deeply"),
        (BOMB.encode(), " line \\d: more than 20,000 values"),
        (b"a: &a [*a]", " line 1: a value contains itself"),
        (b"a: &a {b: *a}", " line 1: a value contains itself"),
        (b"a: \x00", ": not valid YAML: "),
        (b"a: 1\n" * 100_000, ": larger than 131,072 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        params.load(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_folder_is_no_parameter_file(tmp_path):
    with pytest.raises(InputError, match="not a file"):
        params.load(tmp_path)


def test_a_long_value_is_cut_in_the_message(fault):
    message = fault("classes: {EW: EW, EA: EA, RRAB", f"classes: {{EW: {'a' * 5000}, EA: EA, RRAB")
    assert message.startswith("periodic.transfer.surveys.ptf.labels.classes.EW: ") and message.endswith("...")
    assert len(message) < 1200
