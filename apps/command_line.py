"""The command ``skylight``: one subcommand for each kind of input, one module of this folder for each subcommand.

Exit status: 0 where all inputs were used, 1 where one could not be used, 2 for wrong usage. Results go to the standard
output, everything else to stderr.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from apps import candidates, check, classify, measure, metallicity, score, triplets
from apps.files import UsageError
from skylight import __version__
from skylight.errors import (
    InputError,
    children_without_interrupts,
    collect_less_garbage,
    printable,
    same_on_every_machine,
)

COMMANDS = (classify, score, triplets, candidates, measure, metallicity, check)


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong usage in one line."""

    def error(self, message: str):
        self.exit(2, f"error: {printable(message)}; see {self.prog} --help\n")


def parser() -> Parser:
    """Build the parser of all subcommands."""
    whole = Parser(prog="skylight", description="Apply the trained networks of this repository to your own files.")
    whole.add_argument("--version", action="version", version=f"skylight {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for module in COMMANDS:
        summary, _, rest = module.__doc__.partition("\n")
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=summary.rstrip("."),
            description=f"{summary}\n{rest.rstrip()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(command)
        command.set_defaults(run=module.run, command=command)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; `SystemExit` after ``--help`` and wrong usage."""
    collect_less_garbage()
    if not sys.warnoptions:
        warnings.simplefilter(
            "ignore"
        )  # what astropy and others say about a damaged file; the error says it in one line
    arguments = parser().parse_args(argv)
    try:
        same_on_every_machine()
        with children_without_interrupts():
            return arguments.run(arguments)
    except UsageError as error:
        arguments.command.error(str(error))
    except InputError as error:
        for line in str(error).splitlines():
            print(f"error: {printable(line)}", file=sys.stderr)
    except BrokenPipeError:  # as in `skylight score night/ | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130  # as the shell reports a program that Ctrl-C ended
    except OSError as error:
        print(f"error: {printable(error.filename or '')}: {error.strerror}", file=sys.stderr)
    return 1
