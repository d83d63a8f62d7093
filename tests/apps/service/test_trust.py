"""The rows of a scorecard, from a table of a chapter."""

from dataclasses import replace

import pytest

from apps.service import trust
from apps.service.models import registry
from skylight import params
from tests.conftest import ROOT

TABLE = """method,score,metric,value,error,n,network
lrp alphabeta,logit,deletion,0.36,0.05,60,cap
lrp alphabeta,log_odds,deletion,0.38,0.05,60,cap
lrp alphabeta,logit,insertion,0.91,0.02,60,cap
lrp alphabeta,logit,sparseness,,,0,cap
lrp epsilon,logit,deletion,0.42,0.05,60,cap
lrp alphabeta,logit,deletion,0.50,0.05,60,deep_hits
edges,,deletion,0.53,0.06,60,cap
random,,deletion,0.69,0.04,60,cap
random,,insertion,0.68,0.04,60,cap
"""


@pytest.fixture(scope="module")
def settings():
    return params.load(ROOT / "params.yaml")


@pytest.fixture
def networks(settings, tmp_path, monkeypatch):
    """The networks, where the supernovae chapter has a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out/supernovae/metrics").mkdir(parents=True)
    (tmp_path / "out/supernovae/metrics/methods.csv").write_text(TABLE)
    return registry(settings)


def test_rows_are_those_of_the_network_the_rule_and_the_score(networks, settings):
    found = trust.measured(networks["supernovae-cap"], settings, "lrp", "logit")
    assert found.source == "out/supernovae/metrics/methods.csv"
    insertion, deletion = found.rows
    assert (insertion.metric, insertion.better, insertion.value, insertion.n) == ("insertion", "higher", 0.91, 60)
    assert (deletion.metric, deletion.better, deletion.value, deletion.error) == ("deletion", "lower", 0.36, 0.05)
    assert {name: control.value for name, control in deletion.controls.items()} == {"edges": 0.53, "random": 0.69}
    assert set(insertion.controls) == {"random"}
    assert [row.value for row in trust.measured(networks["supernovae-cap"], settings, "lrp", "log_odds").rows] == [0.38]
    other = replace(networks["supernovae-cap"], rule="epsilon")
    assert [row.value for row in trust.measured(other, settings, "lrp", "logit").rows] == [0.42]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("supernovae-cap", "saliency"),  # not measured
        ("supernovae-cap-bn", "lrp"),  # no rows of this network
        ("periodic", "saliency"),  # no table on this machine
        ("periodic-ztf", "saliency"),  # trained again on other data
        ("bars-xception", "smoothgrad"),  # a chapter without a table
    ],
)
def test_what_was_not_measured_has_no_rows(networks, settings, name, method):
    assert trust.measured(networks[name], settings, method, "logit").rows == []


@pytest.mark.parametrize(
    ("name", "method", "score"),
    [
        ("periodic", "deep_shap", "log_odds"),
        ("realbogus", "deep_shap", "log_odds"),
        ("supernovae-cap", "lrp", "logit"),
        ("supernovae-deep-hits", "lrp", "logit"),
        ("metallicity", "hirescam", "log_odds"),
    ],
)
def test_the_default_methods_were_measured_in_the_outputs_of_git(settings, monkeypatch, name, method, score):
    monkeypatch.chdir(ROOT)
    rows = trust.measured(registry(settings)[name], settings, method, score).rows
    assert {"insertion", "deletion"} <= {row.metric for row in rows}
    assert all({"edges", "random"} <= set(row.controls) and row.n > 0 for row in rows)
