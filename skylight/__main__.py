"""The command ``skylight``, also ``python -m skylight``."""

import sys


def main() -> int:
    """Run the command line; without the repository, only the library is there."""
    try:
        from apps.command_line import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("apps", "apps.command_line"):
            raise
        print("error: the commands need the whole repository; this is the library alone (README.md)", file=sys.stderr)
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
