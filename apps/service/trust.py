"""How far to trust a method: what the chapter of a network has measured of it, beside the controls."""

import csv
from pathlib import Path

from pydantic import BaseModel

from apps.service.models import OUT, Network
from skylight.params import Chapters

BETTER = {
    "insertion": "higher",
    "deletion": "lower",
    "road": "lower",
    "faithfulness_correlation": "higher",
    "infidelity": "lower",
    "roc_auc": "higher",
    "relevance_mass": "higher",
    "rank_accuracy": "higher",
    "pointing_game": "higher",
    "sensitivity": "lower",
    "max_sensitivity": "lower",
    "sparseness": None,
}
"""The metrics of `skylight.evaluation` with one value for each image -> which values are better; None: it describes."""
CONTROLS = ("edges", "random", "centre")


class Value(BaseModel):
    """A mean over objects and its bootstrap error."""

    value: float
    error: float


class Row(Value):
    """A metric of the method, and of the maps that explain nothing."""

    metric: str
    better: str | None
    n: int
    controls: dict[str, Value]


class Trust(BaseModel):
    """What was measured, and the file that has it; no rows if nothing was."""

    method: str
    score: str
    source: str | None
    rows: list[Row]


def table(network: Network, settings: Chapters) -> tuple[Path, str | None] | None:
    """Return the table of a network's chapter, and what its column ``network`` says; None if there is no such table.

    A network that was trained again on other data, or on another question, was not measured.
    """
    chapter, _, rest = network.name.partition("-")
    if network.name in ("periodic", "realbogus"):
        return OUT / chapter / "metrics/methods.csv", None
    if network.name == "metallicity":
        return OUT / chapter / "metrics/scorecard.csv", None
    if chapter == "supernovae" and not rest.startswith("digits"):
        return OUT / chapter / "metrics/methods.csv", rest.replace("-", "_")
    return None


def measured(network: Network, settings: Chapters, method: str, score: str) -> Trust:
    """Return the rows of a method with its default baseline and a score, in the order of `BETTER`."""
    found = table(network, settings)
    if not found or not found[0].exists():
        return Trust(method=method, score=score, source=None, rows=[])
    path, part = found
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line.get("network") == part and not line.get("layer")]
    names = {method, {"lrp": f"lrp {network.rule}", "integrated_gradients": "ig_black"}.get(method)}
    own = {line["metric"]: line for line in lines if line["method"] in names and line.get("score", score) == score}
    controls = {(line["method"], line["metric"]): line for line in lines if line["method"] in CONTROLS}
    rows = [
        Row(
            metric=metric,
            better=better,
            n=int(own[metric]["n"]),
            **number(own[metric]),
            controls={
                name: number(controls[name, metric]) for name in CONTROLS if has_value(controls.get((name, metric)))
            },
        )
        for metric, better in BETTER.items()
        if has_value(own.get(metric))
    ]
    return Trust(method=method, score=score, source=path.as_posix(), rows=rows)


def number(line: dict[str, str]) -> dict[str, float]:
    """Return the value of a line and its error."""
    return {"value": float(line["value"]), "error": float(line["error"] or 0)}


def has_value(line: dict[str, str] | None) -> bool:
    """Return whether there is such a line, and its metric was defined for an object."""
    return line is not None and line["value"] != ""
