"""The pictures of a survey to the arrays that `skylight.galaxies.images.load` reads."""

import re
import warnings
from pathlib import Path

import joblib
import numpy as np
from npy_append_array import NpyAppendArray
from tqdm import tqdm

from skylight.errors import InputError
from skylight.galaxies.catalogue import (
    CATALOGUE_IMAGES,
    SOLUTIONS,
    TEST_IMAGES,
    TRAINING_IMAGES,
    read_catalogue,
    read_solutions,
)
from skylight.galaxies.images import read_image, shrink
from skylight.rejected import Rejected, RejectionLog


def write_part(survey: Path, part: str, crop: int, size: int, folder: Path, log: RejectionLog) -> int:
    """Decode the pictures of a part once, cut out their centres and shrink them.

    Memory does not grow with the number of pictures.

    Parameters
    ----------
    survey : Path
        The survey, in the layout of `skylight.galaxies.catalogue`.
    part : str
        One of `PARTS`.
    crop : int
        Rows and columns of the central part that is kept, of the 424 x 424 (published: all).
    size : int
        Rows and columns that it is reduced to (published: 224).
    folder : Path
        Where ``<part>.npy``, (N, size, size, 3) uint8, and ``<part>_ids.npy``, (N,) int64, are written.
    log : RejectionLog
        Gets the pictures that are missing, unreadable, or in no table.

    Returns
    -------
    int
        Number of pictures, good or bad.
    """
    with warnings.catch_warnings():  # what decoders say about damaged files; the log has it in one line
        warnings.simplefilter("ignore")
        return _write_part(survey, part, crop, size, folder, log)


def _write_part(survey: Path, part: str, crop: int, size: int, folder: Path, log: RejectionLog) -> int:
    paths, unusable = _find_pictures(survey, part)
    for rejected in unusable:
        log.add(rejected)
    decoded = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        joblib.delayed(_small_image)(path, crop, size) for path in paths.values()
    )
    kept = []
    with NpyAppendArray(folder / f"{part}.npy") as images:
        images.append(np.empty((0, size, size, 3), np.uint8))  # a part may be empty
        progress = tqdm(paths.items(), desc=f"{part} pictures", unit="picture", disable=None)
        for (galaxy, path), image in zip(progress, decoded, strict=True):
            if isinstance(image, str):
                log.add(Rejected(str(path.relative_to(survey)), str(galaxy), image))
            else:
                images.append(image[None])
                kept.append(galaxy)
    np.save(folder / f"{part}_ids.npy", np.array(kept, dtype=np.int64))
    return len(paths) + len(unusable)


def _find_pictures(survey: Path, part: str) -> tuple[dict[int, Path], list[Rejected]]:
    """Return the path of each picture of a part by its id, and the files that belong to no galaxy."""
    if part == "catalogue":
        ids = read_catalogue(survey)["asset_id"]
        return {int(asset): survey / CATALOGUE_IMAGES / f"{asset}.jpg" for asset in ids}, []
    folder = survey / (TRAINING_IMAGES if part == "training" else TEST_IMAGES)
    files = {path.stem: path for path in sorted(folder.glob("*.jpg"))}
    if part == "training":
        ids = read_solutions(survey / SOLUTIONS)["GalaxyID"]
        extra, reason = set(files) - set(ids.astype(str)), f"not in {SOLUTIONS}"
        paths = {int(galaxy): folder / f"{galaxy}.jpg" for galaxy in ids}
    else:
        extra, reason = {name for name in files if not _is_id(name)}, "its name is not a GalaxyID"
        paths = {int(name): path for name, path in files.items() if name not in extra}
    return paths, [_rejected(files[name].relative_to(survey), name, reason) for name in sorted(extra)]


def _is_id(name: str) -> bool:
    """Whether a name is a whole number as the survey writes it, so that no two names are the same number."""
    return re.fullmatch("0|[1-9][0-9]{0,18}", name) is not None and int(name) <= np.iinfo(np.int64).max


def _rejected(path: Path, name: str, reason: str) -> Rejected:
    """Return a picture for the log; names that are not UTF-8 are escaped."""
    return Rejected(*(str(text).encode(errors="backslashreplace").decode() for text in (path, name, reason)))


def _small_image(path: Path, crop: int, size: int) -> np.ndarray | str:
    try:
        return shrink(read_image(path), crop, size)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
