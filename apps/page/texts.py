"""What the page says: probabilities as bars, tables, and whether a method can be trusted."""

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence

QUESTIONS = {
    "insertion": "Does the probability come back when the most relevant pixels are inserted first?",
    "deletion": "Does the probability fall when the most relevant pixels are removed first?",
    "road": "The same as deletion, with imputed pixels",
    "faithfulness_correlation": "Is the relevance of pixels as large as the loss of probability without them?",
    "infidelity": "Does the map predict what removed squares change?",
    "roc_auc": "Is the relevance where the evidence is known to be?",
    "relevance_mass": "Which share of the relevance is where the evidence is known to be?",
    "rank_accuracy": "Are the most relevant pixels where the evidence is known to be?",
    "pointing_game": "Is the peak of the map where the evidence is known to be?",
    "sensitivity": "Does the map change under small noise?",
    "max_sensitivity": "How much does the map change at most under small noise?",
    "sparseness": "Is the map a point (1) or flat (0)?",
}
"""The metrics of `skylight.evaluation`, as questions."""
ERRORS = 2
"""Standard errors by which a method must be better than a control."""


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is: a file may have any name."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|$~:-])", r"\\\1", text)


def percent(probability: float | None) -> str:
    """Return a probability in per cent, which does not say 0 or 100 % of what is not quite that."""
    if probability is None:
        return "no number"
    if 0 < probability < 0.001:
        return "< 0.1 %"
    if 0.999 < probability < 1:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def bars(probabilities: dict[str, float | None], caption: str) -> str:
    """Return probabilities by class as an HTML table with bars: the numbers are text, the bars are decoration."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{percent(value)}</td>'
        f'<td class="bar" aria-hidden="true"><div style="width:{100 * (value or 0):.2f}%"></div></td></tr>'
        for name, value in probabilities.items()
    )
    return f'<table class="bars"><caption>{html.escape(caption)}</caption><tbody>{rows}</tbody></table>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Return an HTML table; the first cell of a row is its header."""
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    body = ""
    for first, *cells in rows:
        others = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        body += f'<tr><th scope="row">{html.escape(first)}</th>{others}</tr>'
    return (
        f'<table class="rows"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return file.getvalue()


def verdict(row: dict) -> str:
    """Return how a method compares with the controls, which do not explain the network.

    Parameters
    ----------
    row : dict
        ``value``, ``error``, ``better`` ("higher", "lower" or None) and ``controls``: name -> ``value``, ``error``.
    """
    if row["better"] is None:
        return "describes the map only"
    sign = 1 if row["better"] == "higher" else -1
    not_beaten = [
        name
        for name, control in row["controls"].items()
        if not sign * (row["value"] - control["value"]) > ERRORS * (row["error"] ** 2 + control["error"] ** 2) ** 0.5
    ]
    return f"not better than {' and '.join(not_beaten)}" if not_beaten else "better than all controls"


def trust_rows(rows: Iterable[dict]) -> list[tuple[str, ...]]:
    """Return the rows of a scorecard: the question, the values of the method and of the controls, and the result."""
    return [
        (
            QUESTIONS.get(row["metric"], row["metric"]),
            f"{number(row)} ({', '.join(f'{name} {number(control)}' for name, control in row['controls'].items())})",
            verdict(row),
        )
        for row in rows
    ]


def number(row: dict) -> str:
    """Return a value with its error, which stay on one line."""
    return f"{row['value']:.2f} ± {row['error']:.2f}".replace(" ", "\u00a0").replace("-", "\u2212")


def title(method: str) -> str:
    """Return the name of a method in words."""
    return NAMES.get(method, method.replace("_", " "))


NAMES = {
    "gradient_x_input": "gradient × input",
    "smoothgrad": "SmoothGrad",
    "vargrad": "VarGrad",
    "gradcam": "Grad-CAM",
    "gradcam_plus_plus": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "xgradcam": "XGrad-CAM",
    "layercam": "LayerCAM",
    "lrp": "LRP",
    "deep_shap": "Deep SHAP",
    "gradient_shap": "Gradient SHAP",
    "rise": "RISE",
}
"""Methods whose names are not words."""


def described(explanation: dict, signed: bool, sign: str) -> str:
    """Return what a map over its picture shows, for those who do not see it."""
    kinds = {
        "both": "orange parts are evidence for it, blue parts evidence against it",
        "positive": "orange parts are evidence for it",
        "negative": "blue parts are evidence against it",
    }
    shown = kinds[sign] if signed else "the more orange a part, the more it matters"
    return f"Map by {title(explanation['method'])} for {explanation['target']} over the input: {shown}"


def how(explanation: dict) -> str:
    """Return how a map was made."""
    fields = ("against", "baseline", "steps", "seed")
    parts = [f"explains the {explanation['score'].replace('_', '-')} of {explanation['target']}"]
    parts += [f"{field} {explanation[field]}" for field in fields if explanation[field] is not None]
    if explanation["completeness_gap"] is not None:
        parts.append(f"completeness gap {explanation['completeness_gap']:.2g} (0: the map adds up to the score)")
    sentence = "; ".join(parts)
    return sentence[:1].upper() + sentence[1:]
