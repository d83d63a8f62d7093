"""Average the answers of all networks, and compare them with the volunteers' (Bhambra et al. 2022, section 3.1)."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.vote_scores import read_predictions, vote_errors
from skylight.outputs import save_json, save_table

OUT = Path("out/bars")
PARTS = ("train", "test")


@script
def main() -> None:
    bars = params.load().bars
    predictions = {
        name: {part: read_predictions(OUT / "predictions" / name / f"{part}.csv") for part in PARTS}
        for name in bars.networks
    }
    predictions["ensemble"] = {
        part: sum(tables[part] for tables in predictions.values()) / len(bars.networks) for part in PARTS
    }
    for part, table in predictions["ensemble"].items():
        save_table(OUT / "ensemble" / f"{part}.csv", table.reset_index())

    solutions = survey.read_solutions(Path(bars.data.path) / survey.SOLUTIONS)
    share, seed = 1 - bars.train.validation_split, bars.data.split_seed
    train, validation = survey.shuffle_split(solutions, share, seed, "bars.train.validation_split")
    known = {"train": ("train", train), "validation": ("train", validation)}
    if bars.data.truth:
        known["test"] = ("test", survey.read_test_solutions(bars.data.truth))
    metrics = {
        part: {model: vote_errors(tables[source], volunteers) for model, tables in predictions.items()}
        for part, (source, volunteers) in known.items()
    }
    save_json(OUT / "metrics" / "test.json", metrics)


if __name__ == "__main__":
    main()
