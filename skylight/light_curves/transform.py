"""Transform the light curves of a survey to arrays: dmdt images, features, labels and ids, in one streaming pass."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.light_curves.curve import BadLightCurve, with_noise
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.features import FEATURES, features
from skylight.light_curves.reading import Source, Survey
from skylight.rejected import Rejected, RejectionLog

BATCH = 64  # objects per task: enough to hide the cost of sending a task, few enough to keep memory small


@dataclass(frozen=True)
class Oversampling:
    """How often the objects of each class enter the arrays.

    Attributes
    ----------
    kind : str
        ``vanilla``: each object once. ``double``: each object twice, those of class EW once. ``sample_1``: objects of
        each class are drawn at random until the class has ``sample_to``; a larger class stays as it is. Repeats get
        normal noise, whose sigma is a third of the error of each magnitude.
    sample_to : int
    seed : int
        Of the drawing and of the noise.
    """

    kind: str
    sample_to: int
    seed: int

    @property
    def noise(self) -> float:
        """Sigma of the noise in a repeat, as a fraction of the error of each magnitude."""
        return 1 / 3 if self.kind == "sample_1" else 0

    def copies(self, labels: pd.DataFrame) -> np.ndarray:
        """Return how often each row of ``labels`` (column ``class_name``) is taken: (N,) int, at least 1."""
        copies = np.ones(len(labels), dtype=int)
        if self.kind == "double":
            copies[labels["class_name"] != "EW"] = 2
        if self.kind == "sample_1":
            rng = np.random.default_rng(self.seed)
            for _, rows in sorted(labels.groupby("class_name").indices.items()):
                extra = rng.choice(rows, max(0, self.sample_to - len(rows)))
                np.add.at(copies, extra, 1)
        return copies


@dataclass(frozen=True)
class Transformed:
    """The result of one task: one row of the arrays for each copy of each usable object."""

    images: np.ndarray
    features: np.ndarray
    ids: list[str]
    class_names: list[str]
    rejected: list[Rejected]
    dropped: Counter


def write_arrays(
    survey: Survey, dmdt: DmDt, classes: list[str], oversampling: Oversampling, max_rejected: float, folder: Path
) -> tuple[Counter, int, Counter]:
    """Write the arrays of a survey to ``folder``; `skylight.light_curves.arrays.load` reads them.

    ``X_2d.npy`` (N, dm, dt, 1) float32, ``X_features.npy`` (N, 21) float32, ``y.npy`` (N,) int64 index into
    ``classes`` (-1 without a label table), ``lcid.npy`` (N,) str. ``rejected.csv`` lists the objects that cannot be
    used. Memory holds a few batches, whatever the size of the survey.

    Parameters
    ----------
    survey : Survey
    dmdt : DmDt
    classes : list of str
    oversampling : Oversampling
    max_rejected : float
        Largest share of the objects that may be unusable.
    folder : Path
        Made here.

    Returns
    -------
    Counter
        Number of rows by class.
    int
        Number of rejected objects.
    Counter
        Number of dropped rows of the light curves, by reason; see `skylight.light_curves.curve.LightCurve`.

    Raises
    ------
    InputError
        More than that share was rejected, or no object is left.
    """
    copies = dict(zip(survey.labels["id"], oversampling.copies(survey.labels), strict=True))
    ids, labels, counts, dropped = [], [], Counter(), Counter()
    index = {name: i for i, name in enumerate(classes)}
    folder.mkdir(parents=True)
    progress = tqdm(total=len(survey.labels), unit=" objects", desc="dmdt", disable=None)
    with (
        NpyAppendArray(str(folder / "X_2d.npy")) as images,
        NpyAppendArray(str(folder / "X_features.npy")) as table,
        RejectionLog(folder / "rejected.csv") as rejections,
    ):
        for rejected in survey.rejected:
            rejections.add(rejected)
        for batch, done in _parallel(survey.sources(), copies, dmdt, oversampling):
            if batch.ids:
                images.append(np.ascontiguousarray(batch.images))
                table.append(batch.features)
            ids += batch.ids
            labels += [index.get(name, -1) for name in batch.class_names]
            counts.update(batch.class_names)
            dropped.update(batch.dropped)
            for rejected in batch.rejected:
                rejections.add(rejected)
            progress.update(done)
    progress.close()
    objects = len(survey.labels) + len(survey.rejected)
    rejections.check(objects, max_rejected, "periodic.transform.max_rejected", "light curves")
    np.save(folder / "y.npy", np.array(labels, dtype=np.int64))
    np.save(folder / "lcid.npy", np.array(ids))
    if dropped:
        print("dropped rows: " + ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())))
    return counts, rejections.count, dropped


def _parallel(
    sources: Iterable[Source | Rejected], copies: dict[str, int], dmdt: DmDt, oversampling: Oversampling
) -> Iterator[tuple[Transformed, int]]:
    """Transform batches on all processors, in order, with only a few batches in memory."""
    grids = (dmdt.dm_edges, dmdt.dt_edges)

    def tasks() -> Iterator:
        stream = iter(sources)
        while batch := list(islice(stream, BATCH)):
            taken = [copies.get(source.id, 1) for source in batch]
            yield joblib.delayed(transform_batch)(batch, taken, grids, oversampling)

    # A small survey takes less time than starting processes.
    jobs = 1 if len(copies) < 4 * BATCH else (os.cpu_count() or 1)
    workers = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="4 * n_jobs", batch_size=1)
    for result in workers(tasks()):
        yield result, len(set(result.ids)) + len(result.rejected)


def transform_batch(
    sources: list[Source | Rejected],
    copies: list[int],
    grids: tuple[np.ndarray, np.ndarray],
    oversampling: Oversampling,
) -> Transformed:
    """Read and transform some objects, each ``copies`` times; ``grids`` are the dm and the dt edges."""
    curves, ids, class_names, rejected, dropped = [], [], [], [], Counter()
    for source, times in zip(sources, copies, strict=True):
        if isinstance(source, Rejected):
            rejected.append(source)
            continue
        try:
            curve = source.read()
        except BadLightCurve as reason:
            rejected.append(Rejected(str(source.path), source.id, str(reason)))
            continue
        dropped.update(curve.dropped)
        # Seeded by the id, so that the noise does not depend on the order in which the objects are read.
        rng = np.random.default_rng([oversampling.seed, *source.id.encode()])
        curves += [curve] + [with_noise(curve, rng, oversampling.noise) for _ in range(times - 1)]
        ids += [source.id] * times
        class_names += [source.class_name] * times
    dmdt = DmDt(*grids)
    table = features(curves) if curves else np.zeros((0, len(FEATURES)), np.float32)
    return Transformed(dmdt.images(curves), table, ids, class_names, rejected, dropped)
