"""Simulated votes obey the decision tree, and bars that are hard to see get fewer votes."""

import dataclasses

import numpy as np
import pytest

from skylight.galaxies.questions import ANSWERS, BAR, QUESTIONS, answers_to
from skylight.simulations.galaxies import draw_galaxy
from skylight.simulations.votes import bar_visibility, opinions, votes


@pytest.fixture(scope="module")
def galaxies():
    rng = np.random.default_rng(1)
    return [draw_galaxy(rng, 10.0) for _ in range(200)]


@pytest.fixture
def barred(galaxies):
    return next(g for g in galaxies if g.bar_fraction and 0.5 < bar_visibility(g) < 0.9 and g.cos_inclination > 0.6)


def test_opinions_are_probabilities(galaxies):
    for galaxy in galaxies:
        for question, chances in opinions(galaxy).items():
            assert len(chances) == QUESTIONS[question][1]
            assert (chances >= 0).all()
            assert chances.sum() == pytest.approx(1)


def test_the_answers_to_a_question_sum_to_the_fraction_of_the_answer_that_leads_to_it(galaxies):
    rng = np.random.default_rng(2)
    for galaxy in galaxies:
        share = dict(zip(ANSWERS, votes(galaxy, 44, rng), strict=True))
        for question, (_, _, parent) in QUESTIONS.items():
            total = sum(share[answer] for answer in answers_to(question))
            assert total == pytest.approx(share[parent] if parent else 1)


def test_votes_scatter_like_binomial_counts(barred):
    rng = np.random.default_rng(3)
    share = np.array([votes(barred, 44, rng)[ANSWERS.index(BAR)] for _ in range(2000)])
    chances = opinions(barred)
    p = chances[1][1] * chances[2][1] * chances[3][0]
    assert share.mean() == pytest.approx(p, abs=0.01)
    assert share.std() == pytest.approx(np.sqrt(p * (1 - p) / 44), rel=0.1)


@pytest.mark.parametrize(
    "harder",
    [
        lambda g: {"bar_radius": 0.4 * g.bar_radius, "bar_fraction": 0.16 * g.bar_fraction},
        lambda g: {"bar_fraction": 0.4 * g.bar_fraction},
        lambda g: {"cos_inclination": 0.35},
        lambda g: {"seeing": 3 * g.seeing},
    ],
    ids=["short", "weak", "inclined", "blurred"],
)
def test_fewer_people_see_a_bar_that_is(harder, barred):
    assert bar_visibility(dataclasses.replace(barred, **harder(barred))) < bar_visibility(barred) - 0.1
    assert bar_visibility(dataclasses.replace(barred, bar_fraction=0.0)) <= 0.05
