"""The numbers in the README are those of the outputs that Git holds, and its figures are there."""

import json
import re

import pandas as pd

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


def test_the_supernovae_table_is_what_was_measured():
    out = ROOT / "out/supernovae/metrics"
    test, relevance, digits = (
        json.loads((out / f"{name}.json").read_text()) for name in ("test", "relevance", "digits")
    )
    assert row("test candidates")[1] == f"{test['candidates']:,}"
    rows = {"Deep-HiTS": "deep_hits", "CAP": "cap", "CAP ensemble": "cap_ensemble"}
    rows["CAP with batch normalisation"] = "cap_bn"
    for title, name in rows.items():
        measured = test["networks"][name]
        assert row(f"accuracy, {title}")[1] == f"{measured['accuracy']:.4f} ± {measured['accuracy_error']:.4f}"
    for title in ("Deep-HiTS", "CAP"):
        measured = relevance["rotation_agreement"]["alphabeta"][rows[title]]
        assert row(f"rotation agreement, {title} (alphabeta)")[1] == f"{measured['mean']:.3f} ± {measured['error']:.3f}"
    accuracy = " / ".join(f"{digits[kind]['accuracy']:.3f}" for kind in ("mlp", "cnn"))
    assert row("accuracy on scikit-learn's digits (real), dense / convolutional")[1] == accuracy
    assert f"error over {relevance['candidates']} candidates" in README


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


def test_the_table_of_the_pictures_of_a_class_is_what_was_measured():
    drops = pd.read_csv(ROOT / "out/periodic/metrics/class_maps_blanking.csv")
    drops = drops[drops["cells"] == 10].set_index(["class", "approach"])
    page = (ROOT / "docs/evaluation.md").read_text()
    approaches = [f"pix2pixai_{name}" for name in ("blanking", "deep_shap", "gradcam", "saliency")]
    approaches += ["lighting", "maximization", "mean_image", "random"]
    for name in drops.index.get_level_values("class").unique():
        line = next(line for line in page.splitlines() if line.startswith(f"| {name} ("))
        first, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert first == f"{name} ({drops.loc[(name, 'random'), 'objects']})"
        for approach, cell in zip(approaches, cells, strict=True):
            if (name, approach) in drops.index:
                drop, error = drops.loc[(name, approach), ["drop", "error"]]
                assert cell == f"{drop:.3f}" + ("" if pd.isna(error) else f" ± {error:.3f}")
            else:
                assert cell == ""


def test_the_table_of_bars_is_what_was_measured():
    out = ROOT / "out/bars/metrics"
    lengths, votes = (json.loads((out / f"{name}.json").read_text()) for name in ("barlengths", "test"))
    shared = lengths["on_the_control's_galaxies"]

    def r(part: dict) -> str:
        return f"{part['correlation']:.3f} ± {part['correlation_error']:.3f}"

    assert row("test galaxies")[1] == f"{lengths['galaxies']:,}"
    assert row("correlation, saliency (best on validation)")[1] == r(lengths["test"])
    assert row("the same on the control's galaxies")[1] == r(shared["saliency"])
    assert row("correlation, control")[1] == r(shared["control"])
    for name, key in (("the ruler's lead over the control", ""), ("its lead in lengths over galaxy sizes", "_scaled")):
        gain = f"correlation{key}_gain"
        assert row(name)[1] == f"{shared[gain]:+.3f} ± {shared[f'{gain}_error']:.3f}"
    assert row("correlation, sizes alone")[1] == f"{lengths['sizes_alone']:.3f}"
    assert row("correlation, ceiling of people's scatter")[1] == f"{lengths['ceiling']['correlation']:.3f}"
    rmse = " / ".join(f"{part['rmse']:.2f}" for part in (shared["saliency"], shared["control"]))
    assert row("RMSE, saliency / control (kpc/h)")[1] == rmse
    rmse = {name: f"{part['rmse']:.4f}" for name, part in votes["test"].items()}
    assert row("RMSE of the 37 vote fractions, ensemble")[1] == rmse["ensemble"]
    assert row("VGG16 / ResNet50V2 / Xception")[1] == " / ".join(rmse[m] for m in ("vgg16", "resnet50v2", "xception"))
