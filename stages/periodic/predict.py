"""From raw light-curve files straight to class probabilities, with the trained network (not a DVC stage).

    python -m stages.periodic.predict star.csv other.csv
    python -m stages.periodic.predict data/mine/*.csv --out classes.csv --explain explained/

The files are read as periodic.data says. A file that cannot be used is named on stderr with the reason, the others
are still classified, and the exit status is 1.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import InputError, script
from skylight.light_curves.curve import BadLightCurve, LightCurve
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import file_format
from skylight.outputs import save_table, writing
from skylight.params.periodic import Periodic

OUT = Path("out/periodic")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="light curves, one object a file")
    parser.add_argument("--out", type=Path, help="also write the probabilities, as .csv or .json")
    parser.add_argument("--explain", type=Path, metavar="DIR", help="write a figure of the explanations of each object")
    parser.add_argument("--weights", type=Path, default=OUT / "networks/cnn.weights.h5", help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.out and arguments.out.suffix not in (".csv", ".json"):
        raise InputError(f"--out {arguments.out}: must end in .csv or .json")

    periodic = params.load().periodic
    curves, reasons = read(arguments.files, periodic)
    if curves:
        table, images, model = classify(curves, arguments.weights, periodic)
        print(table.round(4).to_string(index=False))
        if arguments.out:
            write(table, arguments.out)
        if arguments.explain:
            explain(curves, images, model, table, arguments.explain, periodic)
    for reason in reasons:
        print(f"error: {reason}", file=sys.stderr)
    if reasons:
        sys.exit(1)


def read(files: list[Path], periodic: Periodic) -> tuple[dict[Path, LightCurve], list[str]]:
    """The light curves of the good files, and what is wrong with each of the others."""
    reader, curves, reasons = file_format(periodic.data), {}, []
    for path in files:
        try:
            curves[path] = reader.read(path)
        except BadLightCurve as reason:
            reasons.append(str(reason) if path.name in str(reason) else f"{path}: {reason}")
    return curves, reasons


def classify(curves: dict[Path, LightCurve], weights: Path, periodic: Periodic):
    """The table of probabilities, the dmdt images, and the network."""
    from skylight.networks.periodic_cnn import load_periodic_cnn

    images = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges).images(list(curves.values()))
    model = load_periodic_cnn(weights, len(periodic.classes), images.shape[1:])
    probabilities = model.predict(images, batch_size=1024, verbose=0)
    table = pd.DataFrame(
        {
            "file": [str(path) for path in curves],
            "points": [len(curve) for curve in curves.values()],
            "class": np.array(periodic.classes)[probabilities.argmax(axis=1)],
        }
    )
    return table.join(pd.DataFrame(probabilities, columns=periodic.classes)), images, model


def write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        save_table(path, table)
        return
    with writing(path) as aside:
        aside.write_text(json.dumps(table.to_dict(orient="records"), indent=2) + "\n")


def explain(curves: dict[Path, LightCurve], images: np.ndarray, model, table: pd.DataFrame, folder: Path, periodic):
    """A figure of each object: light curve, dmdt image, and the four maps for the predicted class."""
    import matplotlib.pyplot as plt

    from skylight import plotting
    from skylight.light_curves.explain import explain_images
    from skylight.light_curves.plots import TITLES, counts_scale, draw_map, map_scale

    background = OUT / "heatmaps/background.npy"
    if not background.exists():
        raise InputError(f"{background}: missing, SHAP compares with it; `dvc repro periodic-heatmaps` makes it")
    maps = explain_images(model, images, None, np.load(background))
    for index, (path, curve) in enumerate(curves.items()):
        figure, axes = plt.subplots(2, 3, figsize=(plotting.PAGE * 1.3, 5))
        plotting.show_light_curve(axes[0, 0], curve.time, curve.mag, curve.magerr)
        row = table.iloc[index]
        axes[0, 0].set_title(f"{path.name}: {row['class']} (p = {row[row['class']]:.2f})")
        image = images[index, ..., 0]
        panels = {"dmdt": (image, counts_scale(image))}
        panels |= {TITLES[name]: (values[index], map_scale(name, values[index])) for name, values in maps.items()}
        for ax, (title, (values, scale)) in zip(axes.flat[1:], panels.items(), strict=True):
            draw_map(figure, ax, values, scale, periodic.dmdt, every=3)
            ax.set(title=title.replace("\n", " "), xlabel="dt (days)", ylabel="dm (mag)")
        with writing(folder / f"{path.stem}.png") as aside:
            plotting.save(figure, aside)


if __name__ == "__main__":
    main()
