"""Draw what makes a class, on dm and dt axes, and what blanking the cells that it marks does to held-out objects."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.errors import script
from skylight.light_curves.plots import TITLES, by_class, counts_scale, draw_map, map_scale, name_axes, panels
from skylight.outputs import writing
from skylight.params.periodic import Periodic

OUT = Path("out/periodic")
LINE = {"marker": "o", "ms": 3, "lw": 1.1}
STYLES = {
    "lighting": ("lighting", {"color": plotting.COLOURS[4]}),
    "maximization": ("activation maximization", {"color": plotting.COLOURS[2]}),
    "pix2pixai_gradcam": ("pix2piXAI, Grad-CAM", {"color": plotting.COLOURS[5], "marker": "s"}),
    "pix2pixai_saliency": ("pix2piXAI, saliency", {"color": plotting.COLOURS[3], "marker": "^"}),
    "pix2pixai_blanking": ("pix2piXAI, blanking", {"color": plotting.COLOURS[1], "marker": "v"}),
    "pix2pixai_deep_shap": ("pix2piXAI, SHAP", {"color": plotting.COLOURS[0], "marker": "D"}),
    "mean_image": ("fullest cells of the class", {"color": "black", "linestyle": "--", "marker": ""}),
    "random": ("random cells", {"color": plotting.COLOURS[6], "linestyle": ":", "marker": ""}),
}


@script
def main() -> None:
    periodic = params.load().periodic
    table = pd.read_csv(OUT / "metrics/class_maps.csv", dtype={"lcid": str}).fillna({"note": ""})
    drops = pd.read_csv(OUT / "metrics/class_maps_blanking.csv")
    pictures = {name: np.load(OUT / f"class_maps/{name}.npy") for name in ("lighting", "maximization")}
    learnt = {name: np.load(OUT / f"class_maps/pix2pixai_{name}.npy") for name in ("image", "own", "generated")}

    with writing(OUT / "figures_class_maps") as folder:
        for name, label in (
            ("lighting", "probability of the class when one cell is 255 and all else is 0"),
            ("maximization", "input that maximises the score of the class"),
        ):
            scales = [plain_scale(image) for image in pictures[name]]
            plotting.save(
                by_class(pictures[name], periodic.classes, scales, label, periodic.dmdt), folder / f"{name}.png"
            )
        plotting.save(overview(pictures, learnt["generated"], table, periodic), folder / "class_maps.png")
        for index, name in enumerate(TITLES):
            rows = table[(table["map"] == name) & (table["note"] == "")]
            if len(rows):
                figure = chosen_objects(name, {key: maps[index] for key, maps in learnt.items()}, rows, periodic)
                plotting.save(figure, folder / f"pix2pixai_{name}.png")
        plotting.save(blanking(drops, periodic), folder / "blanking.png")


def plain_scale(image: np.ndarray) -> tuple:
    """Norm and colour map of a picture from 0."""
    return plt.Normalize(0, image.max() or 1), "magma"


def overview(pictures: dict, generated: np.ndarray, table: pd.DataFrame, periodic: Periodic):
    """A row a class: lighting, activation maximization, and the picture of each map, with its similarity."""
    classes = periodic.classes
    figure, axes = grid(classes, 2 + len(TITLES), width=plotting.PAGE * 1.5)
    rows = table.set_index(["class", "map"])
    for index, (line, class_name) in enumerate(zip(axes, classes, strict=True)):
        for ax, maps in zip(line, pictures.values(), strict=False):
            draw_map(figure, ax, maps[index], plain_scale(maps[index]), periodic.dmdt, every=4)
        for ax, name, maps in zip(line[2:], TITLES, generated, strict=True):
            row = rows.loc[(class_name, name)]
            scale = map_scale(name, np.nan_to_num(maps[index]))
            draw_map(figure, ax, maps[index], scale, periodic.dmdt, 4, missing=row["note"])
            if not row["note"]:
                ax.set_title(f"similarity {row['score']:.3f}", fontsize=7)
    titles = ["lighting\n(probability)", "activation\nmaximization"]
    add_titles(axes[0], [*titles, *(f"pix2piXAI\n{title.splitlines()[0]}" for title in TITLES.values())])
    name_axes(figure)
    return figure


def chosen_objects(name: str, learnt: dict, rows: pd.DataFrame, periodic: Periodic):
    """A row a class: the object learnt best, its own map, and the GAN's map of it."""
    figure, axes = grid(rows["class"], 3, width=plotting.PAGE)
    for line, (_, row) in zip(axes, rows.iterrows(), strict=True):
        image, own, generated = (maps[periodic.classes.index(row["class"])] for maps in learnt.values())
        scale = map_scale(name, own)
        for ax, shown, norm in zip(line, (image, own, generated), (counts_scale(image), scale, scale), strict=True):
            draw_map(figure, ax, shown, norm, periodic.dmdt, every=4)
        line[0].set_title(row["lcid"], fontsize=7)
        line[2].set_title(f"similarity {row['score']:.3f}", fontsize=7)
    title = TITLES[name].splitlines()[0]
    add_titles(
        axes[0], ["dmdt image\n(255 x share of pairs)", f"its {title}\n(of the largest)", "generated\n(the same)"]
    )
    name_axes(figure)
    return figure


def grid(classes: list[str], columns: int, width: float):
    """Axes (classes, columns), a row a class."""
    size = (width, 1.45 * len(classes) + 0.8)
    figure, axes = plt.subplots(len(classes), columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    for ax, class_name in zip(axes[:, 0], classes, strict=True):
        ax.set_ylabel(class_name)
    return figure, axes


def add_titles(axes: np.ndarray, titles: list[str]) -> None:
    """Write the titles of the columns above those that the first row has."""
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title("\n".join(filter(None, (title, ax.get_title()))), fontsize=8)


def blanking(drops: pd.DataFrame, periodic: Periodic):
    """A panel a class: drop in the probability against the cells that are blanked, for each approach."""
    figure, axes = panels(len(periodic.classes) + 1, 4, (2.3, 2.1), sharex=True, sharey=True)
    *axes, last = axes
    for ax, class_name in zip(axes, periodic.classes, strict=True):
        members = drops[drops["class"] == class_name]
        for name, (label, style) in STYLES.items():
            line = members[members["approach"] == name]
            ax.errorbar(line["cells"], line["drop"], line["error"], label=label, **LINE | style)
        ax.set_title(f"{class_name} ({members['objects'].max() if len(members) else 0})")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.axhline(0, color="0.8", lw=0.6, zorder=0)
        ax.tick_params(axis="x", labelbottom=True)
    last.axis("off")
    last.legend(*axes[0].get_legend_handles_labels(), loc="center", fontsize=7)
    figure.supxlabel("cells blanked, most marked first", fontsize=9)
    figure.supylabel("drop in the probability of the class", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
