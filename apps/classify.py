"""Classify light curves of periodic variable stars.

    skylight classify star.csv other.csv
    skylight classify ../mine/*.csv --survey asas --out classes.csv --explain explained/
    skylight classify --survey asas.yaml

Each FILE holds one light curve. --survey says how to read it: a key of periodic.transfer.surveys in params.yaml, or a
YAML file with the same keys (docs/surveys.md); by default it is laid out as periodic.data. Without a FILE all objects
of the survey are classified. The table has the probability of each class in periodic.classes. --explain writes for each
object a figure of the light curve, its dmdt image and the four maps that explain the predicted class, and the maps as
arrays.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from apps.files import (
    Explanations,
    Problems,
    UsageError,
    add_network,
    add_outputs,
    background_file,
    check_outputs,
    check_weights,
    existing,
    import_tensorflow,
    load_background,
    note,
    print_row,
    progress,
    result_table,
)
from skylight.errors import printable

OUT = Path("out/periodic")
WEIGHTS, BACKGROUND = OUT / "networks/cnn.weights.h5", OUT / "heatmaps/background.npy"
BATCH = 256  # light curves in the network at once


class Object(NamedTuple):
    """One object: its file (or its id in a survey), its name in figures, and its light curve."""

    source: str
    name: str
    curve: object


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="light curves, one object in each file")
    parser.add_argument("--survey", metavar="NAME", help="how to read: a survey of params.yaml, or a .yaml file")
    add_network(parser, WEIGHTS)
    add_outputs(parser, "a figure and the maps of each object")


def run(arguments: argparse.Namespace) -> int:
    """Classify the light curves and return the exit status."""
    from skylight import params

    if not (arguments.files or arguments.survey):
        raise UsageError("the following arguments are required: FILE or --survey")
    problems = Problems()
    check_outputs(arguments, [*arguments.files, arguments.weights, *filter(None, [arguments.background])])
    periodic = params.load().periodic
    survey = described(arguments.survey, periodic)
    paths = existing(arguments.files, problems)
    if arguments.files and not paths:
        return problems.status
    check_weights(arguments.weights, WEIGHTS, "periodic-train")
    if arguments.explain:
        arguments.background = background_file(arguments, BACKGROUND, "periodic-heatmaps")
    objects = of_files(paths, survey, problems) if paths else of_survey(survey, periodic.classes, problems)
    first = next(objects, None)
    if first is None:
        return problems.status

    import_tensorflow()
    from skylight.light_curves.dmdt import DmDt
    from skylight.networks.periodic_cnn import load_periodic_cnn

    dmdt = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges)
    model = load_periodic_cnn(arguments.weights, len(periodic.classes), (*dmdt.shape, 1))
    explanations = None
    if arguments.explain:
        background = load_background(arguments.background, model.input_shape[1:], periodic.heatmaps.background)
        explanations = Explanations(arguments.explain)
    source = "file" if paths else "id"
    columns = [source, "points", "class", *periodic.classes, *(["figure"] if explanations else [])]
    print_row(["class", *periodic.classes, "points", source])
    with result_table(arguments.out, columns) as write:
        stream = progress(itertools.chain([first], objects), "classify", " light curves")
        while batch := list(itertools.islice(stream, BATCH)):
            images = dmdt.images([each.curve for each in batch])
            probabilities = model.predict(images, batch_size=1024, verbose=0)
            rows = [row(*each, periodic.classes) for each in zip(batch, probabilities, strict=True)]
            if explanations:
                explain(model, batch, images, rows, explanations, background, periodic, survey)
            for known, each in zip(batch, rows, strict=True):
                print_row([each["class"], *(each[name] for name in periodic.classes), each["points"], known.source])
                write({source: printable(known.source)} | each)
    return problems.status


def described(name: str | None, periodic):
    """Return the description of a survey: of ``params.yaml`` or of a file of the user."""
    from skylight import params

    if name is None:
        return periodic.data
    if name.endswith((".yaml", ".yml")):
        return params.load_survey(name)
    if name not in periodic.transfer.surveys:
        known = ", ".join(periodic.transfer.surveys)
        raise UsageError(f"--survey {name}: neither in periodic.transfer.surveys (has: {known}) nor a .yaml file")
    return periodic.transfer.surveys[name]


def of_files(paths: list[Path], survey, problems: Problems) -> Iterator[Object]:
    """Read the light curves of files; report those that cannot be used."""
    from skylight.light_curves.reading import file_format

    reader = file_format(survey)
    for path in paths:
        yield from checked(lambda path=path: reader.read(path), str(path), path.stem, str(path), problems)


def of_survey(survey, classes: list[str], problems: Problems) -> Iterator[Object]:
    """Read the light curves of a survey; report those that cannot be used."""
    from skylight.light_curves.reading import open_survey
    from skylight.rejected import Rejected

    opened = open_survey(survey, classes)
    for rejected in opened.rejected:
        problems.report(f"{rejected.source}: {rejected.reason}")
    for source in opened.sources():
        if isinstance(source, Rejected):
            problems.report(f"{source.source}: {source.id}: {source.reason}")
        else:
            yield from checked(source.read, source.id, source.id, f"{source.path}: {source.id}", problems)


def checked(read, source: str, name: str, place: str, problems: Problems) -> Iterator[Object]:
    """Yield an object if its light curve can be used, and report it otherwise."""
    from skylight.light_curves.curve import BadLightCurve

    try:
        curve = read()
    except BadLightCurve as reason:
        problems.report(f"{place}: {reason}")
        return
    if curve.dropped:
        rows = ", ".join(f"{count} {reason}" for reason, count in sorted(curve.dropped.items()))
        note(f"{place}: dropped rows: {rows}")
    yield Object(source, name, curve)


def row(known: Object, probabilities: np.ndarray, classes: list[str]) -> dict:
    """Return the row of one object in the table of results, without its source."""
    predicted = classes[int(probabilities.argmax())]
    return {"points": len(known.curve), "class": predicted} | dict(zip(classes, probabilities.tolist(), strict=True))


def explain(
    model, batch: list, images: np.ndarray, rows: list[dict], explanations: Explanations, background, periodic, survey
) -> None:
    """Write the figure and the maps of each object, and add the name of the figure to its row."""
    from skylight.light_curves.explain import explain_images
    from skylight.light_curves.maps import DRAWN
    from skylight.light_curves.plots import explained_curve, time_label

    score, engines = periodic.heatmaps.score, periodic.heatmaps.engines.model_dump()
    maps = explain_images(model, images, None, background, score, engines)
    for index, (known, values) in enumerate(zip(batch, rows, strict=True)):
        own = {name: stack[index] for name, stack in maps.items()}
        drawn = {name: own[name] for name in DRAWN}
        title = f"{printable(known.name)}: {values['class']} (p = {values[values['class']]:.2f})"
        figure = explained_curve(
            known.curve, images[index, ..., 0], drawn, title, periodic.dmdt, score, time_label(survey)
        )
        values["figure"] = explanations.save(known.name, figure, **own)
