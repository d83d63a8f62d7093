"""Errors of the user's input, and the way a script reports them: one line, exit status 1."""

import functools
import sys
from collections.abc import Callable


class InputError(Exception):
    """Something the user brought is wrong; the message names the file, row or parameter, in one line."""


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a script's ``main``: an `InputError` becomes one line on stderr and exit status 1."""

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")

    return run
