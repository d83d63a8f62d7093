"""How well networks answer the volunteers' questions."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight.errors import InputError
from skylight.galaxies.questions import ANSWERS, QUESTIONS, answers_to


def read_predictions(path: Path) -> pd.DataFrame:
    """Return the predicted answers, one row per ``GalaxyID`` (the index).

    Raises
    ------
    InputError
        The columns are not the 37 answers in the order of the decision tree.
    """
    table = pd.read_csv(path)
    if list(table) != ["GalaxyID", *ANSWERS]:
        raise InputError(f"{path}: the columns must be GalaxyID and the 37 answers in the order of the decision tree")
    return table.set_index("GalaxyID")


def vote_errors(predicted: pd.DataFrame, volunteers: pd.DataFrame) -> dict:
    """Compare predicted answers with those of the volunteers, on the galaxies that both have.

    Parameters
    ----------
    predicted : pandas.DataFrame
        As `read_predictions` returns it.
    volunteers : pandas.DataFrame
        ``GalaxyID`` and the 37 answers (`skylight.galaxies.catalogue.read_solutions`).

    Returns
    -------
    dict
        ``rmse``, the root mean squared error of all answers, and ``rmse_by_question``, that of the answers to each
        question (``3 bar``).
    """
    volunteers = volunteers.set_index("GalaxyID")
    volunteers = volunteers[volunteers.index.isin(predicted.index)]
    squares = (predicted.loc[volunteers.index, ANSWERS] - volunteers[ANSWERS]) ** 2
    by_question = {
        f"{question} {QUESTIONS[question][0]}": np.sqrt(squares[answers_to(question)].to_numpy().mean())
        for question in QUESTIONS
    }
    return {"rmse": np.sqrt(squares.to_numpy().mean()), "rmse_by_question": by_question}
