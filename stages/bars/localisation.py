"""Compare the heatmaps of the test galaxies with the true bars, which only a simulation knows (not in the paper)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from skylight import params
from skylight.errors import script
from skylight.galaxies.catalogue import read_catalogue, shuffle_split
from skylight.galaxies.heatmaps import read_heatmaps
from skylight.galaxies.images import read_mask
from skylight.galaxies.map_scores import localisation
from skylight.outputs import save_json
from skylight.params.bars import Bars

OUT = Path("out/bars")


@script
def main() -> None:
    bars = params.load().bars
    share, seed = bars.measure.validation_split, bars.data.split_seed
    _, test = shuffle_split(read_catalogue(bars.data.path), share, seed, "bars.measure.validation_split")
    scores = localisation(maps_and_masks(bars, test), list(bars.networks)) if bars.data.truth else {}
    save_json(OUT / "metrics" / "localisation.json", scores)


def maps_and_masks(bars: Bars, galaxies: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    folders = [OUT / "heatmaps" / name / str(bars.heatmaps.smooth_noise) for name in bars.networks]
    for asset in tqdm(galaxies["asset_id"], desc="masks", unit="galaxy", disable=None):
        maps = read_heatmaps(folders, asset)
        if maps is not None:
            yield maps, read_mask(bars.data.truth, asset, bars.transform.crop, maps.shape[1])


if __name__ == "__main__":
    main()
