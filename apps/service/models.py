"""The networks that the service knows: for each its input, its weights, its classes, and how it is loaded.

A chapter of the repository is one function here. A user's own weights are entries of ``models.yaml`` in the folder
``SKYLIGHT_MODELS``.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from apps.service import inputs
from skylight.alerts import triplets
from skylight.errors import InputError
from skylight.files import check_file
from skylight.galaxies import catalogue, questions
from skylight.galaxies import metallicity as metallicities
from skylight.light_curves.reading import file_format
from skylight.params import Chapters

if TYPE_CHECKING:
    import keras

OWN = "models.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
OUT = Path("out")


@dataclass(frozen=True)
class Network:
    """A network, or several networks of one kind whose outputs and maps are averaged.

    Attributes
    ----------
    name : str
    about : str
        What it tells, in one sentence.
    kind : str
        Kind of input, a key of `inputs.FORMATS`.
    read : tuple
        A reader of `inputs`, and its settings.
    load : callable
        ``load(path)`` returns the keras.Model with these weights.
    weights : tuple of Path
        One file or folder for each member.
    made_by : str
        The command that makes the weights.
    classes : tuple of str
        Names of the outputs. A single name: the network predicts this quantity.
    exclusive : bool
        Whether the probabilities of the classes sum to 1.
    target : str or None
        The class that is explained if none is asked for; None: the predicted one.
    method : str
        The explanation that is made if none is asked for.
    background : Path or None
        Inputs that SHAP compares with.
    black : float or tuple of float
        The value of a pixel without light, or one for each channel.
    rule : str
        Of LRP.
    """

    name: str
    about: str
    kind: str
    read: tuple
    load: Callable[[Path], "keras.Model"]
    weights: tuple[Path, ...]
    made_by: str
    classes: tuple[str, ...]
    exclusive: bool = True
    target: str | None = None
    method: str = "integrated_gradients"
    background: Path | None = None
    black: float | tuple[float, ...] = 0.0
    rule: str = "epsilon"

    def missing(self) -> str | None:
        """Return what is not there, and the command that makes it; None if all weights are there."""
        absent = next((path for path in self.weights if not path.exists()), None)
        return f"{absent}: no such weights; `{self.made_by}` makes them" if absent else None

    def version(self) -> str:
        """Return the hash that DVC knows the weights by; of several members, the hash of their hashes.

        Raises
        ------
        InputError
            Weights are missing.
        """
        if missing := self.missing():
            raise InputError(missing)
        hashes = [_hash(path) for path in self.weights]
        return hashes[0] if len(hashes) == 1 else hashlib.md5("".join(hashes).encode()).hexdigest()


def periodic(settings: Chapters) -> Iterator[Network]:
    """Yield the network of periodic variables, and its copies that were fine-tuned on other surveys."""
    section = settings.periodic
    grid = section.dmdt
    shape = (len(grid.dm_edges) - 1, len(grid.dt_edges) - 1, 1)

    def load(path: Path) -> "keras.Model":
        from skylight.networks.periodic_cnn import load_periodic_cnn

        return load_periodic_cnn(path, len(section.classes), shape)

    made = Network(
        name="periodic",
        about="Class of a periodic variable star, from its light curve",
        kind="light_curve",
        read=(inputs.light_curve, file_format(section.data), grid.dm_edges, grid.dt_edges),
        load=load,
        weights=(OUT / "periodic/networks/cnn.weights.h5",),
        made_by="dvc repro periodic-train",
        classes=tuple(section.classes),
        method="deep_shap",
        background=OUT / "periodic/heatmaps/background.npy",
    )
    yield made
    for survey, data in section.transfer.surveys.items():
        yield replace(
            made,
            name=f"periodic-{survey}",
            about=f"{made.about}; fine-tuned on {survey.upper()}",
            read=(inputs.light_curve, file_format(data), grid.dm_edges, grid.dt_edges),
            weights=(OUT / f"periodic/transfer/{survey}/cnn.weights.h5",),
            made_by=f"dvc repro periodic-transfer@{survey}",
        )


def realbogus(settings: Chapters) -> Iterator[Network]:
    """Yield the real-bogus network."""

    def load(path: Path) -> "keras.Model":
        from skylight.networks.vgg6 import load_vgg6

        return load_vgg6(path)

    yield Network(
        name="realbogus",
        about="Whether an alert of ZTF is real, from its three cutouts",
        kind="alert",
        read=(inputs.alerts,),
        load=load,
        weights=(OUT / "realbogus/networks/vgg6.weights.h5",),
        made_by="dvc repro realbogus-train",
        classes=tuple(triplets.CLASSES),
        method="deep_shap",
        background=OUT / "realbogus/heatmaps/background.npy",
    )


def bars(settings: Chapters) -> Iterator[Network]:
    """Yield the networks that answer the questions of Galaxy Zoo, and the control, which predicts a length."""
    section = settings.bars
    size = section.transform.size

    def answers(name: str) -> Callable[[Path], "keras.Model"]:
        def load(path: Path) -> "keras.Model":
            from skylight.networks.galaxy_zoo import load_galaxy_zoo

            return load_galaxy_zoo(path, name, size, section.network(name).width, section.network(name).min_filters)

        return load

    def length(path: Path) -> "keras.Model":
        from skylight.networks.galaxy_zoo import galaxy_zoo
        from skylight.networks.weights import load_h5_weights

        options = {"width": section.control.width, "min_filters": section.control.min_filters}
        model = galaxy_zoo("xception", (size, size, 3), 1, **options)
        load_h5_weights(model, path, "the control of the bars")
        return model

    picture = {"kind": "galaxy", "read": (inputs.galaxy, section.transform.crop, size), "method": "smoothgrad"}
    for name in section.networks:
        yield Network(
            name=f"bars-{name}",
            about="Fractions of the Galaxy Zoo volunteers who give each answer about a galaxy",
            load=answers(name),
            weights=(OUT / f"bars/networks/{name}.weights.h5",),
            made_by=f"dvc repro bars-train@{name}",
            classes=tuple(questions.ANSWERS),
            exclusive=False,
            target=questions.BAR,
            **picture,
        )
    yield Network(
        name="bars-control",
        about="Length of the bar of a galaxy",
        load=length,
        weights=(OUT / "bars/networks/control.weights.h5",),
        made_by="dvc repro bars-control",
        classes=(f"length in units of {catalogue.LENGTH_UNIT:g} PETROR90_R",),
        **picture,
    )


def supernovae(settings: Chapters) -> Iterator[Network]:
    """Yield the networks of supernova candidates, and those of the digits."""
    section = settings.supernovae

    def loader(options: dict) -> Callable[[Path], "keras.Model"]:
        def load(path: Path) -> "keras.Model":
            from skylight.networks.deep_hits import load_deep_hits

            return load_deep_hits(path, **options)

        return load

    for name, members in section.members.items():
        yield Network(
            name=f"supernovae-{name.replace('_', '-')}",
            about="Whether a supernova candidate of HiTS is a real source, from its four stamps",
            kind="candidates",
            read=(inputs.candidates,),
            load=loader(section.network_options[name]),
            weights=tuple(OUT / "supernovae/networks" / member for member in members),
            made_by="dvc repro supernovae-train",
            classes=("artifact", "real source"),
            method="lrp",
            rule=section.heatmaps.rule,
        )
    size = 8 if section.digits.mnist is None else 28

    def digits_loader(kind: str) -> Callable[[Path], "keras.Model"]:
        def load(path: Path) -> "keras.Model":
            from skylight.networks.digits import digits_network
            from skylight.networks.weights import load_npy_weights

            model = digits_network(kind, (size, size, 1))
            load_npy_weights(model, path)
            return model

        return load

    for kind in ("mlp", "cnn"):
        yield Network(
            name=f"supernovae-digits-{kind}",
            about="Which digit a picture shows: white on black",
            kind="digit",
            read=(inputs.digit, size),
            load=digits_loader(kind),
            weights=(OUT / f"supernovae/digits/{kind}",),
            made_by="dvc repro supernovae-digits",
            classes=tuple("0123456789"),
            method="lrp",
        )


def metallicity(settings: Chapters) -> Iterator[Network]:
    """Yield the networks of the metallicity."""
    section = settings.metallicity
    size, width = section.transform.size, section.network.width

    def loader(outputs: int) -> Callable[[Path], "keras.Model"]:
        def load(path: Path) -> "keras.Model":
            from skylight.networks.metallicity_cnn import load_metallicity_cnn

            return load_metallicity_cnn(path, size, outputs, width)

        return load

    made = Network(
        name="metallicity",
        about="Whether the gas of a galaxy is metal-poor (12 + log(O/H) up to 8.7) or metal-rich (more than 9.1)",
        kind="galaxy",
        read=(inputs.metal_galaxy, size, section.data.pixel_scale),
        load=loader(len(metallicities.ANSWERS)),
        weights=(OUT / "metallicity/networks/classifier.weights.h5",),
        made_by="dvc repro metallicity-train",
        classes=metallicities.ANSWERS,
        method="hirescam",
    )
    yield made
    yield replace(
        made,
        name="metallicity-regression",
        about="12 + log(O/H) of the gas of a galaxy",
        load=loader(1),
        weights=(OUT / "metallicity/networks/regression.weights.h5",),
        made_by="dvc repro metallicity-regress",
        classes=("12 + log(O/H)",),
        method="integrated_gradients",
    )


CHAPTERS = (periodic, realbogus, bars, supernovae, metallicity)


def registry(settings: Chapters, folder: Path | None = None) -> dict[str, Network]:
    """Return all networks by name: those of the repository, and a user's own of ``folder``.

    Raises
    ------
    InputError
        The parameters of a chapter, or the entries of the user, are wrong.
    """
    known = {network.name: network for chapter in CHAPTERS for network in chapter(settings)}
    return known | (own(folder, known) if folder else {})


def own(folder: Path, known: dict[str, Network]) -> dict[str, Network]:
    """Return the networks of ``models.yaml`` in a folder.

    An entry is ``name: {like: <a network of the repository>, weights: <file in the folder>}``, and may have ``classes``
    and ``about``.

    Raises
    ------
    InputError
        An entry is wrong; the message names it.
    """
    path = folder / OWN
    check_file(path, missing=f"no such file; SKYLIGHT_MODELS needs {OWN}", most=2**20)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: must have one entry per network, name: {{like, weights}}")
    found = {}
    for name, entry in entries.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(f"{path}: {name!r} is no name of letters, digits, _, . and -")
        if not isinstance(entry, dict) or not {"like", "weights"} <= set(entry) <= {
            "like",
            "weights",
            "classes",
            "about",
        }:
            raise InputError(f"{path}: {name}: must have like and weights, and may have classes and about")
        if entry["like"] not in known:
            raise InputError(f"{path}: {name}: like must be one of {', '.join(known)}, got {entry['like']!r}")
        like, weights = known[entry["like"]], entry["weights"]
        members = tuple(folder / str(each) for each in (weights if isinstance(weights, list) else [weights]))
        classes = tuple(map(str, entry.get("classes", like.classes)))
        if len(classes) != len(like.classes):
            raise InputError(f"{path}: {name}: classes must be {len(like.classes)} names, got {len(classes)}")
        about = str(entry.get("about", like.about))
        found[name] = replace(
            like, name=name, weights=members, classes=classes, about=about, made_by=f"a training of {name}"
        )
    return found


def _hash(path: Path) -> str:
    if not path.is_dir():
        return _file_hash(path, path.stat().st_mtime_ns)
    members = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listed = [{"md5": _file_hash(path / name, (path / name).stat().st_mtime_ns), "relpath": name} for name in members]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"


@lru_cache(maxsize=1024)
def _file_hash(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
