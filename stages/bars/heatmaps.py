"""Explain a network's answer "there is a bar" with SmoothGrad (Bhambra et al. 2022, section 3.2).

python -m stages.bars.heatmaps vgg16    # or another network of bars.networks
"""

import sys
import time
from pathlib import Path

from tqdm import tqdm

from skylight import params
from skylight.errors import script
from skylight.galaxies.arrays import load
from skylight.galaxies.heatmaps import write_heatmap
from skylight.outputs import writing

OUT = Path("out/bars")
CHUNK = 256  # galaxies between two writes
PUBLISHED = 3150  # galaxies of the published catalogue


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    network, settings, crop = bars.network(name), bars.heatmaps, bars.transform.crop

    from skylight.galaxies.explain import bar_heatmaps
    from skylight.networks.galaxy_zoo import load_galaxy_zoo
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    weights = OUT / "networks" / f"{name}.weights.h5"
    model = load_galaxy_zoo(weights, name, bars.transform.size, network.width, network.min_filters)

    pictures = load("data/processed/bars", "catalogue")
    with writing(OUT / "heatmaps" / name) as maps_folder:
        target = maps_folder / str(settings.smooth_noise)
        target.mkdir(parents=True)
        start = time.perf_counter()
        chunks = range(0, len(pictures), CHUNK)
        for first in tqdm(chunks, desc=f"SmoothGrad of {name}", unit=f" {CHUNK} galaxies", disable=None):
            chunk = slice(first, first + CHUNK)
            maps = bar_heatmaps(model, pictures.images[chunk], crop, settings, first)
            for asset, heatmap in zip(pictures.ids[chunk], maps, strict=True):
                write_heatmap(target, asset, heatmap)
        seconds = (time.perf_counter() - start) / len(pictures)
    print(f"{seconds:.3f} s per galaxy; {PUBLISHED} galaxies take {PUBLISHED * seconds / 60:.1f} min")


if __name__ == "__main__":
    main()
