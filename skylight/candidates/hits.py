"""Candidates of the High cadence Transient Survey (HiTS; Foerster et al. 2016, ApJ 832, 155), in chunks.

A chunk is a file with a dictionary of arrays: ``temp_images``, ``sci_images``, ``diff_images`` and ``SNR_images``,
with one row of 21 x 21 = 441 pixels per candidate, and ``labels``, 1 for a real source and 0 for an artifact of the
subtraction (Cabrera-Vives et al. 2017, ApJ 836, 97). Published chunks are pickles. A pickle can run any code when it is
read; `skylight.candidates.pickles` does not run it. The default is a ``.npz`` file with the same arrays.

A survey is a folder with the folders ``train/``, ``validation/`` and ``test/`` of chunks, read in the order of their
names.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.arrays import check_names, read_npz
from skylight.candidates.pickles import read_pickle
from skylight.errors import InputError
from skylight.rejected import Rejected, RejectionLog

PARTS = ("train", "validation", "test")
CHANNELS = {
    "template": "temp_images",
    "science": "sci_images",
    "difference": "diff_images",
    "SNR difference": "SNR_images",
}
SIZE = 21  # pixels along a side of a stamp
PIXEL_SCALE = 0.27  # arcsec, of DECam
SEEING = 1.9  # pixels, the standard deviation of a point source in the survey's median seeing of 1.2 arcsec
LARGEST_PIXEL = 1e30  # a finite pixel beyond it is a marker such as -3.4e38, no measurement


@dataclass(frozen=True, eq=False)
class Chunk:
    """The candidates of one file.

    Attributes
    ----------
    stamps : array
        (N, 21, 21, 4) float32; the channels in the order of `CHANNELS`, bad pixels NaN or infinite.
    labels : array or None
        (N,), 1 for a real source and 0 for an artifact; None where the file has none.
    """

    stamps: np.ndarray
    labels: np.ndarray | None


def chunk_files(folder: str | Path) -> list[Path]:
    """Return the chunks in a folder, in the order of their names; `InputError` if there are none."""
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix in (".npz", ".pkl"))
    if not paths:
        raise InputError(f"{folder}: no chunks (.npz or .pkl) in this folder")
    return paths


def read_chunk(path: str | Path, labelled: bool = True) -> Chunk:
    """Read the candidates of a ``.npz`` or ``.pkl`` file.

    Raises
    ------
    InputError
        The file is missing, truncated or of another format; a channel is missing, or the labels where ``labelled``;
        the stamps have another size; channels or labels differ in length; or a pickle names anything but arrays.
    """
    path = Path(path)
    needed = (*CHANNELS.values(), *(["labels"] if labelled else []))
    if path.suffix == ".pkl":
        arrays = read_pickle(path, (*CHANNELS.values(), "labels"))
        check_names(path, arrays, needed)
    else:
        arrays = read_npz(path, needed)
    channels = [_channel(path, name, arrays[name]) for name in CHANNELS.values()]
    if "labels" in arrays and not arrays["labels"].ndim:
        raise InputError(f"{path}: labels must be an array of numbers, got one value")
    counts = {name: len(arrays[name]) for name in [*CHANNELS.values(), *(["labels"] if "labels" in arrays else [])]}
    first, count = next(iter(counts.items()))
    for name, length in counts.items():
        if length != count:
            raise InputError(f"{path}: {name} has {length} rows, but {first} has {count}")
    stamps = np.stack(channels, axis=-1)
    if stamps.size and not (stamps.min() >= -LARGEST_PIXEL and stamps.max() <= LARGEST_PIXEL):  # also where one is NaN
        stamps[np.abs(stamps) > LARGEST_PIXEL] = np.nan
    return Chunk(stamps, _labels(path, arrays["labels"], count) if "labels" in arrays else None)


def _labels(path: Path, values: np.ndarray, count: int) -> np.ndarray:
    if values.size != count or values.dtype.kind not in "biuf":
        raise InputError(f"{path}: labels must be {count} numbers, got {values.shape} of {values.dtype}")
    return values.reshape(count).copy()


def write_chunk(path: Path, stamps: np.ndarray, labels: np.ndarray) -> None:
    """Write stamps (N, 21, 21, 4) and labels (N,) as ``.npz``, or as a pickle if the path ends with ``.pkl``."""
    arrays = {key: stamps[..., i].reshape(len(stamps), SIZE**2) for i, key in enumerate(CHANNELS.values())}
    arrays["labels"] = labels
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    else:
        np.savez(path, **arrays)


def scaled(stamps: np.ndarray) -> np.ndarray:
    """Scale each stamp of (..., 21, 21, C) by itself to [0, 1], then set bad pixels to 0, as published.

    A stamp becomes 0 everywhere if its good pixels are all equal.
    """
    good = np.isfinite(stamps)
    low = np.where(good, stamps, np.inf).min(axis=(-3, -2), keepdims=True)
    high = np.where(good, stamps, -np.inf).max(axis=(-3, -2), keepdims=True)
    width = np.where(np.isfinite(high - low) & (high > low), high - low, 1)
    with np.errstate(invalid="ignore"):
        return np.where(good & (high > low), (stamps - low) / width, 0).astype(np.float32)


def measured_snr(stamps: np.ndarray) -> np.ndarray:
    """Compute the signal-to-noise ratio of a point source in the middle of each stamp, from the SNR difference.

    It is the optimally weighted sum of the good pixels s, sum(p s) / sqrt(sum(p^2)), where p is a Gaussian with the
    width of the survey's median seeing (Horne 1986, PASP 98, 609). It is negative for a negative difference.

    Parameters
    ----------
    stamps : array
        (N, 21, 21, 4), not scaled.

    Returns
    -------
    array
        (N,); NaN without a good pixel.
    """
    axis = np.arange(SIZE) - SIZE // 2
    profile = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * SEEING**2))
    snr = stamps[..., list(CHANNELS).index("SNR difference")]
    good = np.isfinite(snr)
    norm = np.sqrt((profile**2 * good).sum(axis=(1, 2)))
    total = (profile * np.where(good, snr, 0)).sum(axis=(1, 2))
    return np.where(norm > 0, total / np.where(norm > 0, norm, 1), np.nan)


def faults(chunk: Chunk) -> dict[int, str]:
    """Return the candidates that cannot be used: row -> what is wrong with it, in the order of the rows."""
    good = np.isfinite(chunk.stamps)
    empty = np.zeros((0, 0), bool) if good.all() else ~good.any(axis=(1, 2))
    found = {
        int(row): f"{list(CHANNELS)[channel]} stamp has no good pixel"
        for row, channel in reversed(list(zip(*np.nonzero(empty), strict=True)))
    }
    if chunk.labels is not None:
        for row in np.flatnonzero(~np.isin(chunk.labels, (0, 1))):
            found.setdefault(int(row), f"label {chunk.labels[row]} is neither 0 nor 1")
    return dict(sorted(found.items()))


def good_candidates(path: str | Path, labelled: bool = True) -> tuple[Chunk, np.ndarray, dict[int, str]]:
    """Read a chunk: return its good candidates, their rows in the file (M,), and the `faults` of the others."""
    chunk = read_chunk(path, labelled)
    bad = faults(chunk)
    kept = np.setdiff1d(np.arange(len(chunk.stamps)), list(bad))
    return Chunk(chunk.stamps[kept], None if chunk.labels is None else chunk.labels[kept]), kept, bad


def scale_part(folder: Path, out: Path, rejected: RejectionLog) -> pd.DataFrame:
    """Write the scaled stamps of all good candidates of a part to a file, chunk by chunk.

    Parameters
    ----------
    folder : Path
        The part's chunks.
    out : Path
        ``.npy`` file to be made, (N, 21, 21, 4) float32.
    rejected : RejectionLog
        Gets the other candidates. They have no identifier; the source is ``<part>/<file> row <row>``.

    Returns
    -------
    pandas.DataFrame
        One row per good candidate: ``chunk`` (the file's name without its ending), ``row``, ``label`` and ``snr``
        (`measured_snr`).

    Raises
    ------
    InputError
        A chunk cannot be read, or there is no good candidate of one of the classes.
    """
    kept = []
    with NpyAppendArray(out) as file:
        for path in tqdm(chunk_files(folder), desc=str(folder), unit="chunk", disable=None):
            chunk, rows, bad = good_candidates(path)
            if len(rows):
                file.append(scaled(chunk.stamps))
            snr = measured_snr(chunk.stamps)
            table = {"chunk": path.stem, "row": rows, "label": chunk.labels.astype(int), "snr": snr}
            kept.append(pd.DataFrame(table))
            for row, reason in bad.items():
                rejected.add(Rejected(f"{path.parent.name}/{path.name} row {row}", "", reason))
    kept = pd.concat(kept, ignore_index=True)
    for label, kind in ((0, "artifact"), (1, "real source")):
        if not (kept["label"] == label).any():
            raise InputError(f"{folder}: no {kind} among the {len(kept)} good candidates")
    return kept


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of a part, as the networks take them.

    Attributes
    ----------
    stamps : array
        (N, 21, 21, 4) float32, memory-mapped; each stamp is `scaled`.
    table : pandas.DataFrame
        One row per candidate, with the columns of `scale_part`.
    """

    stamps: np.ndarray
    table: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """(N,), 1 for a real source and 0 for an artifact."""
        return self.table["label"].to_numpy()


def load(folder: str | Path, part: str) -> Candidates:
    """Open the candidates of a part (one of `PARTS`) that the stage supernovae-transform wrote to a folder."""
    folder = Path(folder)
    return Candidates(np.load(folder / f"{part}.npy", mmap_mode="r"), pd.read_csv(folder / f"{part}.csv"))


def footprints(truth: str | Path, part: str, candidates: pd.DataFrame) -> np.ndarray:
    """Read where the point source of each candidate is, from the truth of a simulated survey.

    Only the evaluation uses it.

    Parameters
    ----------
    truth : path
        Folder of ``<part>/<chunk>.npz`` with ``masks`` (N, 21, 21) bool.
    candidates : pandas.DataFrame
        M rows with ``chunk`` and ``row``.

    Returns
    -------
    array
        (M, 21, 21) bool; empty for artifacts.
    """
    masks = np.zeros((len(candidates), SIZE, SIZE), bool)
    for name, places in candidates.groupby("chunk").indices.items():
        with np.load(Path(truth) / part / f"{name}.npz") as file:
            masks[places] = file["masks"][candidates["row"].to_numpy()[places]]
    return masks


def _channel(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Return one channel as (N, 21, 21) float32."""
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} must be numbers, got {values.dtype}")
    if values.ndim < 2 or values.shape[1:] not in ((SIZE * SIZE,), (SIZE, SIZE)):
        raise InputError(f"{path}: {name} must be stamps of {SIZE} x {SIZE} pixels, (N, {SIZE**2}), got {values.shape}")
    with np.errstate(over="ignore"):  # a value that float32 cannot hold becomes infinite, a bad pixel
        return values.reshape(-1, SIZE, SIZE).astype(np.float32)
