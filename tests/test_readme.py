"""The README: its numbers are those of the outputs in Git, its code runs, its licences are those of the packages."""

import json
import re
from importlib.metadata import metadata

import numpy as np
import pandas as pd

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    """The part of the README under a heading, up to the next heading of any level."""
    return re.split(r"^#+ .*$", README.partition(f"\n{title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def row(name: str, text: str = README) -> list[str]:
    """The cells of a row of a table, without its name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_table_of_periodic_variables_is_what_was_measured():
    metrics = json.loads((ROOT / "out/periodic/metrics/test.json").read_text())
    assert row("test objects")[1] == f"{metrics['objects']:,}"
    assert row("accuracy")[1] == f"{metrics['cnn']['accuracy']:.3f}"
    assert row("MCC")[1] == f"{metrics['cnn']['mcc']:.3f}"
    assert row("accuracy of the forest")[1] == f"{metrics['forest']['accuracy']:.3f}"
    for name, f1 in metrics["cnn"]["f1"].items():
        assert row(f"F1 {name}")[1] == f"{f1:.3f}"


def test_the_table_of_supernovae_is_what_was_measured():
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
    for kind in ("negative", "positive"):
        rate = f"{100 * metrics[f'false_{kind}_rate']:.1f} %"
        assert row(f"false {kind}s at 0.5 (published: braai)")[1] == rate


def test_the_table_of_bars_is_what_was_measured():
    out = ROOT / "out/bars/metrics"
    lengths, votes = (json.loads((out / f"{name}.json").read_text()) for name in ("barlengths", "test"))
    shared = lengths["on_the_control's_galaxies"]

    def r(part: dict) -> str:
        return f"{part['correlation']:.3f} ± {part['correlation_error']:.3f}"

    assert row("test galaxies")[1] == f"{lengths['galaxies']:,}"
    assert row("correlation with people's lengths, saliency")[1] == r(lengths["test"])
    assert row(f"the same, on the {shared['galaxies']} galaxies of the control")[1] == r(shared["saliency"])
    assert row("the same, network trained on lengths (control)")[1] == r(shared["control"])
    difference = "saliency minus control"
    for name, key in ((difference, ""), (f"{difference}, lengths divided by galaxy sizes", "_scaled")):
        gain = f"correlation{key}_gain"
        assert row(name)[1] == f"{shared[gain]:+.3f} ± {shared[f'{gain}_error']:.3f}"
    assert row("correlation, every bar the same share of its galaxy")[1] == f"{lengths['sizes_alone']:.3f}"
    assert row("highest possible correlation (people's scatter)")[1] == f"{lengths['ceiling']['correlation']:.3f}"
    rmse = " / ".join(f"{part['rmse']:.2f}" for part in (shared["saliency"], shared["control"]))
    assert row("RMSE, saliency / control (kpc/h)")[1] == rmse
    rmse = {name: f"{part['rmse']:.4f}" for name, part in votes["test"].items()}
    assert row("RMSE of the 37 vote fractions, ensemble")[1] == rmse["ensemble"]
    assert row("VGG16 / ResNet50V2 / Xception")[1] == " / ".join(rmse[m] for m in ("vgg16", "resnet50v2", "xception"))


def test_the_table_of_metallicity_is_what_was_measured():
    out = ROOT / "out/metallicity/metrics"
    names = ("test", "agreement", "regression", "learning_rate")
    test, maps, regression, rates = (json.loads((out / f"{name}.json").read_text()) for name in names)
    validation = test["validation"]

    def score(part: str, key: str) -> str:
        return f"{validation[part][key]:.3f} ± {validation[part][f'{key}_error']:.3f}"

    assert row("validation galaxies")[1] == f"{sum(validation['galaxies'].values()):,}"
    assert row("accuracy, low or high")[1] == score("network", "accuracy")
    assert row("ROC AUC of the two classes")[1] == score("network", "roc_auc_of_classes")
    assert row("F1 of low")[1] == score("network", "f1")
    assert row("accuracy, colour and size alone (control)")[1] == score("control", "accuracy")
    suggested = f"{rates['minimum']:.3f} / {rates['steepest']:.2f}"
    assert row("suggested learning rates, minimum / 10 and steepest")[1] == suggested
    rows = {"agreement of maps with the true metallicity, low minus high": "low minus high"}
    rows |= {f"the same, {name}": name for name in ("Grad-CAM of low", "Grad-CAM of high")}
    controls = {"distance from the centre": "centre", "faintness": "brightness", "colour of the pixel": "colour"}
    rows |= {f"the same, {name} (control)": key for name, key in controls.items()}
    for title, name in rows.items():
        measured = maps["agreement"][name]
        assert row(title)[1] == f"{measured['mean']:.3f} ± {measured['error']:.3f}"
    for title, name in (("network", "network"), ("mass alone", "mass")):
        assert row(f"RMSE of 12 + log(O/H), {title} (dex)")[1] == f"{regression[name]['rmse']:.3f}"


def test_the_times_of_the_chapters_are_the_sums_over_their_stages():
    seconds = pd.read_csv(ROOT / "bench/stages.csv").set_index("stage")["seconds"]
    chapters = section("## The chapters")
    for chapter, total in seconds.groupby(seconds.index.str.split("-").str[0]).sum().drop("report").items():
        assert row(f"[`{chapter}`](docs/{chapter}.md)", chapters)[-1] == f"{round(total / 30) / 2:g} min"
    assert 25 <= seconds.sum() / 60 <= 35 and "about half an hour on two cores" in README


def test_the_table_of_the_pictures_of_a_class_is_what_was_measured():
    drops = pd.read_csv(ROOT / "out/periodic/metrics/class_maps_blanking.csv")
    drops = drops[drops["cells"] == 10].set_index(["class", "approach"])
    page = (ROOT / "docs/evaluation.md").read_text()
    approaches = [f"pix2pixai_{name}" for name in ("blanking", "deep_shap", "hirescam", "saliency")]
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


def test_its_python_code_explains_a_model_of_the_reader(tmp_path, monkeypatch, capsys):
    import keras

    image = keras.Input((12, 12, 2))
    features = keras.layers.Flatten()(keras.layers.Conv2D(3, 3, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(3, activation="softmax")(features)).save(tmp_path / "my_network.keras")
    np.save(tmp_path / "my_images.npy", np.random.default_rng(0).random((4, 12, 12, 2), dtype=np.float32))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    made = {}
    exec(compile(code, "README.md", "exec"), made)
    assert made["sensitivity"].shape == made["relevance"].shape == (4, 12, 12, 2)
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("smoothgrad", "lrp", "random", "edges", "deletion", "insertion"))


def test_the_table_of_licences_has_every_package_and_what_its_metadata_says():
    lines = (ROOT / "requirements.in").read_text().splitlines()
    packages = {re.match(r"[\w.-]+", line)[0] for line in lines if not line.startswith(("#", "-"))}
    stated = {}
    for line in section("## Licences").splitlines():
        if line.startswith("| ") and not line.startswith("| licence"):
            licences, names = (cell.strip() for cell in line.strip("|").split("|"))
            licences, names = licences.split("; "), re.sub(r"\(.*?\)", "", names)
            groups = names.split("; ") if len(licences) > 1 else [names]
            for licence, group in zip(licences, groups, strict=True):
                stated |= dict.fromkeys(re.findall(r"[\w.-]+", group), licence)
    assert set(stated) == packages | {"quantus"}
    for package, licence in stated.items():
        found = metadata(package)
        fields = [found.get("License-Expression"), found.get("License"), *(found.get_all("Classifier") or [])]
        says = " ".join(field for field in fields if field).replace("GPLv", "GPL-")
        words = [re.match(r"L?(\w+)", word)[1] for word in re.split(r" and | or ", licence)]
        assert all(word in says for word in words), f"{package}: README says {licence}, its metadata {says[:200]}"
