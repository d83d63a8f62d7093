"""A survey's light curves to arrays for a network: dmdt images, features, labels and ids, in one streaming pass."""

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

from skylight.errors import InputError
from skylight.light_curves.curve import BadLightCurve, with_noise
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.features import FEATURES, features
from skylight.light_curves.reading import Rejected, Source, Survey

BATCH = 64  # objects a task: long enough to hide the cost of sending it, short enough to keep memory small


@dataclass(frozen=True)
class Augmentation:
    """How often each class's objects are taken.

    ``vanilla`` takes each once. ``double`` takes each object of every class but EW twice. ``sample_1`` draws objects
    of each class with equal chance until it has ``sample_to`` (classes that have as many are left as they are); the
    repeats get normal noise of a third of the error added to each magnitude.
    """

    kind: str
    sample_to: int
    seed: int

    @property
    def noise(self) -> float:
        """Sigma of the noise in a repeat, as a fraction of the error of each magnitude."""
        return 1 / 3 if self.kind == "sample_1" else 0

    def copies(self, labels: pd.DataFrame) -> np.ndarray:
        """How often each row of ``labels`` (column ``class_name``) is taken: (N,) int, at least 1."""
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
    """What one task made of its objects; a row of the arrays for each copy of each good object."""

    images: np.ndarray
    features: np.ndarray
    ids: list[str]
    class_names: list[str]
    rejected: list[Rejected]


def transform(
    survey: Survey, dmdt: DmDt, classes: list[str], augmentation: Augmentation, max_rejected: float, folder: Path
) -> Counter:
    """Write the arrays of a survey to ``folder``.

    ``X_2d.npy`` (N, dm, dt, 1) float32, ``X_features.npy`` (N, 21) float32, ``y.npy`` (N,) int64 index into
    ``classes`` (-1 without a label table), ``lcid.npy`` (N,) text; copies of an object follow one another and share
    its id. ``rejected.csv`` lists the objects that could not be used. Everything streams: memory holds a few batches,
    whatever the survey's size.

    Returns
    -------
    Counter
        Number of rows by class.

    Raises
    ------
    InputError
        More than the fraction ``max_rejected`` of the objects were rejected, or all were.
    """
    copies = dict(zip(survey.labels["id"], augmentation.copies(survey.labels), strict=True))
    rejected, ids, labels, counts = list(survey.rejected), [], [], Counter()
    index = {name: i for i, name in enumerate(classes)}
    folder.mkdir(parents=True)
    progress = tqdm(total=len(survey.labels), unit=" objects", desc="dmdt", disable=None)
    with (
        NpyAppendArray(str(folder / "X_2d.npy")) as images,
        NpyAppendArray(str(folder / "X_features.npy")) as table,
    ):
        for batch, done in _parallel(survey.sources(), copies, dmdt, augmentation):
            if batch.ids:
                images.append(np.ascontiguousarray(batch.images))
                table.append(batch.features)
            ids += batch.ids
            labels += [index.get(name, -1) for name in batch.class_names]
            counts.update(batch.class_names)
            rejected += batch.rejected
            progress.update(done)
    progress.close()
    objects = len(survey.labels) + len(survey.rejected)
    _report(rejected, objects, folder)
    if len(rejected) > max_rejected * objects or not ids:
        raise InputError(
            f"{len(rejected)} of {objects} objects rejected, more than max_rejected ({max_rejected:g}); "
            f"the first: {rejected[0].id}: {rejected[0].reason}"
        )
    np.save(folder / "y.npy", np.array(labels, dtype=np.int64))
    np.save(folder / "lcid.npy", np.array(ids))
    return counts


def _report(rejected: list[Rejected], objects: int, folder: Path) -> None:
    table = pd.DataFrame([(r.id, r.class_name, r.reason) for r in rejected], columns=["lcid", "class", "reason"])
    table.to_csv(folder / "rejected.csv", index=False, lineterminator="\n")
    if rejected:
        print(f"rejected {len(rejected)} of {objects} objects, see rejected.csv")


def _parallel(
    sources: Iterable[Source | Rejected], copies: dict[str, int], dmdt: DmDt, augmentation: Augmentation
) -> Iterator[tuple[Transformed, int]]:
    """Transform batches in all processors, in order, with only a few batches in flight."""
    grids = (dmdt.dm_edges, dmdt.dt_edges)

    def tasks() -> Iterator:
        stream = iter(sources)
        while batch := list(islice(stream, BATCH)):
            taken = [copies.get(source.id, 1) for source in batch]
            yield joblib.delayed(transform_batch)(batch, taken, grids, augmentation)

    # Starting processes costs more than a small survey does.
    jobs = 1 if len(copies) < 4 * BATCH else (os.cpu_count() or 1)
    workers = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="4 * n_jobs", batch_size=1)
    for result in workers(tasks()):
        yield result, len(set(result.ids)) + len(result.rejected)


def transform_batch(
    sources: list[Source | Rejected],
    copies: list[int],
    grids: tuple[np.ndarray, np.ndarray],
    augmentation: Augmentation,
) -> Transformed:
    """Read and transform some objects, ``copies`` times each."""
    curves, ids, class_names, rejected = [], [], [], []
    for source, times in zip(sources, copies, strict=True):
        if isinstance(source, Rejected):
            rejected.append(source)
            continue
        try:
            curve = source.read()
        except BadLightCurve as reason:
            rejected.append(Rejected(source.id, source.class_name, str(reason)))
            continue
        # The noise depends on the object, not on the order in which the objects are read.
        rng = np.random.default_rng([augmentation.seed, *source.id.encode()])
        curves += [curve] + [with_noise(curve, rng, augmentation.noise) for _ in range(times - 1)]
        ids += [source.id] * times
        class_names += [source.class_name] * times
    dmdt = DmDt(*grids)
    table = features(curves) if curves else np.zeros((0, len(FEATURES)), np.float32)
    return Transformed(dmdt.images(curves), table, ids, class_names, rejected)
