"""The numbers in the README are those of the outputs that Git holds, and its figures are there."""

import json
import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def row(name: str) -> list[str]:
    """The cells of a row of the table, without its name."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_table_is_what_was_measured():
    metrics = json.loads((ROOT / "out/periodic/metrics/test.json").read_text())
    assert row("test objects")[1] == f"{metrics['objects']:,}"
    assert row("accuracy")[1] == f"{metrics['cnn']['accuracy']:.3f}"
    assert row("MCC")[1] == f"{metrics['cnn']['mcc']:.3f}"
    assert row("accuracy of the forest")[1] == f"{metrics['forest']['accuracy']:.3f}"
    for name, f1 in metrics["cnn"]["f1"].items():
        assert row(f"F1 {name}")[1] == f"{f1:.3f}"


def test_the_table_of_alerts_is_what_was_measured():
    metrics = json.loads((ROOT / "out/realbogus/metrics/test.json").read_text())
    assert row("test alerts")[1] == f"{metrics['alerts']:,}"
    assert row("misclassified")[1] == f"{metrics['misclassified']:,}"
    assert row("accuracy, real or bogus")[1] == f"{metrics['accuracy']:.3f}"
    assert row("false negatives at 0.5")[1] == f"{100 * metrics['false_negative_rate']:.1f} %"
    assert row("false positives at 0.5")[1] == f"{100 * metrics['false_positive_rate']:.1f} %"


def test_every_picture_and_page_it_points_to_exists():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert len(local) >= 4 and not [link for link in local if not (ROOT / link).exists()]
