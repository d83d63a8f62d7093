"""Classify light curves of periodic variable stars.

    skylight classify star.csv other.csv
    skylight classify data/mine/*.csv --out classes.csv --explain explained/

Each file holds one light curve, laid out as periodic.data in params.yaml says. The table has the probability of each
class in periodic.classes. --explain writes for each file a figure of the light curve, its dmdt image and the four maps
that explain the predicted class, and the maps as arrays.
"""

import argparse
from pathlib import Path

import numpy as np

from apps.files import (
    Explanations,
    Problems,
    add_outputs,
    check_made,
    check_outputs,
    existing,
    import_tensorflow,
    note,
    print_row,
    progress,
    result_table,
)
from skylight.errors import printable

OUT = Path("out/periodic")
WEIGHTS, BACKGROUND = OUT / "networks/cnn.weights.h5", OUT / "heatmaps/background.npy"
BATCH = 256  # light curves in the network at once


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="light curves, one object in each file")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="of the network; default: %(default)s")
    add_outputs(parser, "a figure and the maps of each object")


def run(arguments: argparse.Namespace) -> int:
    """Classify the light curves and return the exit status."""
    from skylight import params

    problems = Problems()
    check_outputs(arguments, [*arguments.files, arguments.weights])
    periodic = params.load().periodic
    paths = existing(arguments.files, problems)
    if not paths:
        return problems.status
    check_made(arguments.weights, "periodic-train")
    if arguments.explain:
        check_made(BACKGROUND, "periodic-heatmaps")
    curves = read(paths, periodic, problems)
    if not curves:
        return problems.status

    import_tensorflow()
    from skylight.light_curves.dmdt import DmDt
    from skylight.networks.periodic_cnn import load_periodic_cnn

    dmdt = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges)
    model = load_periodic_cnn(arguments.weights, len(periodic.classes), (*dmdt.shape, 1))
    explanations = Explanations(arguments.explain) if arguments.explain else None
    columns = ["file", "points", "class", *periodic.classes, *(["figure"] if explanations else [])]
    print_row(["class", *periodic.classes, "points", "file"])
    with result_table(arguments.out, columns) as write:
        for start in progress(range(0, len(curves), BATCH), "classify", " batches"):
            batch = curves[start : start + BATCH]
            images = dmdt.images([curve for _, curve in batch])
            probabilities = model.predict(images, batch_size=1024, verbose=0)
            rows = [row(*each, values, periodic.classes) for each, values in zip(batch, probabilities, strict=True)]
            if explanations:
                explain(model, batch, images, rows, explanations, periodic)
            for each in rows:
                print_row([each["class"], *(each[name] for name in periodic.classes), each["points"], each["file"]])
                write(each)
    return problems.status


def read(paths: list[Path], periodic, problems: Problems) -> list[tuple[Path, object]]:
    """Read the light curves; return them with their paths, and report those that cannot be used."""
    from skylight.light_curves.curve import BadLightCurve
    from skylight.light_curves.reading import file_format

    reader, curves = file_format(periodic.data), []
    for path in progress(paths, "read", " files"):
        try:
            curve = reader.read(path)
        except BadLightCurve as reason:
            problems.report(f"{path}: {reason}")
            continue
        curves.append((path, curve))
        if curve.dropped:
            rows = ", ".join(f"{count} {reason}" for reason, count in sorted(curve.dropped.items()))
            note(f"{path}: dropped rows: {rows}")
    return curves


def row(path: Path, curve, probabilities: np.ndarray, classes: list[str]) -> dict:
    """Return the row of one object in the table of results."""
    predicted = classes[int(probabilities.argmax())]
    known = {"file": printable(path), "points": len(curve), "class": predicted}
    return known | dict(zip(classes, probabilities.tolist(), strict=True))


def explain(model, batch: list, images: np.ndarray, rows: list[dict], explanations: Explanations, periodic) -> None:
    """Write the figure and the maps of each object, and add the name of the figure to its row."""
    from skylight.light_curves.explain import explain_images
    from skylight.light_curves.maps import DRAWN
    from skylight.light_curves.plots import explained_curve

    score, engines = periodic.heatmaps.score, periodic.heatmaps.engines.model_dump()
    maps = explain_images(model, images, None, np.load(BACKGROUND), score, engines)
    for index, ((path, curve), values) in enumerate(zip(batch, rows, strict=True)):
        own = {name: stack[index] for name, stack in maps.items()}
        drawn = {name: own[name] for name in DRAWN}
        title = f"{printable(path.name)}: {values['class']} (p = {values[values['class']]:.2f})"
        figure = explained_curve(curve, images[index, ..., 0], drawn, title, periodic.dmdt, score)
        values["figure"] = explanations.save(path.stem, figure, **own)
