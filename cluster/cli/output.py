"""The parts that need no parser: the words that ask for help, results on stdout, errors on stderr."""

from __future__ import annotations

import sys

HELP = ("-h", "--help")


def say(line: str) -> None:
    """Write one line of a result to stdout."""
    sys.stdout.write(line + "\n")


def complain(error: Exception) -> None:
    """Write an error for people to stderr, as one line."""
    sys.stderr.write(" ".join(str(error).split()) + "\n")
