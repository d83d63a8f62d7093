"""Every kind of picture file is read as people see it; hostile ones are refused in one line and little memory."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from skylight import pictures
from skylight.errors import InputError
from skylight.pictures import check_varies, decode_fits, decode_picture, read_file

RED_ABOVE = np.zeros((64, 64, 3), np.uint8)
RED_ABOVE[:21] = (255, 0, 0)
RED_ABOVE[21:] = (20, 40, 90)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """Return the file of a picture."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seen(data: bytes) -> np.ndarray:
    """Return what is seen of a file, as signed numbers."""
    picture = decode_picture(data, "file")
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, pixels: bytes, *others: bytes) -> bytes:
    """Return a PNG file, written literally."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(others) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def fits_file(*units) -> bytes:
    """Return a FITS file."""
    file = io.BytesIO()
    fits.HDUList(list(units)).writeto(file)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_from_its_whole_range(kind):
    grey = np.linspace(0, 65535, 4096).reshape(64, 64).astype(np.uint16)
    found = seen(encoded(Image.fromarray(grey), kind))
    assert (found == np.round(grey / 257)[..., None]).all()
    assert len(np.unique(found)) == 256 and found[0, 0, 0] == 0 and found[-1, -1, 0] == 255


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_16_bit_tiff_of_both_byte_orders_and_signs(order, white_is_zero):
    grey = np.arange(4096).reshape(64, 64) * 16
    tags = [
        (256, 64),
        (257, 64),
        (258, 16),
        (259, 1),
        (262, 0 if white_is_zero else 1),
        (273, 8),
        (278, 64),
        (279, 8192),
    ]
    pixels = grey.astype(f"{order}u2").tobytes()
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(pixels))
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    data = head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    if order == ">" and white_is_zero:  # Pillow has no decoder for it
        with pytest.raises(InputError, match="file: not a readable image"):
            seen(data)
    else:
        expected = np.round(grey / 257)
        assert (seen(data) == (255 - expected if white_is_zero else expected)[..., None]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits_is_scaled_from_its_whole_range(bits):
    levels = np.arange(64).reshape(8, 8) % 2**bits
    rows = [np.packbits((row[:, None] >> np.arange(bits)[::-1]) & 1) for row in levels]
    data = png(8, 8, bits, 0, b"".join(b"\0" + row.tobytes() for row in rows))
    assert (seen(data) == (levels * 255 // (2**bits - 1))[..., None]).all()


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("TIFF", {})])
def test_cmyk_shows_its_colours(kind, options):
    """A JPEG holds them inverted, after Adobe; a TIFF does not."""
    data = encoded(Image.fromarray(RED_ABOVE).convert("CMYK"), kind, **options)
    assert np.abs(seen(data) - RED_ABOVE)[np.r_[:15, 30:64]].max() <= 6


def test_a_palette_shows_its_colours():
    image = Image.fromarray(RED_ABOVE).convert("P", palette=Image.Palette.ADAPTIVE)
    assert (seen(encoded(image, "PNG")) == RED_ABOVE).all() and (seen(encoded(image, "TIFF")) == RED_ABOVE).all()


def test_transparent_pixels_lie_on_black():
    alpha = np.full((64, 64, 1), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 128
    expected = RED_ABOVE * (alpha / 255)
    for kind in ("PNG", "TIFF"):
        data = encoded(Image.fromarray(np.concatenate([RED_ABOVE, alpha], axis=2)), kind)
        assert np.abs(seen(data) - expected).max() <= 0.5
    grey = Image.fromarray(np.concatenate([RED_ABOVE[..., :1], alpha], axis=2), "LA")
    assert np.abs(seen(encoded(grey, "PNG")) - expected[..., :1]).max() <= 0.5
    palette = Image.fromarray(RED_ABOVE).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    red = palette.getpixel((0, 0))
    found = seen(encoded(palette, "PNG", transparency=red))
    assert (found[:21] == 0).all() and (found[21:] == RED_ABOVE[21:]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_orientation_of_exif_is_applied(kind, orientation):
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (4, 6)), np.ones((8, 8))).astype(np.uint8)
    turned = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.T,
        6: np.rot90(image, -1),
        7: image[::-1, ::-1].T,
        8: np.rot90(image),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 100} if kind == "JPEG" else {}
    found = seen(encoded(Image.fromarray(image), kind, exif=exif, **options))
    assert found.shape == (*turned.shape, 3) and np.abs(found - turned[..., None]).max() <= 2


def test_the_red_third_of_a_turned_photograph_is_on_the_right():
    exif = Image.Exif()
    exif[274] = 6
    found = seen(encoded(Image.fromarray(RED_ABOVE), "JPEG", exif=exif, quality=95))
    assert (found[:, 50:, 0] > 240).all() and (found[:, :35, 0] < 40).all()


def test_an_ordinary_picture_is_that_of_pillow():
    noise = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    for kind in ("JPEG", "PNG", "TIFF"):
        data = encoded(Image.fromarray(noise), kind)
        assert (seen(data) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_fixed_range_are_refused(dtype):
    data = encoded(Image.fromarray(np.arange(64, dtype=dtype).reshape(8, 8)), "TIFF")
    with pytest.raises(InputError, match=r"file: not a readable image \(32-bit or signed pixels"):
        decode_picture(data, "file")


@pytest.mark.parametrize("kind", ["EPS", "GIF", "BMP", "WEBP", "PPM", "ICO", "PDF", "JPEG2000"])
def test_other_formats_are_refused_whatever_their_name(kind, tmp_path):
    (tmp_path / "galaxy.jpg").write_bytes(encoded(Image.fromarray(RED_ABOVE), kind))
    with pytest.raises(InputError, match=r"galaxy\.jpg: not a readable image \(neither JPEG, PNG, TIFF nor FITS\)"):
        decode_picture(read_file(tmp_path / "galaxy.jpg"), tmp_path / "galaxy.jpg")


def test_a_picture_that_shows_nothing_is_refused():
    image = Image.new("RGB", (30, 30), (9, 9, 9))
    with pytest.raises(InputError, match="file: shows nothing, all its pixels are alike"):
        check_varies(image, "file")
    image.putpixel((3, 4), (9, 8, 9))
    check_varies(image, "file")


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", "GZIP_2"])
def test_fits_compressed_in_tiles_is_read(compression):
    values = np.arange(1024, dtype=np.int16).reshape(32, 32)
    unit = fits.CompImageHDU(values, compression_type=compression)
    found = decode_fits(fits_file(fits.PrimaryHDU(), unit), "file")
    assert found.dtype == float and np.array_equal(found, values[None, ::-1])


def test_fits_is_known_by_its_content(tmp_path):
    values = np.arange(4096, dtype=np.float32).reshape(64, 64)
    plain = fits_file(fits.PrimaryHDU(values))
    for name, data in (("plain.img", plain), ("plain.fits.gz", gzip.compress(plain)), ("plain.jpg", plain)):
        (tmp_path / name).write_bytes(data)
        read = read_file(tmp_path / name)
        assert pictures.is_fits(read) and np.array_equal(decode_fits(read, name), values[None, ::-1])
    (tmp_path / "jpeg.fits").write_bytes(encoded(Image.fromarray(RED_ABOVE), "JPEG"))
    assert not pictures.is_fits(read_file(tmp_path / "jpeg.fits"))


def test_the_first_fits_unit_with_an_image_is_read():
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(3))])
    image = np.random.default_rng(0).random((3, 5, 4))
    found = decode_fits(fits_file(fits.PrimaryHDU(), table, fits.ImageHDU(image[None])), "file")
    assert np.array_equal(found, image[:, ::-1])
    for units in ([fits.PrimaryHDU()], [fits.PrimaryHDU(np.arange(5.0))], [fits.PrimaryHDU(), table]):
        with pytest.raises(InputError, match="file: FITS file without an image"):
            decode_fits(fits_file(*units), "file")


def test_scaled_and_blank_values_are_those_of_the_header():
    unit = fits.PrimaryHDU(np.array([[1, 2], [3, -32768]], np.int16))
    unit.header.update({"BSCALE": 0.5, "BZERO": 100, "BLANK": -32768})
    found = decode_fits(fits_file(unit), "file")
    assert np.array_equal(found, [[[101.5, np.nan], [100.5, 101]]], equal_nan=True)


def claims(bitpix: int, *axes: int) -> bytes:
    """Return a FITS header without the values that it claims."""
    cards = [("SIMPLE", "T"), ("BITPIX", bitpix), ("NAXIS", len(axes))]
    cards += [(f"NAXIS{number}", length) for number, length in enumerate(axes, start=1)]
    lines = [f"{key:<8}= {value:>20}" for key, value in cards] + ["END"]
    return "".join(line.ljust(80) for line in lines).ljust(2880).encode()


def tile_bomb() -> bytes:
    """Return a small FITS file with a tile that unpacks to 200 MB."""
    unit = fits.CompImageHDU(np.zeros((2000, 2000), np.int32), compression_type="GZIP_1", tile_shape=(2000, 2000))
    data = fits_file(fits.PrimaryHDU(), unit)
    bomb = gzip.compress(bytes(200_000_000))
    with fits.open(io.BytesIO(data), disable_image_compression=True) as units:
        header = units[1].header.copy()
    header["PCOUNT"] = len(bomb)
    table = struct.pack(">II", len(bomb), 0) + bomb
    return data[:2880] + header.tostring().encode() + table.ljust(-(-len(table) // 2880) * 2880, b"\0")


def scan_bomb() -> bytes:
    """Return a JPEG of 5,000 scans of 4,096 x 4,096 pixels."""
    data = encoded(Image.new("L", (4096, 4096), 9), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 5000 + data[-2:]


BOMBS = {
    "bomb_30000.png": (lambda: png(30000, 30000, 8, 2, b""), "image of more than 37748736 pixels"),
    "claims_8000.png": (lambda: png(8000, 8000, 8, 2, b""), "image of 8000 x 8000, more than 37748736 pixels"),
    "text_bomb.png": (
        lambda: png(1, 1, 8, 0, b"\0\0", chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 3_000_000))),
        "not a readable image (Decompressed data too large",
    ),
    "claims_30000.fits": (lambda: claims(-64, 30000, 30000), "FITS image of 30000 x 30000, more than 16777216 values"),
    "claims_2_to_62.fits": (lambda: claims(8, 2**31, 2**31), "FITS image of 2147483648 x 2147483648, more than"),
    "axes.fits": (
        lambda: claims(8, 9, 9).replace(b"NAXIS   =                    2", b"NAXIS   =           4294967297"),
        "not a readable FITS image (a header with more than 999 axes or columns",
    ),
    "text_as_size.fits": (
        lambda: claims(8, 2**31 - 1, 9).replace(b"NAXIS2  =                    9", b"NAXIS2  =             'IMAGE '"),
        "not a readable FITS image (a header with a text in place of a size",
    ),
    "short.fits": (lambda: claims(-64, 4000, 4000), "not a readable FITS image"),
    "zeros.fits.gz": (lambda: gzip.compress(bytes(500_000_000)), "not a whole gzipped file (unpacks to more than"),
    "claims.fits.gz": (lambda: gzip.compress(claims(8, 9, 9) + bytes(10**8))[:-9], "not a whole gzipped file"),
    "tiles.fits.fz": (tile_bomb, "not a readable FITS image (unpacks to more than 134217728 bytes)"),
    "scans.jpg": (scan_bomb, "not a readable image (50"),
    "large.jpg": (None, "larger than 134217728 bytes"),
}
READ_ALL = """
import json, sys, time
from pathlib import Path
from skylight.errors import InputError
from skylight.pictures import decode_fits, decode_picture, is_fits, read_file
faults = {}
for path in map(Path, sys.argv[1:]):
    start = time.process_time()
    try:
        data = read_file(path)
        (decode_fits if is_fits(data) else decode_picture)(data, path.name)
    except InputError as error:
        faults[path.name] = str(error), time.process_time() - start
# ru_maxrss would be that of the process that started this one, where that is larger
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps([faults, int(peak.split()[1])]))
"""


@pytest.mark.slow
def test_bombs_are_refused_in_one_line_a_second_and_little_memory(tmp_path):
    for name, (make, _) in BOMBS.items():
        if make:
            (tmp_path / name).write_bytes(make())
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(2**40)
    paths = [str(tmp_path / name) for name in BOMBS]
    command = [sys.executable, "-W", "ignore", "-c", READ_ALL, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    faults, kilobytes = json.loads(done.stdout)
    assert done.stderr == "" and kilobytes < 600_000
    for name, (_, words) in BOMBS.items():
        message, seconds = faults[name]
        assert words in message and name in message and "\n" not in message and seconds < 2, message


@pytest.mark.slow
def test_the_largest_pictures_take_less_than_a_gibibyte(tmp_path):
    Image.new("RGBA", (6144, 6144), (1, 2, 3, 40)).save(tmp_path / "rgba.png", compress_level=1)
    Image.new("I;16", (6144, 6144), 1000).save(tmp_path / "grey.png", compress_level=1)
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress(claims(-64, 4095, 4095) + bytes(8 * 4095**2), 1))
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    command = [sys.executable, "-W", "ignore", "-c", READ_ALL, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    faults, kilobytes = json.loads(done.stdout)
    assert not faults and kilobytes < 2**20
