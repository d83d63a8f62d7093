"""Labels and colours of the networks in figures."""

from skylight.candidates import plots


def test_a_network_of_the_user_has_its_own_colour_and_changes_no_other():
    published = plots._styles(["deep_hits", "cap", "cap_bn"])
    styles = plots._styles(["mine", "cap", "deep_hits", "cap_bn"])
    assert list(styles) == ["deep_hits", "cap", "cap_bn", "mine"] and styles["mine"]["label"] == "mine"
    assert {name: styles[name] for name in published} == published
    assert len({style["color"] for style in styles.values()}) == 4


def test_every_training_has_a_line_in_the_training_figure():
    curves = {f"{part}/{metric}": [0.5, 0.6] for part in ("train", "validation") for metric in ("accuracy", "loss")}
    figure = plots.training_curves({"deep_hits": [curves], "cap": [curves, curves]})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["Deep-HiTS", "CAP 1", "CAP 2"]
    assert all(len(ax.lines) == 6 for ax in figure.axes)
