"""Answer the volunteers' questions about the training and test images (Bhambra et al. 2022, section 3.1).

Run as ``python -m stages.bars.test vgg16`` (or ``resnet50v2``, ``xception``), then ``... ensemble``, which
averages the networks' answers and writes how far all of them are from the volunteers'.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import InputError, script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.images import save_rejected, small_images
from skylight.galaxies.questions import ANSWERS, QUESTIONS, answers_to
from skylight.outputs import save_json, save_table
from skylight.params.bars import Bars

OUT = Path("out/bars")
PARTS = ("train", "test")


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    if name == "ensemble":
        average(bars)
    else:
        predict(bars, name)


def predict(bars: Bars, name: str) -> None:
    from skylight.networks.galaxy_zoo import load_galaxy_zoo
    from skylight.training.augmentation import plain_batches
    from skylight.training.fit import deterministic

    deterministic(bars.data.seed)
    network = bars.network(name)
    model = load_galaxy_zoo(OUT / name / "model.weights.h5", name, bars.data.size, network.width, network.min_filters)
    folder = Path(bars.data.path)
    ids = survey.read_solutions(folder / survey.SOLUTIONS)["GalaxyID"]
    paths = {
        "train": [folder / survey.TRAINING_IMAGES / f"{galaxy}.jpg" for galaxy in ids],
        "test": sorted((folder / survey.TEST_IMAGES).glob("*.jpg")),
    }
    for part in PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            images, kept, rejected = small_images(
                paths[part], bars.data.crop, bars.data.size, Path(scratch) / "images.npy"
            )
            save_rejected(OUT / name / f"rejected_{part}.csv", rejected, bars.data.max_rejected)
            answers = model.predict(plain_batches(images, None, 256), verbose=0)
        table = pd.DataFrame(answers, columns=ANSWERS)
        table.insert(0, "GalaxyID", [paths[part][place].stem for place in kept])
        save_table(OUT / name / f"predictions_{part}.csv", table)


def average(bars: Bars) -> None:
    predictions = {model: read_predictions(model) for model in bars.models}
    predictions["ensemble"] = {
        part: sum(tables[part] for tables in predictions.values()) / len(bars.models) for part in PARTS
    }
    for part, table in predictions["ensemble"].items():
        save_table(OUT / "ensemble" / f"predictions_{part}.csv", table.reset_index())

    solutions = survey.read_solutions(Path(bars.data.path) / survey.SOLUTIONS)
    train, held_out = survey.split(
        solutions, 1 - bars.data.validation_split, bars.data.seed, "bars.data.validation_split"
    )
    known = {"train": ("train", train), "validation": ("train", held_out)}
    if bars.data.truth:
        known["test"] = ("test", survey.read_test_solutions(bars.data.truth))
    metrics = {
        part: {model: errors(tables[source], volunteers) for model, tables in predictions.items()}
        for part, (source, volunteers) in known.items()
    }
    save_json(OUT / "metrics" / "test.json", metrics)


def read_predictions(model: str) -> dict[str, pd.DataFrame]:
    tables = {part: pd.read_csv(OUT / model / f"predictions_{part}.csv") for part in PARTS}
    if any(list(table) != ["GalaxyID", *ANSWERS] for table in tables.values()):
        raise InputError(f"{OUT / model}: predictions are not of the 37 answers in the decision tree's order")
    return {part: table.set_index("GalaxyID") for part, table in tables.items()}


def errors(predicted: pd.DataFrame, volunteers: pd.DataFrame) -> dict:
    """Root mean squared error over all answers, and over those to each question."""
    volunteers = volunteers.set_index("GalaxyID")
    volunteers = volunteers[volunteers.index.isin(predicted.index)]
    squares = (predicted.loc[volunteers.index, ANSWERS] - volunteers[ANSWERS]) ** 2
    by_question = {
        f"{question} {QUESTIONS[question][0]}": np.sqrt(squares[answers_to(question)].to_numpy().mean())
        for question in QUESTIONS
    }
    return {"rmse": np.sqrt(squares.to_numpy().mean()), "rmse_by_question": by_question}


if __name__ == "__main__":
    main()
