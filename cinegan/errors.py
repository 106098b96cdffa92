"""Faults a user can mend, and how a command reports them."""

from __future__ import annotations

import errno
import os
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
    except BrokenPipeError:
        # Who reads has enough, as `head` has. What is left goes nowhere, also at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        sys.exit(f"error: {explain_os_error(error)}")
    except KeyboardInterrupt:
        sys.exit(
            "interrupted: nothing half-written was left behind; the same command begins it again, "
            "or goes on from its last saved state"
        )


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
