"""Only plain files are opened; what a decoder says fits in a line."""

import os

import pytest

from skylight.errors import InputError
from skylight.files import check_file, decoding


def test_a_plain_file_has_a_size(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert check_file(tmp_path / "file") == check_file(tmp_path / "link") == 5


def test_anything_else_is_refused_before_it_is_opened(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "broken").symlink_to("absent")
    names = {
        "folder": "is a folder",
        "pipe": "is a pipe or device",
        "loop": "Too many levels of symbolic links",
        "broken": "no such file",
        "absent": "no such file",
        "n" * 300: "File name too long",
        "a\0b": "embedded null",
        "folder/../pipe/x": "Not a directory",
    }
    for name, words in names.items():
        with pytest.raises(InputError, match=words) as error:
            check_file(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: ")
    with pytest.raises(InputError, match=r"/dev/null: is a pipe or device"):
        check_file(type(tmp_path)("/dev/null"))


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (SyntaxError("bad \x1b[31m byte"), "bad ?[31m byte"),
        (MemoryError("m" * 1000), "m" * 200),
    ],
)
def test_any_error_of_a_decoder_becomes_one_line(error, shown):
    with pytest.raises(InputError) as raised, decoding("a.png", "not a readable image"):
        raise error
    assert str(raised.value) == f"a.png: not a readable image ({shown})" and raised.value.__cause__ is error


def test_an_input_error_passes_unchanged():
    with pytest.raises(InputError, match=r"^as it is$"), decoding("a.png", "not a readable image"):
        raise InputError("as it is")
