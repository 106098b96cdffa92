"""Why a file of a study is not used, in words that may be printed anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RefusedError(ValueError):
    """What is wrong with a file, in one line.

    The line names elements, numbers and causes but never repeats a file's text or name, either of
    which may be a patient's: logs and reports may show it.
    """


class OtherFileError(RefusedError):
    """A file that may well lie beside cine images, but is none: no fault, even in strict mode."""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Say `what` is wrong where others' code raises whatever it likes, without its words."""
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f"{what} ({type(error).__name__})") from None


def told(error: Exception, named: bool) -> str:
    """What is wrong with a file, without its text or name where these may name a patient."""
    return "damaged" if named and not isinstance(error, RefusedError) else str(error)
