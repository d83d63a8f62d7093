"""Mutated and hostile pictures: each is read, or refused in one line, in little time and memory.

``SKYLIGHT_FUZZ_EXAMPLES`` sets the number of inputs per test, 200 by default.
"""

import gzip
import io
import os
import re
import struct
import time
import warnings
import zlib

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from skylight.errors import InputError
from skylight.galaxies.images import read_image
from tests.memory import forget_peak, peak

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("SKYLIGHT_FUZZ_EXAMPLES", "200"))
SECONDS, KILOBYTES = 5, 2**20
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

LIGHT = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
PIECES = [
    b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80",
    b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc2", b"Exif\0\0", b"MM\0*", b"II*\0", b"\x1f\x8b",
    b"SIMPLE =", b"END" + b" " * 77, b"%!PS-Adobe", b"IDAT", b"IEND", b"\0" * 2880, b" " * 2880,
]  # fmt: skip


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def fits_file(*units) -> bytes:
    file = io.BytesIO()
    fits.HDUList(list(units)).writeto(file)
    return file.getvalue()


def good_pictures() -> list[bytes]:
    """Return a file of every kind that is read."""
    rgb = Image.fromarray(LIGHT)
    grey, palette, cmyk = rgb.convert("L"), rgb.convert("P"), rgb.convert("CMYK")
    rgba = Image.fromarray(np.concatenate([LIGHT, LIGHT[..., :1]], axis=2))
    grey16 = Image.fromarray(LIGHT[..., 0] * np.uint16(257))
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[274], exif[270] = 6, "a galaxy"
    text.add_text("Comment", "a galaxy", zip=True)
    pictures = [encoded(image, "JPEG", exif=exif, progressive=True) for image in (rgb, grey, cmyk)]
    pictures += [encoded(rgb, "JPEG", dpi=(72, 72), comment=b"a galaxy")]
    pictures += [
        encoded(image, "PNG", exif=exif, pnginfo=text)
        for image in (rgb, grey, palette, rgba, grey16, grey.convert("1"))
    ]
    pictures += [encoded(palette, "PNG", transparency=3), encoded(rgb, "PNG", save_all=True, append_images=[rgb])]
    pictures += [encoded(image, "TIFF", exif=exif) for image in (rgb, grey, palette, cmyk, rgba, grey16)]
    pictures += [encoded(rgb, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    pictures += [encoded(grey.convert("1"), "TIFF", compression="group4")]
    return pictures


def good_fits() -> list[bytes]:
    """Return FITS files of every kind that is read."""
    plane = LIGHT[..., 0].astype(np.float32)
    scaled = fits.PrimaryHDU(plane.astype(np.int16))
    scaled.header.update({"BSCALE": 0.5, "BZERO": 100.0, "BLANK": 7})
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(3))])
    files = [
        fits_file(fits.PrimaryHDU(plane)),
        fits_file(fits.PrimaryHDU(np.stack([plane] * 3).astype(float))),
        fits_file(scaled),
        fits_file(fits.PrimaryHDU(), table, fits.ImageHDU(plane)),
    ]
    for values in (plane, plane.astype(np.int16)):
        for compression in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"):
            files.append(fits_file(fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type=compression)))
    return files


PICTURES, FITS = good_pictures(), good_fits()


@st.composite
def mutations(draw, good: list[bytes]) -> bytes:
    """A good file with up to six pieces replaced, put in, cut out or repeated."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 6))):
        head = draw(st.booleans())  # where most of the fields are
        start = draw(st.integers(0, min(len(data), 400) if head else len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["piece", "bytes", "insert", "cut", "end", "repeat"]))
        if kind == "piece":
            piece = draw(st.sampled_from(PIECES))
            data[start : start + len(piece)] = piece
        elif kind == "bytes":
            data[start:end] = draw(st.binary(min_size=end - start, max_size=end - start))
        elif kind == "insert":
            data[start:start] = draw(st.one_of(st.binary(max_size=9), st.sampled_from(PIECES)))
        elif kind == "repeat":
            data[start:end] = bytes(data[start:end]) * draw(st.integers(0, 300))
        else:
            del data[start : end if kind == "cut" else len(data)]
    return bytes(data)


def with_right_sums(data: bytes) -> bytes:
    """Return a PNG file whose chunks have the checksums of what they hold, so that mutations come through."""
    done, at = data[:8], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        done += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return done


CARDS = [
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND", "BSCALE", "BZERO", "BLANK",
    "XTENSION", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM1", "TTYPE1", "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS",
    "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZNAME1", "ZVAL1", "ZQUANTIZ", "ZDITHER0", "ZBLANK", "THEAP",
    "GROUPS", "END",
]  # fmt: skip
VALUES = [
    "0", "1", "2", "-1", "3", "8", "24", "-64", "99", "30000", "2147483647", "4294967297", "9" * 20, "1E400",
    "NaN", "T", "F", "''", "'IMAGE '", "'BINTABLE'", "'RICE_1 '", "'GZIP_1 '", "'GZIP_2 '", "'PLIO_1 '",
    "'HCOMPRESS_1'", "'NOCOMPRESS'", "'1PB(999999999)'", "'1QB(9)'", "'SUBTRACTIVE_DITHER_2'", "'unclosed",
    "(1,2)", "",
]  # fmt: skip


@st.composite
def hostile_cards(draw) -> bytes:
    """A good FITS file with hostile values of up to four keys."""
    data = draw(st.sampled_from(FITS))
    for _ in range(draw(st.integers(1, 4))):
        key, value = draw(st.sampled_from(CARDS)).encode(), draw(st.sampled_from(VALUES)).encode()
        places = [found.start() for found in re.finditer(rb"%-8s=" % key, data)]
        if places:
            at = draw(st.sampled_from(places))
            data = data[:at] + b"%-8s= %20s" % (key, value) + data[at + 30 :]
    return data


def check(data: bytes, path) -> None:
    """Read a file; the answer is a picture or one line."""
    path.write_bytes(data)
    start, before = time.process_time(), forget_peak()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = read_image(path)
        assert picture.mode == "RGB" and picture.width == picture.height > 0
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 1
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and len(str(error)) < len(str(path)) + 400
    assert time.process_time() - start < SECONDS
    assert peak() - before < KILOBYTES


@pytest.mark.parametrize("good", [*PICTURES, *FITS[:-5], *FITS[-4:-1]], ids=lambda data: str(len(data)))
def test_the_good_files_are_read(good, tmp_path):
    (tmp_path / "file").write_bytes(good)
    assert read_image(tmp_path / "file").size == (24, 24)


@pytest.mark.slow
def test_mutated_pictures(tmp_path, capfd):
    @fuzz
    @given(mutations(PICTURES), st.booleans())
    def mutated(data, checked):
        check(with_right_sums(data) if checked and data.startswith(b"\x89PNG") else data, tmp_path / "a.jpg")

    mutated()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_mutated_fits(tmp_path, capfd):
    @fuzz
    @given(mutations(FITS), st.booleans())
    def mutated(data, zipped):
        check(gzip.compress(data, 1) if zipped else data, tmp_path / "a.fits")

    mutated()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_hostile_fits_cards(tmp_path, capfd):
    @fuzz
    @given(hostile_cards())
    def hostile(data):
        check(data, tmp_path / "a.fits")

    hostile()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_any_bytes_after_a_known_beginning(tmp_path, capfd):
    starts = [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"MM\0*",
        b"II+\0",
        b"MM\0+",
        b"SIMPLE  =",
        b"\x1f\x8b",
        b"",
    ]

    @fuzz
    @given(st.sampled_from(starts), st.binary(max_size=400))
    def any_bytes(start, rest):
        check(start + rest, tmp_path / "a.png")

    any_bytes()
    assert capfd.readouterr() == ("", "")
