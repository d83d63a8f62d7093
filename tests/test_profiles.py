"""The profiles: every setting is a parameter, and `paper` has the published values of the comments in params.yaml.

Also the settings that docs/experiments.md shows.
"""

import re
import shutil
import subprocess

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from skylight import params
from tests.conftest import ROOT, profile, set_params

LINES = (ROOT / "params.yaml").read_text().splitlines()
DEFAULTS = YAML().load("\n".join(LINES))
EXPERIMENTS = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
PAPER = profile("paper")
PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())


def flat(section: CommentedMap, prefix: str = "") -> dict[str, object]:
    """Return every parameter and every section by its key."""
    found = {}
    for name, value in section.items():
        found[f"{prefix}{name}"] = value
        if isinstance(value, CommentedMap):
            found |= flat(value, f"{prefix}{name}.")
    return found


def comments(section: CommentedMap, prefix: str = "") -> dict[str, tuple[str, str]]:
    """Return, for each key with its own line, the comment beside it and the comment above it."""
    found = {}
    for name, value in section.items():
        line = section.lc.key(name)[0]
        above = []
        while LINES[line - len(above) - 1].strip().startswith("#"):
            above.append(LINES[line - len(above) - 1].strip(" #"))
        found[f"{prefix}{name}"] = (LINES[line].partition(" #")[2].strip(), " ".join(reversed(above)))
        if isinstance(value, CommentedMap) and not value.fa.flow_style():
            found |= comments(value, f"{prefix}{name}.")
    return found


def number(text: str) -> object:
    """Return the value at the start of a text: ``1,220,000 ...``, ``1e-3)``, ``false). ...``, ``all``."""
    word = re.match(r"(?:up to )?(-?[\d,]*\.?\d+(?:e-?\d+)?|true|false|null|max|logit|all)\b", text)
    assert word, f"published: {text!r} is no number, true, false, null, max, logit or all"
    return word[1] if word[1] == "all" else YAML(typ="safe").load(re.sub(r",(?=\d{3})", "", word[1]))


def published() -> list[dict[str, object]]:
    """Return the published values, by parameter, in each comment with ``published: ``.

    A comment beside a mapping (``{factor: 0.5, patience: 2}  # published: 0.5, 5``) has the values of its keys in their
    order. A comment above a key has its value, or the values of the keys below it by name (``width: of all filters
    (published: 1); ...``).
    """
    found = []
    for key, (beside, above) in comments(DEFAULTS).items():
        value = flat(DEFAULTS)[key]
        for text in re.findall(r"[Pp]ublished: (.*)", beside):
            if isinstance(value, CommentedMap):
                texts = zip(value, text.split(", "), strict=True)
                found.append({f"{key}.{name}": number(part) for name, part in texts})
            else:
                found.append({key: number(text)})
        if isinstance(value, CommentedMap):
            for name, text in re.findall(r"(\w+): [^;]*\(published: ([^;]*)", above):
                below = [inner for inner in flat(value, f"{key}.") if inner.rpartition(".")[2] == name]
                found.append(dict.fromkeys(below, number(text)))
        else:
            found += [{key: number(text)} for text in re.findall(r"[Pp]ublished: (.*)", above)]
    return found


PUBLISHED = {key: value for values in published() for key, value in values.items()}


@pytest.mark.parametrize("name", PROFILES)
def test_every_setting_is_a_parameter_and_the_parameters_are_valid(name, tmp_path):
    settings = profile(name)
    assert settings and set(settings) <= set(flat(DEFAULTS))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    set_params(tmp_path / "params.yaml", settings)
    params.load_all(tmp_path / "params.yaml")


def test_every_comment_with_a_published_value_is_read():
    mentioned = sum(len(re.findall("[Pp]ublished: ", line)) for line in LINES)
    assert len(published()) == mentioned > 10 and all(published())


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_profile_paper_has_each_published_value_that_is_not_the_default(key):
    value, default = PUBLISHED[key], flat(DEFAULTS)[key]
    if value == default:
        return
    assert key in PAPER, f"published: {value}, the default is {default}"
    assert PAPER[key] > default if value == "all" else PAPER[key] == value


@pytest.mark.parametrize(
    ("line", "surveys"),
    [*zip(re.findall(r"^\$ dvc exp run (-S '[~+].*) ", EXPERIMENTS, re.M), ([], ["ztf", "ptf"]), strict=True)],
)
def test_what_the_document_shows_for_sections_and_optional_keys_works(line, surveys, tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    before = params.load_all(tmp_path / "params.yaml")
    apply_overrides(str(tmp_path / "params.yaml"), ["periodic.transfer.surveys={}"])
    assert params.load_all(tmp_path / "params.yaml") == before  # as the document says
    apply_overrides(str(tmp_path / "params.yaml"), re.findall("-S '([^']*)'", line))
    after = params.load_all(tmp_path / "params.yaml")
    assert after != before and list(after.periodic.transfer.surveys) == surveys


def test_make_figures_checks_the_parameters_before_dvc_reads_them():
    planned = subprocess.run(["make", "-n", "figures"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 0 <= planned.find("skylight check") < planned.find("dvc repro")
