"""Reduce the activations of the pooling layer to two dimensions by PCA and by UMAP (McInnes et al. 2018,
arXiv:1802.03426), as in the first part of the published series.
"""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import save_json, save_table

OUT = Path("out/metallicity")


@script
def main() -> None:
    metallicity = params.load().metallicity

    from skylight.galaxies.metal_features import activations, planes
    from skylight.networks.metallicity_cnn import load_metallicity_cnn
    from skylight.training.fit import deterministic

    deterministic(metallicity.features.seed)
    galaxies = load("data/processed/metallicity")
    size, width = metallicity.transform.size, metallicity.network.width
    model = load_metallicity_cnn(OUT / "networks/classifier.weights.h5", size, len(ANSWERS), width)
    rows = galaxies.rows("validation", medium=True)
    places, explained = planes(activations(model, galaxies.images, rows), metallicity.features)
    table = galaxies.table.iloc[rows].reset_index(drop=True)
    save_table(OUT / "tables/features.csv", table[["objID", "z", "oh_p50", "class", "g_r"]].join(places))
    save_json(OUT / "metrics/features.json", {"galaxies": len(table), "explained_variance": explained})


if __name__ == "__main__":
    main()
