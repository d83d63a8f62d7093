"""Score alert packets of ZTF: real or bogus.

    skylight score alert.avro night/ --explain explained/
    skylight score night/ --weights braai_d6_m9.weights.h5 --out scores.csv
    tar -xzOf ztf_public_20200202.tar.gz | skylight score -

FILE is a packet, a tar archive of packets, a folder (all .avro files in it and below it), or - for the standard input.
One line for each alert: its candid, the probability that it is real, and its file. Memory does not depend on the number
of alerts. --explain writes for each alert a figure of its cutouts and of the maps that explain the predicted class, and
the maps as arrays. --background takes triplets.npy, which `skylight triplets` writes.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.files import (
    Explanations,
    Problems,
    add_network,
    add_outputs,
    background_file,
    check_outputs,
    check_weights,
    existing,
    import_tensorflow,
    load_background,
    print_row,
    progress,
    result_table,
)
from skylight.child import Child
from skylight.errors import InputError, printable
from skylight.rejected import Rejected

if TYPE_CHECKING:
    from skylight.alerts.packets import Alert

OUT = Path("out/realbogus")
WEIGHTS, BACKGROUND = OUT / "networks/vgg6.weights.h5", OUT / "heatmaps/background.npy"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="packets, tar archives, folders, or -")
    add_network(parser, WEIGHTS)
    add_outputs(parser, "a figure and the maps of each alert")


def run(arguments: argparse.Namespace) -> int:
    """Score the alerts and return the exit status."""
    problems = Problems()
    check_outputs(arguments, [*arguments.files, arguments.weights, *filter(None, [arguments.background])])
    paths = existing(arguments.files, problems, folders=True)
    if not paths:
        return problems.status
    check_weights(arguments.weights, WEIGHTS, "realbogus-train")
    if arguments.explain:
        arguments.background = background_file(arguments, BACKGROUND, "realbogus-heatmaps")

    with Child("skylight.alerts.triplets") as child:
        score(arguments, paths, child, problems)
    return problems.status


def score(arguments: argparse.Namespace, paths: list[Path], child: Child, problems: Problems) -> None:
    """Print the scores and write the outputs; the child decodes the packets."""
    import_tensorflow()
    from skylight import params
    from skylight.alerts.scoring import score_stream
    from skylight.networks.vgg6 import load_vgg6

    model = load_vgg6(arguments.weights)
    explanations = None
    if arguments.explain:
        settings = params.load().realbogus.heatmaps
        background = load_background(arguments.background, model.input_shape[1:], settings.background)
        explanations = Explanations(arguments.explain)
    columns = ["candid", "objectid", "score", "source", *(["figure"] if explanations else [])]
    with result_table(arguments.out, columns) as write:
        stream = progress(each_path(paths, child), "score", " alerts")
        for scored, triplets, scores, rejected in score_stream(model, stream, child):
            rows = [row(alert, score) for alert, score in zip(scored, scores.tolist(), strict=True)]
            if explanations and rows:
                explain(model, triplets, rows, explanations, background, settings.score)
            for each in rows:
                print_row([each["candid"], each["score"], each["source"]])
                write(each)
            for each in rejected:
                problems.report(f"{each.source}: {each.reason}")


def each_path(paths: Iterable[Path], child: Child) -> Iterator["Alert | Rejected"]:
    """Read the alerts of all paths; a path that cannot be read does not end the stream."""
    from skylight.alerts.archives import read_alerts

    for path in paths:
        try:
            yield from read_alerts([path], child)
        except (InputError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{path}: ")
            yield Rejected(str(path), "", reason)


def row(alert: "Alert", score: float) -> dict:
    """Return the row of one alert in the table of results."""
    return {
        "candid": alert.candid,
        "objectid": printable(alert.objectid),
        "score": score,
        "source": printable(alert.source),
    }


def explain(
    model, triplets: np.ndarray, rows: list[dict], explanations: Explanations, background: np.ndarray, score: str
) -> None:
    """Write the figure and the maps of each alert, and add the name of the figure to its row.

    The maps explain the predicted class.
    """
    from skylight.alerts.explain import explain_triplets
    from skylight.alerts.plots import nine_panels
    from skylight.alerts.triplets import CLASSES

    maps = explain_triplets(model, triplets, None, background, score)
    for index, values in enumerate(rows):
        own = {name: stack[index] for name, stack in maps.items()}
        explained = CLASSES[int(values["score"] >= 0.5)]
        title = f"{values['candid']}: score {values['score']:.4f}; maps of {explained}"
        values["figure"] = explanations.save(
            str(values["candid"]), nine_panels(triplets[index], own, title, score), **own
        )
