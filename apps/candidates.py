"""Score supernova candidates of HiTS: real source or artifact.

    skylight candidates chunk_0000.npz chunk_0001.pkl
    skylight candidates night/*.npz --out scores.csv --explain relevance/

FILE is a chunk of candidates, .npz or the published .pkl; labels are not needed. The table has one row for each
candidate: its row in the chunk, its signal-to-noise ratio, and the mean probability of the CAP ensemble that it is a
real source. --explain writes for each chunk the relevance maps (N, 21, 21, 4; LRP of the first network of the ensemble
for the class that it predicts; NaN for candidates that cannot be used) and a figure of the four candidates that are
most probably real.
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
    print_row,
    progress,
    result_table,
)
from skylight.errors import InputError, printable

NETWORKS = Path("out/supernovae/networks")
SHOWN = 4  # candidates in the figure of a chunk


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="chunks, .npz or .pkl")
    add_outputs(parser, "the relevance maps and a figure of each chunk")


def run(arguments: argparse.Namespace) -> int:
    """Score the candidates and return the exit status."""
    from skylight import params

    problems = Problems()
    check_outputs(arguments, arguments.files)
    supernovae = params.load().supernovae
    paths = existing(arguments.files, problems)
    if not paths:
        return problems.status
    networks = [NETWORKS / member for member in supernovae.members["cap"]]
    for folder in networks:
        check_made(folder, "supernovae-train")

    import_tensorflow()
    from skylight.candidates.hits import measured_snr, scaled
    from skylight.networks.deep_hits import load_deep_hits

    models = [load_deep_hits(folder, **supernovae.network_options["cap"]) for folder in networks]
    explanations = Explanations(arguments.explain) if arguments.explain else None
    columns = ["chunk", "row", "snr", "probability", *(["figure"] if explanations else [])]
    print_row(["row", "snr", "p(real)", "chunk"])
    with result_table(arguments.out, columns) as write:
        for path in progress(paths, "score", " chunks"):
            stamps, rows, count = read(path, problems)
            if not len(rows):
                continue
            images, snr = scaled(stamps), measured_snr(stamps)
            each_network = [model.predict(images, batch_size=500, verbose=0)[:, 1] for model in models]
            probability = np.mean(each_network, axis=0)
            figure = {}
            if explanations:
                maps = relevance(models[0], images, rows, count, supernovae.heatmaps)
                drawn = draw(path, images, maps[rows], snr, each_network[0], supernovae.heatmaps.rule)
                figure = {"figure": explanations.save(path.stem, drawn, relevance=maps)}
            for row, *values in zip(rows.tolist(), snr.tolist(), probability.tolist(), strict=True):
                print_row([row, *values, path])
                write({"chunk": printable(path), "row": row, "snr": values[0], "probability": values[1]} | figure)
    return problems.status


def read(path: Path, problems: Problems) -> tuple[np.ndarray, np.ndarray, int]:
    """Read a chunk: its good stamps, their rows, and the number of all rows; report what cannot be used."""
    from skylight.candidates.hits import good_candidates

    try:
        chunk, rows, bad = good_candidates(path, labelled=False)
    except InputError as error:
        problems.report(error)
        return np.empty(0), np.empty(0, int), 0
    for row, reason in bad.items():
        problems.report(f"{path} row {row}: {reason}")
    return chunk.stamps, rows, len(rows) + len(bad)


def relevance(model, images: np.ndarray, rows: np.ndarray, count: int, settings) -> np.ndarray:
    """Compute the maps (N, 21, 21, 4) of a chunk of ``count`` candidates."""
    from skylight.attribution.relevance import lrp

    maps = np.full((count, *images.shape[1:]), np.nan, np.float32)
    maps[rows] = lrp(model, images, rule=settings.rule, score=settings.score)
    return maps


def draw(path: Path, images: np.ndarray, maps: np.ndarray, snr: np.ndarray, probability: np.ndarray, rule: str):
    """Draw the candidates of a chunk that are most probably real."""
    import pandas as pd

    from skylight.candidates.plots import relevance

    likely = np.argsort(-probability, kind="stable")[:SHOWN].tolist()
    no_footprints = np.zeros(images.shape[:3], bool)
    table = pd.DataFrame({"snr": snr, "p_cap": probability})
    title = f"{printable(path.name)}: most probably real (CAP, {rule})"
    return relevance(likely, table, images, maps, no_footprints, title)
