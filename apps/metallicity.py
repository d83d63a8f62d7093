"""Tell metal-poor from metal-rich galaxies.

    skylight metallicity galaxy.jpg other.png
    skylight metallicity *.jpg --pixel-scale 0.396 --out classes.csv --explain drawn/

FILE is a JPEG, PNG, TIFF or FITS picture, square and centred on one galaxy, with the pixels and the colours of the SDSS
image server (gri, 0.396 arcsec). The table has the class, the probability of low metallicity (12 + log(O/H) up to 8.7,
against more than 9.1), and 12 + log(O/H) by the regression. --explain writes for each galaxy a figure of Grad-CAM of
both classes, and the maps as arrays.
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

NETWORKS = Path("out/metallicity/networks")
CLASSIFIER, REGRESSION = NETWORKS / "classifier.weights.h5", NETWORKS / "regression.weights.h5"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JPEG, PNG, TIFF or FITS")
    parser.add_argument(
        "--pixel-scale", type=float, metavar="ARCSEC", help="of the pictures (default: that of metallicity.data)"
    )
    add_outputs(parser, "a figure and the maps of both classes of each galaxy")


def run(arguments: argparse.Namespace) -> int:
    """Classify the galaxies and return the exit status."""
    from skylight import params

    scale = arguments.pixel_scale
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise UsageError(f"--pixel-scale must be a positive number, got {scale}")
    problems = Problems()
    check_outputs(arguments, arguments.files)
    metallicity = params.load().metallicity
    paths = existing(arguments.files, problems)
    if not paths:
        return problems.status
    check_made(CLASSIFIER, "metallicity-train")
    check_made(REGRESSION, "metallicity-regress")
    size, width = metallicity.transform.size, metallicity.network.width
    images = read(paths, size, scale or metallicity.data.pixel_scale, problems)
    if not images:
        return problems.status

    import_tensorflow()
    from skylight.galaxies.metallicity import ANSWERS
    from skylight.networks.metallicity_cnn import load_metallicity_cnn
    from skylight.training.fit import deterministic

    deterministic(metallicity.heatmaps.seed)
    classifier = load_metallicity_cnn(CLASSIFIER, size, len(ANSWERS), width)
    regression = load_metallicity_cnn(REGRESSION, size, 1, width)
    explanations = Explanations(arguments.explain) if arguments.explain else None
    columns = ["file", "class", "p_low", "oh", *(["figure"] if explanations else [])]
    print_row(["class", "p_low", "oh", "file"])
    with result_table(arguments.out, columns) as write:
        for path, image in progress(images, "classify", " galaxies"):
            inputs = image[None].astype(np.float32) / 255
            p_low = float(classifier.predict(inputs, verbose=0)[0, ANSWERS.index("low")])
            oh = float(regression.predict(inputs, verbose=0)[0, 0])
            row = {"file": printable(path), "class": "low" if p_low > 0.5 else "high", "p_low": p_low, "oh": oh}
            if explanations:
                figure, maps = draw(classifier, image, path, p_low)
                low, high = (maps[..., ANSWERS.index(name)] for name in ("low", "high"))
                row["figure"] = explanations.save(path.stem, figure, low=low, high=high)
            print_row([f"{row['class']:<5}", p_low, f"{oh:.2f}", path])
            write(row)
    return problems.status


def read(paths: list[Path], size: int, pixel_scale: float, problems: Problems) -> list[tuple[Path, np.ndarray]]:
    """Read the pictures as the networks see them; report those that cannot be used."""
    from skylight.galaxies.metallicity import central_pixels

    images = []
    for path in progress(paths, "read", " pictures"):
        try:
            images.append((path, central_pixels(path, size, pixel_scale)))
        except InputError as error:
            problems.report(error)
    return images


def draw(classifier, image: np.ndarray, path: Path, p_low: float):
    """Draw Grad-CAM of both classes; return the figure and the maps without ReLU, (size, size, 2)."""
    import pandas as pd

    from skylight.galaxies.metal_maps import class_activation_maps
    from skylight.galaxies.metal_plots import gradcam_of_both

    maps = class_activation_maps(classifier, image[None], np.array([0]))
    table = pd.DataFrame({"objID": [printable(path.name)], "p_low": [p_low]})
    return gradcam_of_both(image[None], maps, table), maps[0]
