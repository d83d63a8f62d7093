"""Errors of user input, and the one way to start a script: it reports them in one line, with exit status 1."""

import atexit
import contextlib
import functools
import gc
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""Exit status after Ctrl-C and after SIGTERM, as a shell reports them: 128 + the number of the signal."""


class InputError(Exception):
    """A user's file, row or parameter is wrong; the message names it in one line."""


def printable(text: object) -> str:
    """Return a text for one line of a terminal: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def reason(error: Exception) -> str:
    """Return what an error says in one line of at most 200 printable characters; its type if it says nothing."""
    number = getattr(error, "errno", None)  # HDF5 adds a line of file handles to it
    text = os.strerror(number) if number else (str(error).splitlines() or [""])[0]
    return "".join(c if c.isprintable() else "?" for c in text)[:200] or type(error).__name__


def collect_less_garbage() -> None:
    """Make Python collect garbage less often, and not at the exit.

    The import of TensorFlow creates 400,000 objects that are never freed. Python's searches for garbage among them,
    during the import and at the exit, take 2 s of 5 s.
    """
    gc.set_threshold(50_000)
    atexit.register(_leave_the_rest)


def use_tensorflow() -> None:
    """Make Keras use TensorFlow and compute whole epochs, whatever ``KERAS_BACKEND`` and its relatives say.

    Keras reads these variables when it is imported. Scripts call this before; a module of the library never does,
    because Keras belongs to the program that imports it.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "TF_USE_LEGACY_KERAS"):
        os.environ.pop(name, None)


def same_on_every_machine() -> None:
    """Make networks give the same bytes on every number of cores, and whatever the user's ``keras.json`` says.

    TensorFlow splits an operation into as many parts as it has threads, and the rounding of a sum depends on its parts.
    So it always gets two threads, also where ``TF_NUM_INTRAOP_THREADS`` says otherwise; ``SKYLIGHT_THREADS`` sets
    another number (`InputError` if it is none). TensorFlow reads these variables when it runs its first operation.

    Keras, if it is imported already, gets the settings that it has without ``~/.keras/keras.json``. So a script that
    imports Keras later calls this again after the import.
    """
    threads = os.environ.get("SKYLIGHT_THREADS", "2")
    if not re.fullmatch("[1-9][0-9]{0,3}", threads):
        raise InputError(f"SKYLIGHT_THREADS: must be a number of threads, got {threads!r}")
    os.environ["TF_NUM_INTRAOP_THREADS"] = threads
    os.environ["TF_DETERMINISTIC_OPS"] = "1"
    use_tensorflow()
    if keras := sys.modules.get("keras"):
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        keras.config.set_image_data_format("channels_last")


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a script's ``main``.

    It runs networks the same way on every machine. An `InputError`, a missing file, a full disk and a folder that may
    not be written are one line on stderr, exit status 1; Ctrl-C is one line, status 130. After SIGTERM (status 143) it
    removes what it had half written. Processes that it started end with it.
    """

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        collect_less_garbage()
        before = signal.signal(signal.SIGTERM, _exit)
        pressed = _note_interrupts()
        try:
            same_on_every_machine()
            with children_without_interrupts():
                main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except FileNotFoundError as error:
            sys.exit(f"error: {error.filename}: no such file; if another step makes it, `dvc repro` runs that first")
        except OSError as error:
            sys.exit(f"error: {'' if error.filename is None else f'{error.filename}: '}{reason(error)}")
        except SystemExit:
            _end_workers()
            raise
        except (KeyboardInterrupt, Exception) as error:
            if not (pressed or isinstance(error, KeyboardInterrupt)):
                raise
            _end_workers()
            report_interrupt()
            sys.exit(INTERRUPTED)
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def _note_interrupts() -> list[int]:
    """Return a list that gets an entry at each Ctrl-C.

    TensorFlow turns a `KeyboardInterrupt` while it traces a function into an error of its own.
    """
    pressed = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or a test's
        signal.signal(signal.SIGINT, note)
    return pressed


@contextlib.contextmanager
def children_without_interrupts() -> Iterator[None]:
    """Start processes that never see Ctrl-C, which a terminal sends to all processes of a program.

    One that is still importing its libraries would print a traceback. This process gets the signal and ends the others.
    The signal is blocked while a process starts, because it inherits that; joblib starts its processes so, too.
    """
    usual = BaseProcess.start

    @functools.wraps(usual)
    def start(process: BaseProcess) -> None:
        resource_tracker.ensure_running()  # a process of Python's own, whose start would end the block
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            usual(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    BaseProcess.start = start
    try:
        yield
    finally:
        BaseProcess.start = usual


def report_interrupt() -> None:
    """Say that Ctrl-C ended the program."""
    print("error: interrupted", file=sys.stderr)


def interrupt_in_one_line() -> None:
    """Report Ctrl-C in one line also outside of ``main``: while a script imports its libraries, which takes seconds."""
    usual = sys.excepthook

    def report(kind: type[BaseException], error: BaseException, trace) -> None:
        if issubclass(kind, KeyboardInterrupt):
            report_interrupt()
        else:
            usual(kind, error, trace)

    sys.excepthook = report


def _exit(number: int, frame: FrameType | None) -> None:
    """End the program through its ``finally`` and ``with`` blocks."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not end the tidying up
    raise SystemExit(TERMINATED)


def _end_workers() -> None:
    """End the processes that joblib and others started; they would wait for work for minutes."""
    for process in multiprocessing.active_children():
        process.terminate()


def _leave_the_rest() -> None:
    """Exclude all remaining objects from the collection at the exit; the operating system frees their memory."""
    if "duckdb" not in sys.modules:  # DuckDB would print long warnings about objects that were not freed
        gc.freeze()
