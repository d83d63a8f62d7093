"""The features by which the metallicity network sees galaxies, on a plane."""

import keras
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skylight.networks.metallicity_cnn import POOL
from skylight.params.metallicity import Features
from skylight.training.augmentation import plain_batches

BATCH = 128


def activations(model: keras.Model, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the outputs of the pooling layer for some rows of ``images``, (n, filters) float32."""
    pooled = keras.Model(model.inputs, model.get_layer(POOL).output)
    return pooled.predict(plain_batches(images, rows, None, BATCH), verbose=0)


def planes(features: np.ndarray, settings: Features) -> tuple[pd.DataFrame, list[float]]:
    """Project standardised features to two dimensions.

    Parameters
    ----------
    features : np.ndarray, shape (N, K)
    settings : section ``metallicity.features`` of params.yaml

    Returns
    -------
    pandas.DataFrame
        ``pca_1``, ``pca_2``, ``umap_1``, ``umap_2``, (N, 4). The sign of a principal component is such that its
        largest weight is positive.
    list of float
        Share of the variance that each of the two principal components explains.
    """
    from umap import UMAP  # compiles for seconds

    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    pca = PCA(2, svd_solver="full").fit(scaled)
    weights = pca.components_
    signs = np.sign(weights[np.arange(2), np.abs(weights).argmax(axis=1)])
    reducer = UMAP(
        n_neighbors=min(settings.neighbours, len(features) - 1),
        min_dist=settings.min_dist,
        random_state=settings.seed,
        n_jobs=1,
        init="pca",
    )
    places = np.hstack([pca.transform(scaled) * signs, reducer.fit_transform(scaled)])
    table = pd.DataFrame(places, columns=["pca_1", "pca_2", "umap_1", "umap_2"])
    return table, pca.explained_variance_ratio_.tolist()
