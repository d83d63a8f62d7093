"""Errors of the user's input, and the way a script reports them: one line, exit status 1."""

import functools
import sys
from collections.abc import Callable


class InputError(Exception):
    """Something the user brought is wrong; the message names the file, row or parameter, in one line."""


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a script's ``main``: an `InputError` or a missing file becomes one line on stderr and exit status 1."""

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except FileNotFoundError as error:
            sys.exit(f"error: {error.filename}: no such file; if another step makes it, `dvc repro` runs that first")

    return run
