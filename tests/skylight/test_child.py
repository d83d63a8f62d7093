"""A decoder that crashes, hangs or asks for too much memory ends its own process only."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator

import pytest

from skylight.child import Child, Crashed, here
from skylight.errors import InputError


def squares(count: int, fault: Exception | None = None) -> Iterator[int]:
    yield from (number**2 for number in range(count))
    if fault:
        raise fault


def segfault() -> Iterator[int]:
    yield 1
    ctypes.string_at(0)


def exit_in_c() -> Iterator[int]:
    yield os._exit(3)


def claim(size: int) -> Iterator[int]:
    yield len(bytearray(size))


def sleep(seconds: float) -> Iterator[float]:
    time.sleep(seconds)
    yield seconds


class NotPickled(ValueError):
    def __init__(self, key: str, reason: str):
        super().__init__(reason)


def picky() -> Iterator[int]:
    yield 0
    raise NotPickled("key", "a byte")


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(__name__, memory=2**27, seconds=1) as child:
        yield child


@pytest.mark.parametrize("local", [False, True])
def test_results_and_errors_are_those_of_the_function(child, local):
    run = here if local else child
    assert list(run(squares, 4)) == [0, 1, 4, 9]
    for kind, function, *arguments in (
        (ValueError, squares, 1, ValueError("a byte")),
        (InputError, squares, 1, InputError("a byte")),
        (ValueError, picky),
    ):
        results = run(function, *arguments)
        assert next(results) == 0
        with pytest.raises(kind, match=r"^a byte$"):
            next(results)
    first, second = run(squares, 2), run(squares, 3)  # two at once
    assert [next(first), next(second), next(second), next(first)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (segfault, (), "its decoder crashed (SIGSEGV)"),
        (exit_in_c, (), "its decoder crashed (exit status 3)"),
        (claim, (2**28,), "its decoder needs more than 128 MiB"),
        (sleep, (60,), "its decoder did not end in 1 s"),
    ],
)
def test_what_ends_the_child_is_one_line_and_the_next_call_works(child, function, arguments, reason, capfd):
    with pytest.raises(Crashed) as error:
        list(child(function, *arguments))
    assert str(error.value) == reason
    assert list(child(squares, 3)) == [0, 1, 4]
    assert capfd.readouterr() == ("", "")
    assert list(child(claim, 2**24)) == [2**24]


def test_a_killed_child_is_started_again(child):
    os.kill(child._process.pid, signal.SIGKILL)
    with pytest.raises(Crashed, match="SIGKILL"):
        list(child(squares, 3))
    assert list(child(squares, 3)) == [0, 1, 4]


def test_the_child_ends_with_the_block():
    with Child(__name__) as child:
        process = child._process
        assert process.is_alive()
    assert not process.is_alive()
