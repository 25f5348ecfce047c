"""The console script `videoar`: finds the command, runs it, and turns its outcome into an exit code.

0 done · 1 failed · 2 the user's input is wrong (one line) · 75 preempted after saving · 141 the reader of its
output is gone (`| head`) · 143 ended by SIGTERM.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from videoar.cluster.cli.command_table import COMMANDS, find_command, overview
from videoar.cluster.cli.output import complain, open_closed_streams, say, say_how_to_resume
from videoar.cluster.ground.credentials import guard_output
from videoar.cluster.ground.errors import CorruptShard, InputError, Stopped, StoreError
from videoar.cluster.ground.extras import missing_extra
from videoar.cluster.ground.log_level import take_log_level
from videoar.cluster.ground.process import EXIT_STOPPED, end_with_parent, is_launched, is_worker
from videoar.cluster.ground.processes.ending import Ended, Ending
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, SIGNALS, Preempted
from videoar.cluster.ground.processes.surroundings import explained
from videoar.cluster.ground.versions import installed_version

EXIT_UNREAD = 128 + signal.SIGPIPE
"""Exit code if the reader of the output has closed it: the same as of a program that SIGPIPE ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    open_closed_streams()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    guard_output()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if is_launched():
        end_with_parent()
    return Ending(silent=is_worker()).run(lambda: _outcome(words))


def _outcome(words: list[str]) -> int:
    """The exit code of a command, and one line on stderr if it is not 0."""
    name: str | None = None
    try:
        words = take_log_level(words)
        if words[:1] in (["--version"], ["--print-completion"]):
            return _flushed(lambda: _about(words))
        name, rest = find_command(words)
        return _flushed(lambda: _run(name, rest))
    except InputError as error:
        complain(error)
        return 2
    except (StoreError, Stopped, CorruptShard) as error:
        complain(error)
        return EXIT_STOPPED if is_worker() else 1
    except Preempted as stop:
        say_how_to_resume(words, str(stop))
        return EXIT_PREEMPTED
    except BrokenPipeError:
        # The reader of our output has closed it (`videoar config debug | head`): Python's flush at exit must not fail.
        sys.stdout = open(os.devnull, "w")
        return EXIT_UNREAD
    except Ended:
        raise
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 1
    except Exception as error:
        missing = missing_extra(error, name or "") if isinstance(error, ImportError) else None
        if (line := missing or explained(error)) is None:
            raise
        complain(line)
        return 2 if isinstance(line, InputError) else 1


def _run(name: str | None, rest: list[str]) -> int:
    """Run a command; without a name, list the commands."""
    if name is None:
        sys.stdout.write(overview(rest))
        return 0
    return COMMANDS[name].run(rest, f"videoar {name}")


def _about(words: list[str]) -> int:
    """Print the version, or the script that completes command lines in a shell."""
    if words[0] == "--version":
        say(f"videoar {installed_version('videoar') or 'of a checkout'}")
        return 0
    from videoar.cluster.cli.completion import completion

    sys.stdout.write(completion(words[1:]))
    return 0


def _flushed(command: Callable[[], int]) -> int:
    """The exit code of a command, after stdout was flushed; `--help` ends with SystemExit."""
    try:
        code = command()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def program() -> int:
    """`main` in a process of its own. After exit code 75, later signals cannot change the exit code."""
    code = main()
    if code == EXIT_PREEMPTED:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # at its exit, Python restores the default handlers
    return code


if __name__ == "__main__":
    sys.exit(program())
