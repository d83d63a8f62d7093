"""Files to try a network with: the first ones of the survey that its chapter reads."""

import heapq
import io
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel

from apps.service.models import Network
from skylight.errors import InputError
from skylight.galaxies.catalogue import TEST_IMAGES
from skylight.galaxies.metallicity import IMAGES
from skylight.params import Chapters
from skylight.params.light_curves import CrtsLayout, Data, FilesLayout

MOST = 3


class Example(BaseModel):
    """A file that a network takes."""

    name: str
    about: str


def patterns(settings: Chapters) -> dict[str, tuple[str, str]]:
    """Return where the files for a network are.

    Returns
    -------
    dict
        Name of a network, or the first part of it -> its survey and the pattern of the files in it.
    """
    periodic = settings.periodic
    light_curves = {"periodic": periodic.data} | {
        f"periodic-{survey}": data for survey, data in periodic.transfer.surveys.items()
    }
    return {name: (data.path, light_curve_files(data)) for name, data in light_curves.items()} | {
        "realbogus": (settings.realbogus.data.path, "*.avro"),
        "bars": (settings.bars.data.path, f"{TEST_IMAGES}/*.jpg"),
        "supernovae": (settings.supernovae.data.path, "test/*.npz"),
        "metallicity": (settings.metallicity.data.path, f"{IMAGES}/*.jpg"),
    }


def light_curve_files(data: Data) -> str:
    """Return the pattern of the files of a survey, one for each object; empty if it is a table of all objects."""
    if isinstance(data, CrtsLayout):
        return "indiv_lc/*/*.csv"
    return re.sub(r"\{\w+\}", "*", data.files) if isinstance(data, FilesLayout) else ""


@lru_cache(maxsize=64)
def files(folder: str, pattern: str) -> tuple[Path, ...]:
    """Return the first files of a pattern by their names, which mixes folders of classes."""
    found = Path(folder).glob(pattern) if pattern else ()
    return tuple(heapq.nsmallest(MOST, found, key=lambda path: (path.name, path)))


def of_network(network: Network, settings: Chapters) -> dict[str, tuple[Example, bytes | Path]]:
    """Return the examples of a network by name, with their contents or files."""
    if network.kind == "digit":
        return digits()
    known = patterns(settings)
    survey, pattern = known.get(network.name) or known.get(network.name.partition("-")[0]) or ("", "")
    kind = "simulated, " if "simulated" in Path(survey).parts else ""
    return {path.name: (Example(name=path.name, about=f"{kind}{path.name}"), path) for path in files(survey, pattern)}


def content(network: Network, settings: Chapters, name: str) -> bytes:
    """Return an example.

    Raises
    ------
    InputError
        There is no such example.
    """
    known = of_network(network, settings)
    if name not in known:
        raise InputError(f"example: must be one of {', '.join(known)}, got {name!r}")
    _, data = known[name]
    return data if isinstance(data, bytes) else data.read_bytes()


@lru_cache(maxsize=1)
def digits() -> dict[str, tuple[Example, bytes]]:
    """Return handwritten digits of scikit-learn as PNG."""
    from sklearn.datasets import load_digits

    made = {}
    for number, picture in enumerate(load_digits().images[:MOST]):
        file = io.BytesIO()
        Image.fromarray(np.rint(picture * 255 / 16).astype(np.uint8)).save(file, "PNG")
        made[f"{number}.png"] = Example(name=f"{number}.png", about=f"handwritten, {number}.png"), file.getvalue()
    return made
