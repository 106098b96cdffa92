"""Where things are that the copies DVC makes for experiments do not contain."""

from __future__ import annotations

from pathlib import Path

from cinegan.errors import CineganError


def main_checkout(start: Path | None = None) -> Path:
    """The checkout a person works in, also from the copy of a queued or temporary experiment.

    `dvc exp run --temp` and `--queue` run in `.dvc/tmp/exps/` of the main checkout, in a copy that
    holds tracked files only. The MLflow store, mirrors and the user's own folders lie outside it.
    """
    here = (start or Path.cwd()).resolve()
    parts = here.parts
    for i in range(len(parts) - 2):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:i])
    return here


def own_folder(folder: str) -> Path:
    """Where the user's own DICOM lies.

    Raises
    ------
    CineganError
        If the folder is relative and this is a copy: DVC would watch the copy's folder instead.
    """
    if not Path(folder).is_absolute() and main_checkout() != Path.cwd().resolve():
        raise CineganError(
            f"data.folder: {folder} is relative, and this experiment runs in a copy; name it from "
            "the root, such as -S data.folder=/data/cine"
        )
    return main_checkout() / folder
