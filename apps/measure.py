"""Measure the bars of galaxies.

    skylight measure galaxy.jpg other.fits
    skylight measure *.jpg --petror90 12 --out bars.csv --explain drawn/

FILE is a JPEG, PNG, TIFF or FITS picture, square and centred on one galaxy, 8.48 PETROR90_R (the Petrosian radius with
90 % of the light) on a side, as those of Galaxy Zoo 2: 64 to 6,144 pixels. With another side, lengths and
answers are wrong. A FITS image has one plane, or g, r and i, linear in flux; its median is subtracted as the sky, and
it gets the asinh stretch of the survey. The table has the predicted fraction of volunteers who see a bar, and the whole
length of the bar, from end to end, by the mean heatmap of the networks, at the setting of the test part. Below the
fraction bars.command.min_bar_fraction of params.yaml the answer is "no bar", without a length. --explain writes for
each galaxy a figure of the bar and of the heatmap, and the heatmap as an array.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from apps.files import (
    Explanations,
    Problems,
    UsageError,
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

OUT = Path("out/bars")
SMALLEST = 64
"""Fewest pixels on a side of a picture; of them, the networks see 21."""
SETTINGS, ESTIMATOR = OUT / "tables/barlength_correlations_test.csv", "averageheatmaps"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JPEG, PNG, TIFF or FITS")
    parser.add_argument(
        "--petror90", type=float, metavar="ARCSEC", help="PETROR90_R of the galaxies, for lengths in arcsec"
    )
    add_outputs(parser, "a figure and the heatmap of each galaxy")


def run(arguments: argparse.Namespace) -> int:
    """Measure the bars and return the exit status."""
    from skylight import params

    petror90 = arguments.petror90
    if petror90 is not None and not (math.isfinite(petror90) and petror90 > 0):
        raise UsageError(f"--petror90 must be a positive number, got {petror90}")
    problems = Problems()
    check_outputs(arguments, arguments.files)
    bars = params.load().bars
    paths = existing(arguments.files, problems)
    if not paths:
        return problems.status
    networks = {name: OUT / f"networks/{name}.weights.h5" for name in bars.networks}
    for name, path in networks.items():
        check_made(path, f"bars-train@{name}")
    check_made(SETTINGS, "bars-measure-test")
    images = read(paths, bars, problems)
    if not images:
        return problems.status

    import_tensorflow()
    from skylight.galaxies.bar_length import measured_bar
    from skylight.galaxies.explain import explain_galaxy
    from skylight.training.fit import deterministic

    deterministic(bars.heatmaps.seed)
    models = [load(path, name, bars) for name, path in networks.items()]
    setting, crop = best_setting(), bars.transform.crop
    explanations = Explanations(arguments.explain) if arguments.explain else None
    units = ["length_petror90", *(["length_arcsec"] if petror90 else [])]
    columns = ["file", "bar_fraction", *units, *(["figure"] if explanations else [])]
    print_row(["bar", *units, "file"])
    with result_table(arguments.out, columns) as write:
        for path, image in progress(images, "measure", " galaxies"):
            fraction, heatmap = explain_galaxy(models, image, crop, bars.heatmaps)
            length, ends = math.nan, np.full((2, 2), math.nan)
            if fraction >= bars.command.min_bar_fraction:
                length, ends = measured_bar(heatmap, image, setting, crop)
            row = {"file": printable(path), "bar_fraction": fraction, "length_petror90": length}
            if petror90:
                row["length_arcsec"] = length * petror90
            if explanations:
                figure = draw(path, heatmap, ends, row, crop)
                row["figure"] = explanations.save(path.stem, figure, heatmap=heatmap)
            print_row([fraction, *(f"{shown(row[unit]):<{len(unit)}}" for unit in units), path])
            write(row)
    return problems.status


def read(paths: list[Path], bars, problems: Problems) -> list[tuple[Path, np.ndarray]]:
    """Read the pictures as the networks see them; report those that cannot be used."""
    from skylight.galaxies.images import read_image, shrink

    images = []
    for path in progress(paths, "read", " pictures"):
        try:
            picture = read_image(path)
        except InputError as error:
            problems.report(error)
            continue
        if picture.width < SMALLEST:
            problems.report(f"{path}: must have at least {SMALLEST} pixels on a side, got {picture.width}")
            continue
        images.append((path, shrink(picture, bars.transform.crop, bars.transform.size)))
    return images


def load(path: Path, name: str, bars):
    """Load one of the networks."""
    from skylight.networks.galaxy_zoo import load_galaxy_zoo

    network = bars.network(name)
    return load_galaxy_zoo(path, name, bars.transform.size, network.width, network.min_filters)


def best_setting() -> dict:
    """Return the setting, and the scale of the lengths, that the test part was measured with."""
    import pandas as pd

    return pd.read_csv(SETTINGS).set_index("model").loc[ESTIMATOR].to_dict()


def shown(length: float) -> str:
    """Return a length in words."""
    return "no bar" if math.isnan(length) else f"{length:.2f}"


def draw(path: Path, heatmap: np.ndarray, ends: np.ndarray, row: dict, crop: int):
    """Draw the bar on the picture at its own resolution, and on the heatmap."""
    from skylight.galaxies.images import read_image
    from skylight.galaxies.plots import measured_bar

    title = f"{printable(path.name)}: {row['bar_fraction']:.2f} of the volunteers would see a bar, "
    if math.isnan(row["length_petror90"]):
        title += "so no bar"
    else:
        title += f"length {row['length_petror90']:.2f} PETROR90_R"
        title += f" = {row['length_arcsec']:.1f} arcsec" if "length_arcsec" in row else ""
    return measured_bar(np.asarray(read_image(path)), heatmap, ends, crop, title)
