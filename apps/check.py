"""Check all of params.yaml.

    skylight check

Prints "params.yaml: fine", or one line for each key that is unknown, missing or has a value that it cannot have.
"""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """This command has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Check the parameters and return the exit status."""
    from skylight import params

    params.load_all()
    print("params.yaml: fine")
    return 0
