"""Uploaded files become inputs of a network. All of this runs in another process: the bytes are not trusted.

A reader is a generator function ``(data, first, count, *settings)``. It yields the objects of the file from number
``first`` on, at most ``count``: a `Sample`, or an `Unusable` object. It raises `InputError` if the whole file cannot be
used.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skylight.alerts.archives import read_alerts
from skylight.alerts.packets import Alert
from skylight.alerts.triplets import triplet
from skylight.candidates.hits import good_candidates, measured_snr, scaled
from skylight.errors import InputError
from skylight.galaxies.images import read_image, shrink
from skylight.galaxies.metallicity import central_pixels
from skylight.light_curves.curve import BadLightCurve
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import FileFormat
from skylight.pictures import decode_picture
from skylight.rejected import Rejected

FORMATS = {
    "galaxy": ("JPEG", "PNG", "TIFF", "FITS"),
    "digit": ("JPEG", "PNG", "TIFF"),
    "alert": ("Avro packet of ZTF", "tar of packets"),
    "candidates": ("NPZ chunk of HiTS",),
    "light_curve": ("CSV",),
}
"""Kind of input -> the formats that its readers take, told apart by their content."""
MOST_ITEMS = 10_000  # of a file


@dataclass(frozen=True)
class Sample:
    """One object as a network sees it.

    Attributes
    ----------
    inputs : (H, W, C) float32
    picture : (H, W, 3) or (H, W, C) uint8
        What is drawn below a map: a colour picture, or one grey picture for each channel (``panels``).
    items : int
        Number of objects in the file.
    panels : bool
        Whether the channels are pictures of their own, drawn side by side.
    from_below : bool
        Whether the first row is the lowest one.
    about : dict
        What the reader knows about the object.
    """

    inputs: np.ndarray
    picture: np.ndarray
    items: int = 1
    panels: bool = False
    from_below: bool = False
    about: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Unusable:
    """An object that cannot be used, and the number of objects in its file."""

    reason: str
    items: int


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[Path]:
    """Yield the path of a file that exists in memory only; an `InputError` of the block loses the path."""
    number = os.memfd_create("upload")
    path = Path(f"/proc/self/fd/{number}")
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(data)
        yield path
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path}: ").replace(str(path), "the file")) from None
    finally:
        os.close(number)


def galaxy(data: bytes, first: int, count: int, crop: int, size: int) -> Iterator[Sample]:
    """Read a picture of a galaxy, as the networks of the bars see it."""
    only(first)
    with in_memory(data) as path:
        picture = shrink(read_image(path), crop, size)
    yield Sample(picture.astype(np.float32) / 255, picture)


def metal_galaxy(data: bytes, first: int, count: int, size: int, pixel_scale: float) -> Iterator[Sample]:
    """Read a picture of a galaxy, as the networks of the metallicity see it."""
    only(first)
    with in_memory(data) as path:
        picture = central_pixels(path, size, pixel_scale)
    yield Sample(picture.astype(np.float32) / 255, picture)


def digit(data: bytes, first: int, count: int, size: int) -> Iterator[Sample]:
    """Read a picture of a white digit on black, and reduce it to the pixels that the network sees."""
    only(first)
    picture = decode_picture(data, "picture").convert("L").resize((size, size))
    grey = np.asarray(picture)[..., None]
    yield Sample(grey.astype(np.float32) / 255, np.repeat(grey, 3, axis=-1))


def light_curve(
    data: bytes, first: int, count: int, file_format: FileFormat, dm_edges: list, dt_edges: list
) -> Iterator[Sample]:
    """Read a light curve, laid out as ``periodic.data`` says, and compute its dmdt image."""
    only(first)
    with in_memory(data) as path:
        try:
            curve = file_format.read(path)
        except BadLightCurve as reason:
            raise InputError(str(reason)) from None
    image = DmDt(dm_edges, dt_edges).images([curve])[0]
    about = {"points": len(curve), "dropped_rows": dict(curve.dropped)}
    grey = np.repeat(to_grey(np.sqrt(image)), 3, axis=-1)  # a few cells have most of the pairs
    yield Sample(image, grey, from_below=True, about=about)


def alerts(data: bytes, first: int, count: int) -> Iterator[Sample | Unusable]:
    """Read alerts of a packet, or of a tar of packets."""
    found, items = [], 0
    with in_memory(data) as path:
        for each in read_alerts([path]):
            if first <= items < first + count:
                found.append(each)
            items += 1
            if items > MOST_ITEMS:
                raise InputError(f"more than {MOST_ITEMS} alerts")
    check_item(first, items)
    for each in found:
        yield _alert(each, items)


def _alert(alert: Alert | Rejected, items: int) -> Sample | Unusable:
    if isinstance(alert, Rejected):
        return Unusable(alert.reason, items)
    try:
        pixels = triplet(alert)
    except ValueError as reason:
        return Unusable(str(reason), items)
    about = {"candid": str(alert.candid), "objectid": alert.objectid}
    return Sample(pixels, to_grey(pixels), items, panels=True, from_below=True, about=about)


def candidates(data: bytes, first: int, count: int) -> Iterator[Sample | Unusable]:
    """Read candidates of a chunk."""
    with in_memory(data) as path:
        chunk, rows, bad = good_candidates(path, labelled=False)
    items = len(rows) + len(bad)
    if items > MOST_ITEMS:
        raise InputError(f"more than {MOST_ITEMS} candidates")
    check_item(first, items)
    place = {int(row): index for index, row in enumerate(rows)}
    for row in range(first, min(first + count, items)):
        if row in bad:
            yield Unusable(f"row {row}: {bad[row]}", items)
            continue
        stamp = chunk.stamps[place[row]]
        pixels, snr = scaled(stamp), float(measured_snr(stamp[None])[0])
        yield Sample(pixels, to_grey(pixels), items, panels=True, from_below=True, about={"snr": snr})


def only(first: int) -> None:
    """Refuse any object but the first: these files hold one."""
    check_item(first, 1)


def check_item(first: int, items: int) -> None:
    """Refuse an object that is not there."""
    if first >= items:
        raise InputError(f"item: the file has {items} object(s), numbered from 0, so there is no object {first}")


def to_grey(channels: np.ndarray) -> np.ndarray:
    """Scale each channel of (H, W, C) from its 0.5th to its 99.5th percentile to 8 bits."""
    low, high = np.percentile(channels, [0.5, 99.5], axis=(0, 1))
    width = np.where(high > low, high - low, 1)
    return (255 * np.clip((channels - low) / width, 0, 1)).astype(np.uint8)
