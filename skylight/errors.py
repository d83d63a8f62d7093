"""Errors of user input, and how a script reports them: in one line, with exit status 1."""

import atexit
import functools
import gc
import sys
from collections.abc import Callable


class InputError(Exception):
    """A user's file, row or parameter is wrong; the message names it in one line."""


def collect_less_garbage() -> None:
    """Make Python collect garbage less often, and not at the exit.

    The import of TensorFlow creates 400,000 objects that are never freed. Python's searches for garbage among them,
    during the import and at the exit, take 2 s of 5 s.
    """
    gc.set_threshold(50_000)
    atexit.register(_leave_the_rest)


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a script's ``main``: report an `InputError` or a missing file in one line on stderr, exit status 1."""

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        collect_less_garbage()
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except FileNotFoundError as error:
            sys.exit(f"error: {error.filename}: no such file; if another step makes it, `dvc repro` runs that first")

    return run


def _leave_the_rest() -> None:
    """Exclude all remaining objects from the collection at the exit; the operating system frees their memory."""
    if "duckdb" not in sys.modules:  # DuckDB would print long warnings about objects that were not freed
        gc.freeze()
