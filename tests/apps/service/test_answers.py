"""The numbers of an answer."""

from dataclasses import replace

import numpy as np
import pytest

from apps.service import answers
from apps.service.batch import Table
from apps.service.drawing import Style
from apps.service.explaining import Answer, Question
from apps.service.inputs import Sample
from apps.service.models import registry
from skylight import params
from skylight.errors import InputError
from tests.conftest import ROOT

SAMPLE = Sample(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.uint8), about={"snr": float("nan")})


@pytest.fixture(scope="module")
def networks():
    return registry(params.load(ROOT / "params.yaml"))


def test_a_number_that_is_not_finite_is_null(networks):
    maps = np.float32([[[np.nan], [np.inf]], [[0], [0]]])
    answer = Answer(
        networks["metallicity"],
        "v",
        SAMPLE,
        np.array([np.nan, 0.5]),
        Question("lrp", "low", score="logit"),
        np.inf,
        maps,
    )
    text = answers.explained(answer, 0, Style()).model_dump_json()
    assert '"probabilities":{"high":null,"low":0.5}' in text and '"predicted":null' in text
    assert '"completeness_gap":null' in text and '"lowest":null' in text and '"snr":null' in text
    assert "NaN" not in text and "Infinity" not in text


def test_the_predicted_class_is_the_most_probable_one(networks):
    made = answers.prediction(Answer(networks["metallicity"], "v", SAMPLE, np.array([0.3, 0.7])))
    assert (made.predicted, made.probabilities) == ("low", {"high": 0.3, "low": 0.7})


def test_fractions_of_volunteers_predict_no_class(networks):
    bars = next(network for network in networks.values() if not network.exclusive)
    made = answers.prediction(Answer(bars, "v", SAMPLE, np.full(37, 0.5)))
    assert made.predicted is None and set(made.probabilities.values()) == {0.5}


def test_a_regression_is_one_number(networks):
    made = answers.prediction(Answer(networks["metallicity-regression"], "v", SAMPLE, np.array([8.5])))
    assert (made.value, made.quantity, made.predicted, made.probabilities) == (8.5, "12 + log(O/H)", None, None)


def test_a_table_has_six_digits_no_formula_and_the_reason(networks):
    network = replace(networks["metallicity"], classes=("=high", "low"))
    table = Table(network, explained=False)
    assert table.header() == "file,item,predicted,'=high,low,error\n"
    answer = Answer(network, "v", SAMPLE, np.array([1 / 3, np.nan]))
    assert table.row("=1+1", 0, answer) == "'=1+1,0,,0.333333,,\n"
    assert table.row("a\nb", None, InputError("no, it is not")) == 'a\\nb,,,,,"no, it is not"\n'
