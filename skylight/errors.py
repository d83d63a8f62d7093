"""How a script runs: what the user brought that is wrong becomes one line and exit status 1."""

import atexit
import functools
import gc
import sys
from collections.abc import Callable


class InputError(Exception):
    """Something the user brought is wrong; the message names the file, row or parameter, in one line."""


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a script's ``main``: an `InputError` or a missing file becomes one line on stderr and exit status 1.

    TensorFlow's import makes 400,000 objects that stay. Python would look through them for garbage again and again
    while it grows, and at the exit, together 2 s of 5 s: here it looks less often, and not at the exit.
    """
    atexit.register(_leave_the_rest)

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        gc.set_threshold(50_000)
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except FileNotFoundError as error:
            sys.exit(f"error: {error.filename}: no such file; if another step makes it, `dvc repro` runs that first")

    return run


def _leave_the_rest() -> None:
    """At the exit, look for no garbage among what is left; the system takes it all."""
    if "duckdb" not in sys.modules:  # which would print pages about what it finds left over
        gc.freeze()
