"""Map what a network's answer "there is a bar" depends on, by SmoothGrad (Bhambra et al. 2022, section 3.2).

Run as ``python -m stages.bars.heatmaps vgg16`` (or ``resnet50v2``, ``xception``).
"""

import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from skylight import params
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.heatmaps import write_heatmap
from skylight.galaxies.images import save_rejected, small_images
from skylight.outputs import writing

OUT = Path("out/bars")
CHUNK = 256  # galaxies between two writes
PUBLISHED = 3150  # galaxies of the published catalogue


@script
def main() -> None:
    (name,) = sys.argv[1:]
    bars = params.load().bars
    folder, settings = Path(bars.data.path), bars.xai.smoothgrad

    from skylight.galaxies.explain import bar_heatmaps
    from skylight.networks.galaxy_zoo import load_galaxy_zoo
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    network = bars.network(name)
    model = load_galaxy_zoo(OUT / name / "model.weights.h5", name, bars.data.size, network.width, network.min_filters)

    assets = survey.read_catalogue(folder)["asset_id"]
    with tempfile.TemporaryDirectory() as scratch, writing(OUT / name / "heatmaps") as maps_folder:
        paths = [folder / survey.CATALOGUE_IMAGES / f"{asset}.jpg" for asset in assets]
        images, kept, rejected = small_images(paths, bars.data.crop, bars.data.size, Path(scratch) / "images.npy")
        save_rejected(OUT / name / "rejected_catalogue.csv", rejected, bars.data.max_rejected)
        target = maps_folder / str(settings.smooth_noise)
        target.mkdir(parents=True)
        start = time.perf_counter()
        for first in tqdm(range(0, len(kept), CHUNK), desc=f"SmoothGrad of {name}", unit=f" {CHUNK} galaxies"):
            maps = bar_heatmaps(model, images[first : first + CHUNK], bars.data.crop, settings, first)
            for asset, heatmap in zip(assets.iloc[kept[first:]], maps, strict=False):
                write_heatmap(target, asset, heatmap)
        seconds = (time.perf_counter() - start) / max(len(kept), 1)
    print(f"{seconds:.3f} s a galaxy; {PUBLISHED} galaxies take {PUBLISHED * seconds / 60:.1f} min")


if __name__ == "__main__":
    main()
