"""Measure the bar of any galaxy: ``python -m stages.bars.measure IMAGE... [--petror90 ARCSEC] [--draw FOLDER]``.

Prints the share of volunteers who would see a bar, and how long it is, by the trained networks and the setting that
the test part was measured with. Images are JPEG, PNG or FITS, centred on the galaxy and of 8.48 PETROR90_R on a side,
as the survey's are; with PETROR90_R in arcsec the length is in arcsec too.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import InputError, script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.bar_length import bar_ends, bar_lengths, bar_pixels
from skylight.galaxies.images import grey, read_any_image, shrink
from skylight.galaxies.questions import ANSWERS, BAR
from skylight.params.bars import Bars

OUT = Path("out/bars")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the bars of galaxies.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="JPEG, PNG or FITS")
    parser.add_argument("--petror90", type=float, metavar="ARCSEC", help="Petrosian radius of the galaxies")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="where to draw the bars on the images")
    arguments = parser.parse_args()
    if arguments.petror90 is not None and not 0 < arguments.petror90 < np.inf:
        raise InputError(f"--petror90 must be a positive number, got {arguments.petror90}")

    bars = params.load().bars
    pictures = [read_any_image(path) for path in arguments.images]
    small = np.stack([shrink(picture, bars.data.crop, bars.data.size) for picture in pictures])
    fractions, heatmaps = explain(bars, small)

    tested = pd.read_csv(OUT / "barlength_correlations_test.csv").set_index("model").loc["averageheatmaps"]
    setting = tested["corr_threshold"], int(tested["len_threshold"])
    scale = tested["scale"] * bars.data.crop / bars.data.size * survey.PIXEL_SCALE
    for path, picture, image, fraction, heatmap in zip(
        arguments.images, pictures, small, fractions, heatmaps, strict=True
    ):
        shown = heatmap * grey(image) if tested["xinput"] else heatmap
        length = scale * bar_lengths(shown, *([value] for value in setting))[0, 0]
        line = f"{path}: bar probability {fraction:.2f}, length {length:.2f} PETROR90_R"
        print(line + (f" = {length * arguments.petror90:.1f} arcsec" if arguments.petror90 else ""))
        if arguments.draw:
            draw(arguments.draw / f"{path.stem}_bar.png", picture, bar_ends(bar_pixels(shown, *setting)), line, bars)


def explain(bars: Bars, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the networks of the bar's vote fraction, (N,), and of the normalised heatmaps, (N, H, W)."""
    from skylight.galaxies.explain import bar_heatmaps
    from skylight.networks.galaxy_zoo import load_galaxy_zoo
    from skylight.training.fit import deterministic

    settings = bars.xai.smoothgrad
    deterministic(settings.seed)
    fractions, heatmaps = [], []
    for name in bars.models:
        network = bars.network(name)
        model = load_galaxy_zoo(
            OUT / name / "model.weights.h5", name, bars.data.size, network.width, network.min_filters
        )
        fractions.append(model.predict(images.astype(np.float32) / 255, verbose=0)[:, ANSWERS.index(BAR)])
        # One by one: the noise, and so the length, does not depend on the other images.
        heatmaps.append([bar_heatmaps(model, image[None], bars.data.crop, settings)[0] for image in images])
    return np.mean(fractions, axis=0), np.mean(heatmaps, axis=0)


def draw(path: Path, picture, ends: np.ndarray, title: str, bars: Bars) -> None:
    """The picture with the measured bar, at the picture's own resolution."""
    import matplotlib.pyplot as plt

    from skylight import plotting

    crop = picture.width * bars.data.crop / survey.PIXELS
    figure, ax = plt.subplots(figsize=(plotting.COLUMN, plotting.COLUMN))
    ax.imshow(picture, origin="upper")
    on_picture = (ends + 0.5) * crop / bars.data.size + (picture.width - crop) / 2 - 0.5
    ax.plot(on_picture[:, 1], on_picture[:, 0], color=plotting.COLOURS[1], lw=1.2, marker="o", ms=2.5)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title.partition(": ")[2], fontsize=7)
    plotting.save(figure, path)


if __name__ == "__main__":
    main()
