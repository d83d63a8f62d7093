"""Alerts to triplets: the science, reference and difference cutout as a real-bogus network takes them.

As braai does (Duev et al. 2019, MNRAS 489, 3582, section 3, and its code): NaN becomes 0, each cutout is divided by
its own L2 norm, smaller ones are filled up at the bottom and on the right with 1e-9.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.alerts.packets import CUTOUTS, SIDE, Alert, Rejected, alerts, image
from skylight.errors import InputError

CLASSES = ["bogus", "real"]
CHANNELS = ("SCI", "REF", "DIFF")
FILLING = np.float32(1e-9)
BATCH = 256  # alerts in memory at once


def triplet(alert: Alert) -> np.ndarray:
    """Unpack and normalise the cutouts of an alert: (63, 63, 3) float32.

    Raises
    ------
    ValueError
        A cutout is missing, corrupt, too large, or has no pixel that is finite and not 0.
    """
    result = np.full((SIDE, SIDE, len(CUTOUTS)), FILLING, np.float32)
    for channel, (name, packed) in enumerate(zip(CUTOUTS, alert.cutouts, strict=True)):
        if packed is None:
            raise ValueError(f"{name} is missing")
        try:
            pixels = image(packed)
            rows, columns = pixels.shape
            if rows > SIDE or columns > SIDE:
                raise ValueError(f"{rows} x {columns} pixels, more than {SIDE} x {SIDE}")
            result[:rows, :columns, channel] = normalised(pixels)
        except ValueError as reason:
            raise ValueError(f"{name}: {reason}") from None
    return result


def normalised(pixels: np.ndarray) -> np.ndarray:
    """Replace NaN by 0 and divide by the L2 norm; `ValueError` where nothing is finite or the norm is 0."""
    if not np.isfinite(pixels).any():
        raise ValueError("no pixel is finite")
    filled = np.where(np.isnan(pixels), 0, pixels.astype(np.float64))
    norm = np.linalg.norm(filled)
    if not 0 < norm < np.inf:
        raise ValueError(f"the norm of the pixels is {norm:g}")
    return (filled / norm).astype(np.float32)


def triplets(stream: Iterable[Alert | Rejected]) -> Iterator[tuple[Alert, np.ndarray] | Rejected]:
    """Make the triplet of every alert, one by one; an alert that has none comes out as `Rejected`."""
    for alert in stream:
        if isinstance(alert, Rejected):
            yield alert
            continue
        try:
            yield alert, triplet(alert)
        except ValueError as reason:
            yield Rejected(alert.source, alert.candid, str(reason))


def transform(paths: list[Path], labels: Path | None, max_rejected: float, out: Path) -> dict[str, int]:
    """Write the triplets of a survey's alerts to the folder ``out``.

    ``triplets.npy`` (N, 63, 63, 3) float32, ``candid.npy`` (N,) int64, ``objectid.npy`` (N,) text and, where there is
    a table of labels, ``label.npy`` (N,) int64 (0 bogus, 1 real). ``rejected.csv`` has a row ``packet,candid,reason``
    for each packet that cannot be used. Everything streams: memory holds one batch, whatever the number of alerts.

    Parameters
    ----------
    paths : list of Path
        Files, folders or the standard input, see `skylight.alerts.packets.alerts`.
    labels : Path or None
        Table with the columns ``candid`` and ``label``.
    max_rejected : float
        Share of the packets that may be unusable before it is an error.
    out : Path
        Made here.

    Returns
    -------
    dict
        Number of ``triplets`` and ``rejected``, and of each class where there are labels.

    Raises
    ------
    InputError
        Nothing is left, too many were rejected, or paths or labels are not what they should be.
    """
    label_of = None if labels is None else read_labels(labels)
    counts, first = Counter(triplets=0, rejected=0), None
    out.mkdir(parents=True)
    with _Columns(out) as columns, (out / "rejected.csv").open("w", newline="") as file:
        rejected = csv.writer(file, lineterminator="\n")
        rejected.writerow(("packet", "candid", "reason"))
        for made in tqdm(triplets(alerts(paths)), unit=" alerts", desc="triplets", disable=None):
            if not isinstance(made, Rejected) and label_of is not None and made[0].candid not in label_of:
                made = Rejected(made[0].source, made[0].candid, f"no label in {labels.name}")
            if isinstance(made, Rejected):
                first = first or made
                counts["rejected"] += 1
                rejected.writerow((made.source, made.candid, made.reason))
                continue
            alert, pixels = made
            row = {"triplets": pixels, "candid": np.int64(alert.candid), "objectid": np.str_(alert.objectid)}
            if label_of is not None:
                row["label"] = np.int64(label_of[alert.candid])
                counts[CLASSES[row["label"]]] += 1
            columns.append(row)
            counts["triplets"] += 1
    packets = counts["triplets"] + counts["rejected"]
    if (first and counts["rejected"] > max_rejected * packets) or not counts["triplets"]:
        raise InputError(
            f"{counts['rejected']} of {packets} packets rejected, more than max_rejected ({max_rejected:g})"
            + (f"; the first: {first.source}: {first.reason}" if first else "")
        )
    if first:
        print(f"rejected {counts['rejected']} of {packets} packets, see rejected.csv")
    return dict(counts)


class _Columns:
    """One ``.npy`` a column in a folder, written a batch of rows at a time."""

    def __init__(self, folder: Path):
        self._folder, self._files, self._rows = folder, {}, []

    def __enter__(self) -> "_Columns":
        return self

    def append(self, row: dict[str, np.ndarray]) -> None:
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._write()

    def _write(self) -> None:
        for name in self._rows[0] if self._rows else ():
            values = np.stack([row[name] for row in self._rows])
            if values.dtype.kind == "U":  # one width for all batches
                values = values.astype("U16")
            if name not in self._files:
                self._files[name] = NpyAppendArray(str(self._folder / f"{name}.npy"))
            self._files[name].append(values)
        self._rows.clear()

    def __exit__(self, *error) -> None:
        self._write()
        for file in self._files.values():
            file.close()


def read_labels(path: Path) -> dict[int, int]:
    """Read candid -> label (0 bogus, 1 real) from a table like the published one; other columns are ignored.

    Raises
    ------
    InputError
        The file is missing, lacks a column, has a candid twice, or a label that is neither 0 nor 1.
    """
    try:
        table = pd.read_csv(path, usecols=["candid", "label"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it has a row candid,label an alert") from None
    except ValueError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    for wrong, what in ((table["candid"].duplicated(), "candid twice"), (~table["label"].isin([0, 1]), "bad label")):
        if wrong.any():
            row = table[wrong].iloc[0]
            raise InputError(f"{path} line {table.index[wrong][0] + 2}: {what} ({row['candid']}, {row['label']})")
    return dict(zip(table["candid"], table["label"], strict=True))
