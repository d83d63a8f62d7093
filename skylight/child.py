"""Decoding of untrusted bytes in another process: what crashes a decoder ends that process, and not the program.

This protects from crashes and from too much memory or time. It is no sandbox: the child has the rights of the user.
"""

import contextlib
import importlib
import multiprocessing
import pickle
import resource
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from skylight.errors import InputError

MEMORY = 2**29
"""Bytes that a child may use beyond what its libraries need."""
SECONDS = 60.0
"""Longest time of a call."""


Run = Callable[..., Iterator]
"""How a decoder is run: ``run(function, *arguments)`` yields what the generator function yields."""


def here(function: Callable[..., Iterator], *arguments: object) -> Iterator:
    """Run a decoder in this process."""
    return function(*arguments)


class Crashed(ValueError):
    """A decoder crashed, used too much memory or did not end; the message says which."""


class Child:
    """A process with little memory that runs one generator function after the other.

    It starts at once, so that it is ready when it is needed, and again after a crash. It ends with the ``with`` block.

    Parameters
    ----------
    module : str
        The module of the functions, which it imports first.
    memory : int
        Bytes that it may use beyond what its libraries need.
    seconds : float
        Longest time of a call.
    """

    def __init__(self, module: str, memory: int = MEMORY, seconds: float = SECONDS):
        self._module, self._memory, self._seconds = module, memory, seconds
        self._start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *error) -> None:
        self._end()

    def __call__(self, function: Callable[..., Iterator], *arguments: object) -> Iterator:
        """Yield what ``function(*arguments)`` has yielded in the child, when it has ended there.

        ``function`` is defined in a module; its arguments and results can be pickled.

        Raises
        ------
        Crashed
            The child ended, needed too much memory, or was silent for too long.
        ValueError, InputError
            Those of ``function``.
        """
        try:
            self._pipe.send((function, arguments))
            if not self._pipe.poll(self._seconds):
                self._restart()
                raise Crashed(f"its decoder did not end in {self._seconds:g} s")
            found, fault = self._pipe.recv()
        except (EOFError, OSError) as error:  # the child has closed its end of the pipe
            self._process.join(1)
            cause = _cause(self._process.exitcode)
            self._restart()
            raise Crashed(f"its decoder crashed ({cause})") from error
        yield from found
        if fault:
            raise fault

    def _restart(self) -> None:
        self._end()
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locks of TensorFlow's threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._module, self._memory), daemon=True)
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _cause(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):  # a signal without a name
            return signal.Signals(-status).name
    return f"exit status {status}"


def _serve(pipe: Connection, module: str, memory: int) -> None:
    """Run what is asked for until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent tidies up
    importlib.import_module(module)
    _limit_memory(memory)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            try:
                answer = _answer(*pipe.recv())
            except MemoryError:
                answer = pickle.dumps(([], Crashed(f"its decoder needs more than {memory >> 20} MiB")))
            pipe.send_bytes(answer)


def _answer(function: Callable[..., Iterator], arguments: tuple) -> bytes:
    """Return what a function yields and the error that it then raises, or None, pickled."""
    found, fault = [], None
    try:
        for each in function(*arguments):
            found.append(each)
    except (ValueError, InputError) as error:  # as a plain one: not every class can be pickled
        fault = (ValueError if isinstance(error, ValueError) else InputError)(str(error))
    return pickle.dumps((found, fault), pickle.HIGHEST_PROTOCOL)


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
