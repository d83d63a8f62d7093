"""Picture files of any room: JPEG, PNG, TIFF and FITS, told apart by their content, whatever their names.

One rule holds for all readers: a picture is what people see in a viewer, as 8-bit RGB.

- 16-bit grey is scaled from its whole range, 12-bit TIFF likewise; grey becomes three equal channels.
- Palettes and CMYK (JPEG: inverted, as Adobe and all browsers take it) become RGB.
- Transparent pixels lie on black, the colour of the empty sky.
- The orientation of the EXIF data is applied.
- A file of several pictures gives the first one.

A file is distrusted: its sizes are checked before memory is asked for, so that reading takes less than 1 GiB. Any error
of a decoder becomes an `InputError` of one line. Their warnings are left to the caller.
"""

import contextlib
import gzip
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from skylight.errors import InputError
from skylight.files import check_file, check_fits_counts, decoding

MAX_BYTES = 2**27
"""Largest file, and largest content of a gzipped file."""
MAX_PIXELS = 6144**2
"""Largest picture, 6,144 x 6,144. Reading one takes 0.6 GB."""
MAX_VALUES = 2**24
"""Largest FITS image, 4,096 x 4,096; every plane counts. Each value takes 8 bytes here."""
MAX_SCANNED = 2**31
"""Most pixels of all scans of a JPEG. Encoders write about ten scans; thousands would take minutes to decode."""

_DECODERS = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile.format,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile.format,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile.format),
}
"""First bytes of a file -> the decoder of Pillow that gets it. Asked for any format, Pillow runs Ghostscript on EPS."""
_TILES = ("RICE_1", "GZIP_1", "GZIP_2")
"""Compressions of FITS tiles whose size can be checked beforehand; ``fpack`` uses the first."""

_STDERR = threading.Lock()


def read_file(path: Path) -> bytes:
    """Return the content of a file, unpacked if it is gzipped.

    Raises
    ------
    InputError
        There is no file, or a folder, pipe or device in its place; it cannot be read, or is larger than `MAX_BYTES`.
    """
    size = check_file(path, missing="no such image")
    if size > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES} bytes")
    with decoding(path, "not a readable image"), path.open("rb") as file:
        data = file.read(size)
    if not data.startswith(b"\x1f\x8b"):
        return data
    with decoding(path, "not a whole gzipped file"):
        return _unpack(data)


def is_fits(data: bytes) -> bool:
    """Whether a file is FITS."""
    return data.startswith(b"SIMPLE  =")


def decode_picture(data: bytes, name: object) -> Image.Image:
    """Return the picture of a JPEG, PNG or TIFF file as people see it.

    Parameters
    ----------
    data : bytes
        The file.
    name : object
        Its name, for the messages.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    InputError
        The file is damaged or of another format, has more than `MAX_PIXELS`, or pixels without a fixed range
        (floats, 32-bit integers).
    """
    decoder = next((decoder for start, decoder in _DECODERS.items() if data.startswith(start)), None)
    if decoder is None:
        raise InputError(f"{name}: not a readable image (neither JPEG, PNG, TIFF nor FITS)")
    with decoding(name, "not a readable image"):
        try:
            image = Image.open(io.BytesIO(data), formats=[decoder])
        except Image.DecompressionBombError:
            raise InputError(f"{name}: image of more than {MAX_PIXELS} pixels") from None
        if image.width * image.height > MAX_PIXELS:
            raise InputError(f"{name}: image of {image.width} x {image.height}, more than {MAX_PIXELS} pixels")
        if decoder == "JPEG":
            _check_scans(data, image)
        with _quiet() if decoder == "TIFF" else contextlib.nullcontext():
            image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _as_rgb(image)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Turn aside stderr, where libtiff writes what is wrong with a file; the error of Pillow says it once more."""
    with _STDERR:
        stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nowhere)


def _check_scans(data: bytes, image: Image.Image) -> None:
    """Check the work that a JPEG needs; `ValueError` if it is too much."""
    pixels, shortest = image.width * image.height, 10
    if pixels * (len(data) // shortest) <= MAX_SCANNED:  # as for nearly all files, which need not be searched
        return
    scans = data.count(b"\xff\xda")  # in the pixels' own bytes, a zero follows each 0xff
    if pixels * scans > MAX_SCANNED:
        raise ValueError(f"{scans} scans of {image.width} x {image.height} pixels")


def check_varies(image: Image.Image, name: object) -> None:
    """Check that a picture shows anything; `InputError` if all its pixels are alike."""
    corner, centre = (0, 0), (image.width // 2, image.height // 2)
    if image.getpixel(corner) != image.getpixel(centre):  # almost always, so that the others need not be searched
        return
    if all(low == high for low, high in image.getextrema()):
        raise InputError(f"{name}: shows nothing, all its pixels are alike")


def decode_fits(data: bytes, name: object) -> np.ndarray:
    """Return the first image of a FITS file, which may be compressed in tiles (``.fits.fz``).

    Parameters
    ----------
    data : bytes
        The file.
    name : object
        Its name, for the messages.

    Returns
    -------
    np.ndarray, shape (planes, height, width), float64
        The first row is the upper one (in the file it is the last). Values that are missing are NaN.

    Raises
    ------
    InputError
        The file is damaged, has no image, or one of more than three axes or `MAX_VALUES`.
    """
    with decoding(name, "not a readable FITS image"):
        check_fits_counts(data)
    with decoding(name, "not a readable FITS image"), fits.open(io.BytesIO(data), memmap=False) as units:
        number, unit = next(((n, unit) for n, unit in enumerate(units) if _is_image(unit)), (0, None))
        if unit is None:
            raise InputError(f"{name}: FITS file without an image")
        shape = unit.shape
        if np.prod(shape, dtype=object) > MAX_VALUES:
            raise InputError(f"{name}: FITS image of {' x '.join(map(str, shape))}, more than {MAX_VALUES} values")
        if isinstance(unit, fits.CompImageHDU):
            _check_tiles(data, number, unit)
        values = np.asarray(unit.data, dtype=float)
        if values.shape != shape:
            raise ValueError("other values than its header says")
    while values.ndim > 3 and len(values) == 1:
        values = values[0]
    if values.ndim > 3:
        raise InputError(f"{name}: FITS image of {values.ndim} axes")
    return values.reshape(-1, *values.shape[-2:])[:, ::-1]


def _is_image(unit) -> bool:
    kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
    return isinstance(unit, kinds) and not isinstance(unit, fits.GroupsHDU) and len(unit.shape) > 1 and all(unit.shape)


def _check_tiles(data: bytes, number: int, unit: fits.CompImageHDU) -> None:
    """Check the sizes of tiles, which astropy unpacks whatever they become."""
    if unit.compression_type not in _TILES:
        raise ValueError(f"compressed with {unit.compression_type}, can be one of {', '.join(_TILES)}")
    if np.prod(unit.tile_shape, dtype=object) > MAX_VALUES:
        raise ValueError(f"tiles of {' x '.join(map(str, unit.tile_shape))} pixels")
    zipped = ["GZIP_COMPRESSED_DATA"] if unit.compression_type == "RICE_1" else ["COMPRESSED_DATA"]
    with fits.open(io.BytesIO(data), memmap=False, disable_image_compression=True) as units:
        table = units[number].data
        for column in set(zipped) & set(table.names):
            for tile in table[column]:
                if len(tile):
                    _unpack(np.asarray(tile).tobytes())


def _unpack(data: bytes) -> bytes:
    """Unpack gzip, no further than the limit; errors of any type."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        unpacked = file.read(MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise ValueError(f"unpacks to more than {MAX_BYTES} bytes")
    return unpacked


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32-bit or signed pixels; without a fixed range, nobody knows what is black and white")
    if image.has_transparency_data:
        layer, image = image.convert("RGBA"), Image.new("RGB", image.size)
        image.paste(layer, mask=layer.getchannel("A"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Scale grey of 16 bits, or 12 in a TIFF file, to 8."""
    tags = getattr(image, "tag_v2", {})
    (bits,) = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))
    white = 2**bits - 1
    values = ((np.asarray(image).astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0  # Pillow inverts 8 bits only
    return 255 - values if inverted else values
