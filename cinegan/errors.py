"""Faults a user can mend, and how a command reports them."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence


class CineganError(Exception):
    """A fault of the input or the machine: one line that says what, where and what to do."""


def run_command(main: Callable[[Sequence[str]], None]) -> None:
    """Run a command's `main(arguments)`; end with one line and exit status 1 on a user's fault.

    Anything else is a bug and keeps its traceback.
    """
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except CineganError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(128 + signal.SIGPIPE)
        sys.exit(f"error: {explain_os_error(error)}")
    except KeyboardInterrupt:
        sys.exit(
            "interrupted: nothing half-written was left behind; the same command begins it again, "
            "or goes on from its last saved state"
        )


def _nobody_reads() -> bool:
    """Whether the pipe that broke is the output's: who reads has enough, as `head` has."""
    output = sys.stdout.fileno()
    ends = select.poll()
    ends.register(output, 0)  # a pipe without a reader tells so, whatever is asked
    if not ends.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # what is left goes nowhere, also at the end
    return True


def explain_os_error(error: OSError) -> str:
    """One line for what the operating system refused, with what to do about it."""
    where = error.filename or "an output"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"{where}: the disk is full; free some space and run the same command again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{where}: cannot be written or read here; check its owner and permissions"
        case errno.ENOENT:
            return f"{where}: not found; `dvc repro` makes what earlier stages should have left"
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            return f"{where}: {error.strerror}; something else stands in its place, move it away"
        case _:
            return f"{where}: {error.strerror or error}"
