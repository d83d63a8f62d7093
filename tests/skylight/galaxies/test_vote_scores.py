"""The errors of predicted votes, against loops over galaxies and answers."""

import numpy as np
import pandas as pd
import pytest

from skylight.errors import InputError
from skylight.galaxies.questions import ANSWERS, QUESTIONS
from skylight.galaxies.vote_scores import read_predictions, vote_errors


@pytest.fixture
def tables():
    """Predictions of galaxies 1 to 6, and votes of galaxies 4 to 9 in another order."""
    rng = np.random.default_rng(0)
    predicted = pd.DataFrame(rng.random((6, 37)), columns=ANSWERS, index=pd.Index(range(1, 7), name="GalaxyID"))
    votes = pd.DataFrame(rng.random((6, 37)), columns=ANSWERS)
    votes.insert(0, "GalaxyID", [9, 6, 4, 8, 5, 7])
    return predicted, votes


def test_errors_are_over_the_galaxies_that_both_have(tables):
    predicted, votes = tables
    errors = vote_errors(predicted, votes)
    squares = {answer: [] for answer in ANSWERS}
    for row in votes.to_dict("records"):
        if row["GalaxyID"] <= 6:
            for answer in ANSWERS:
                squares[answer].append((predicted.loc[row["GalaxyID"], answer] - row[answer]) ** 2)
    assert all(len(found) == 3 for found in squares.values())
    assert errors["rmse"] == pytest.approx(np.mean(list(squares.values())) ** 0.5)
    assert list(errors["rmse_by_question"]) == [f"{q} {text}" for q, (text, *_) in QUESTIONS.items()]
    bar = squares["Class3.1"] + squares["Class3.2"]
    assert errors["rmse_by_question"]["3 bar"] == pytest.approx(np.mean(bar) ** 0.5)


def test_predictions_with_other_columns_are_an_error(tables, tmp_path):
    predicted, _ = tables
    predicted.to_csv(tmp_path / "good.csv")
    assert read_predictions(tmp_path / "good.csv").equals(predicted)
    predicted[ANSWERS[::-1]].to_csv(tmp_path / "bad.csv")
    with pytest.raises(InputError, match=r"bad\.csv: the columns must be GalaxyID and the 37 answers"):
        read_predictions(tmp_path / "bad.csv")
