"""Make triplets of alerts: the normalised science, reference and difference cutout, the input of VGG6.

As in braai (Duev et al. 2019, MNRAS 489, 3582, section 3, and its code): NaN becomes 0, each cutout is divided by its
own L2 norm, and a cutout smaller than 63 x 63 pixels is padded at the bottom and on the right with 1e-9.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.alerts.archives import read_alerts
from skylight.alerts.packets import CUTOUTS, SIDE, Alert, image
from skylight.child import Run, here
from skylight.errors import InputError
from skylight.rejected import Rejected, RejectionLog

CLASSES = ["bogus", "real"]
CHANNELS = ("SCI", "REF", "DIFF")
FILLING = np.float32(1e-9)
"""Value of the padding of a small cutout."""
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
    """Replace NaN by 0 and divide by the L2 norm.

    Raises
    ------
    ValueError
        No pixel is finite, or the norm is 0 or infinite.
    """
    if not np.isfinite(pixels).any():
        raise ValueError("no pixel is finite")
    filled = np.where(np.isnan(pixels), 0, pixels.astype(np.float64))
    norm = np.linalg.norm(filled)
    if not 0 < norm < np.inf:
        raise ValueError(f"the norm of the pixels is {norm:g}")
    return (filled / norm).astype(np.float32)


def triplets(stream: Iterable[Alert | Rejected], run: Run = here) -> Iterator[tuple[Alert, np.ndarray] | Rejected]:
    """Make the triplets of a stream of alerts, one at a time.

    ``run`` says where the cutouts are decoded: in this process, or in a `skylight.child.Child`.

    Yields
    ------
    (Alert, (63, 63, 3) float32) or Rejected
        `Rejected` for an alert whose cutouts cannot be used, and for those that were rejected before.
    """
    for alert in stream:
        if isinstance(alert, Rejected):
            yield alert
            continue
        try:
            (pixels,) = run(_each, alert)
        except ValueError as reason:
            yield Rejected(alert.source, str(alert.candid), str(reason))
            continue
        yield alert, pixels


def _each(alert: Alert) -> Iterator[np.ndarray]:
    yield triplet(alert)


@dataclass(frozen=True)
class LabelledAlerts:
    """The labelled alerts of a survey, as `write_triplets` wrote them.

    Attributes
    ----------
    triplets : (N, 63, 63, 3) float32
        Memory-mapped; `CHANNELS` names the last axis.
    labels : (N,) int64
        Index into `CLASSES`: 0 bogus, 1 real.
    candids : (N,) int64
        Identifiers of the alerts.
    objectids : (N,) text
        Identifiers of the objects that the alerts belong to.
    """

    triplets: np.ndarray
    labels: np.ndarray
    candids: np.ndarray
    objectids: np.ndarray

    def rows(self, candids: Iterable[int]) -> np.ndarray:
        """Return the rows of these alerts, (M,) int, in the order of ``candids``.

        Raises
        ------
        InputError
            The survey has no such alert.
        """
        row_of = {candid: row for row, candid in enumerate(self.candids.tolist())}
        try:
            return np.array([row_of[candid] for candid in candids], dtype=int)
        except KeyError as error:
            raise InputError(f"candid {error.args[0]}: not among the {len(self.candids)} triplets") from None


def load(folder: Path) -> LabelledAlerts:
    """Open the arrays that `write_triplets` wrote with a table of labels."""
    pixels = np.load(folder / "triplets.npy", mmap_mode="r")
    return LabelledAlerts(pixels, *(np.load(folder / f"{name}.npy") for name in ("label", "candid", "objectid")))


def write_triplets(
    paths: list[Path], labels: Path | None, max_rejected: float, folder: Path, run: Run = here
) -> dict[str, int]:
    """Write the triplets of alerts to the folder ``folder``.

    ``triplets.npy`` (N, 63, 63, 3) float32, ``candid.npy`` (N,) int64, ``objectid.npy`` (N,) text and, if there is a
    table of labels, ``label.npy`` (N,) int64 (0 bogus, 1 real). ``rejected.csv`` (``source,id,reason``) lists the
    packets that cannot be used. Memory holds one batch, whatever the number of alerts.

    Parameters
    ----------
    paths : list of Path
        Files, tar archives, folders or the standard input, see `skylight.alerts.archives.read_alerts`.
    labels : Path or None
        Table with the columns ``candid`` and ``label``. An alert that is not in it is rejected.
    max_rejected : float
        Largest share of the packets that may be rejected.
    folder : Path
        It must not exist.
    run : callable
        Where the packets are decoded: in this process, or in a `skylight.child.Child`.

    Returns
    -------
    dict
        Number of ``triplets`` and ``rejected``, and of each class if there are labels.

    Raises
    ------
    InputError
        Too many packets are rejected, none is left, a path does not exist, or the table of labels is faulty.
    """
    label_of = None if labels is None else read_labels(labels)
    counts = Counter(triplets=0)
    folder.mkdir(parents=True)
    with _Columns(folder) as columns, RejectionLog(folder / "rejected.csv") as log:
        for made in tqdm(triplets(read_alerts(paths, run), run), unit=" alerts", desc="triplets", disable=None):
            if not isinstance(made, Rejected) and label_of is not None and made[0].candid not in label_of:
                made = Rejected(made[0].source, str(made[0].candid), f"no label in {labels.name}")
            if isinstance(made, Rejected):
                log.add(made)
                continue
            alert, pixels = made
            row = {"triplets": pixels, "candid": np.int64(alert.candid), "objectid": np.str_(alert.objectid)}
            if label_of is not None:
                row["label"] = np.int64(label_of[alert.candid])
                counts[CLASSES[row["label"]]] += 1
            columns.append(row)
            counts["triplets"] += 1
    log.check(counts["triplets"] + log.count, max_rejected, "realbogus.transform.max_rejected", "packets")
    return dict(counts) | {"rejected": log.count}


class _Columns:
    """Writes rows to one ``.npy`` file per column, a batch of rows at a time."""

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
    """Read the labels of alerts from a CSV table with the columns ``candid`` and ``label``; others are ignored.

    A row with an empty label is an alert without one.

    Returns
    -------
    dict
        candid -> 0 (bogus) or 1 (real).

    Raises
    ------
    InputError
        The file is missing, lacks a column, has a candid twice, or has a label other than 0 and 1.
    """
    try:
        table = pd.read_csv(path, usecols=["candid", "label"]).dropna(subset="label")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it must be a table with the columns candid and label") from None
    except ValueError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    for wrong, what in ((table["candid"].duplicated(), "candid twice"), (~table["label"].isin([0, 1]), "bad label")):
        if wrong.any():
            row = table[wrong].iloc[0]
            raise InputError(f"{path} line {table.index[wrong][0] + 2}: {what} ({row['candid']}, {row['label']})")
    return dict(zip(table["candid"], table["label"].astype(int), strict=True))
