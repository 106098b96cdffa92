"""Runs kept in a SQLite file, moved to a team's server: `python -m cinegan.store_move mlflow.db`.

Rows are copied as they are, so that runs keep their ids, times and histories. Only where artifacts
lie is written anew: below what the server serves, where their files go, too.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse
from urllib.request import url2pathname

from sqlalchemy import (
    JSON,
    URL,
    Connection,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from cinegan.errors import CineganError, run_command
from cinegan.files import atomic_folder
from cinegan.team_server import RUNS, artifacts_of, databases, folder_options, held, upgrade

ROWS = 10_000  # copied at once
VERSION = "alembic_version"  # the table that tells which MLflow's tables these are
GIVEN = {
    "experiments",
    "experiment_tags",
    "workspaces",
    VERSION,
}  # tables that a new store has rows in
PLACES = {  # columns that say where artifacts lie
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("storage_location", "source"),
    "trace_tags": ("value",),
}


def locations_of(store: Connection) -> dict[str, str]:
    """Where experiments have their artifacts on this machine, each with the experiment's id.

    Raises
    ------
    CineganError
        If there is no such folder, though the experiment has runs.
    """
    rows = store.execute(
        text(
            "SELECT artifact_location, experiment_id, experiment_id IN "
            "(SELECT experiment_id FROM runs) FROM experiments"
        )
    )
    found = {}
    for location, experiment, has_runs in rows:
        if _is_local(location):
            if has_runs and not _folder(location).is_dir():
                raise CineganError(
                    f"{_folder(location)}: the store has its artifacts there, but there is no such "
                    "folder; bring it back (or make it, if there never were any)"
                )
            found[location] = str(experiment)
    return found


def move(
    store: Connection, team: Connection, locations: dict[str, str], artifacts: Path
) -> dict[str, int]:
    """Copy a store into an empty one, within a transaction of the caller's.

    Parameters
    ----------
    store, team : sqlalchemy.Connection
        From which, and to which; both with tables of the same version of MLflow.
    locations : dict
        Of `locations_of(store)`.
    artifacts : Path
        The folder whose files the team's server serves.

    Returns
    -------
    dict
        How many rows each table has now.

    Raises
    ------
    CineganError
        If the team's store has runs already, if the tables are of different versions of MLflow, or
        if a run has its artifacts where its experiment has none.
    """
    if _version(store) != _version(team):
        raise CineganError(
            f"the store's tables are of another MLflow ({_version(store)}) than the server's "
            f"({_version(team)}); keep a copy and bring it up to date: mlflow db upgrade "
            "sqlite:///FILE"
        )
    old, new = _tables(store), _tables(team)
    _check_empty(store, team, new)
    for table in reversed(new.sorted_tables):
        if table.name != VERSION:
            team.execute(table.delete())
    counts = {
        table.name: _copy(store, team, old.tables[table.name], table, locations)
        for table in new.sorted_tables
        if table.name != VERSION
    }
    for table in new.sorted_tables:
        _continue_numbers(team, table)
    with ExitStack() as stack:  # all folders, or none
        for location, experiment in locations.items():
            if _folder(location).is_dir():
                partial = stack.enter_context(atomic_folder(artifacts / experiment))
                shutil.copytree(_folder(location), partial, dirs_exist_ok=True)
    return counts


def _tables(connection: Connection) -> MetaData:
    found = MetaData()

    @event.listens_for(found, "column_reflect")
    def keep_null(inspector: Any, table: Table, column: dict[str, Any]) -> None:
        if isinstance(column["type"], JSON):  # else what is absent became the JSON text null
            column["type"] = JSON(none_as_null=True)

    found.reflect(connection)
    return found


def _version(connection: Connection) -> str | None:
    """Which MLflow's tables these are, if they are MLflow's."""
    if not inspect(connection).has_table(VERSION):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalar()


def _check_empty(store: Connection, team: Connection, new: MetaData) -> None:
    filled = [
        table.name
        for table in new.sorted_tables
        if table.name not in GIVEN and team.execute(select(table).limit(1)).first()
    ]
    named = text("SELECT experiment_id, name FROM experiments ORDER BY experiment_id")
    known = set(map(tuple, store.execute(named)))
    made = [each for each in map(tuple, team.execute(named)) if each not in known]
    filled += [f"experiment {name}" for _, name in made]
    if filled:
        raise CineganError(
            f"the team's server has {', '.join(filled)} already; a store is moved to a server that "
            "has no runs yet: name a new folder with --folder"
        )


def _copy(
    store: Connection, team: Connection, old: Table, new: Table, locations: dict[str, str]
) -> int:
    number = 0
    rows = store.execute(select(old).execution_options(yield_per=ROWS))
    for part in rows.mappings().partitions():
        values = [dict(row) for row in part]
        for column in PLACES.get(new.name, ()):
            for row in values:
                row[column] = _served(row[column], locations)
        for row in values if new.name == "runs" else ():
            if _is_local(row["artifact_uri"]):
                raise CineganError(
                    f"run {row['run_uuid']}: its artifacts lie in {row['artifact_uri']}, outside "
                    "its experiment's folder; they cannot be moved"
                )
        team.execute(insert(new), values)
        number += len(values)
    return number


def _is_local(location: str) -> bool:
    return urlparse(location).scheme in ("", "file")


def _folder(location: str) -> Path:
    return Path(url2pathname(urlparse(location).path))


def _served(place: str | None, locations: dict[str, str]) -> str | None:
    """Where artifacts lie for the server's clients, if now below an experiment's folder."""
    for location in sorted(locations, key=len, reverse=True):
        if place is not None and f"{place}/".startswith(f"{location}/"):
            return f"mlflow-artifacts:/{locations[location]}{place[len(location) :]}"
    return place


def _continue_numbers(team: Connection, table: Table) -> None:
    """Let numbers that PostgreSQL gives go on after those that were copied."""
    for column in table.columns:
        if "nextval" in str(getattr(column.server_default, "arg", "")):
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            highest = select(func.greatest(func.max(column), 1)).scalar_subquery()
            team.execute(select(func.setval(sequence, highest)))


def _sqlite(path: Path) -> URL:
    """A file that is read and never written."""
    if not path.is_file():
        raise CineganError(f"{path}: no such file; name the SQLite store that holds the runs")
    return URL.create(
        "sqlite", database=f"file:{quote(str(path.resolve()))}", query={"mode": "ro", "uri": "true"}
    )


def main(arguments: Sequence[str]) -> None:
    """Start the databases, move, and say what was moved; the SQLite file stays as it is.

    Raises
    ------
    CineganError
        If the file is no store, or the server runs or has runs already.
    """
    options = _parser().parse_args(arguments)
    folder = options.folder.resolve()
    source = create_engine(_sqlite(options.store))
    try:
        with source.connect() as store:
            if _version(store) is None:
                raise CineganError(f"{options.store}: not a store of MLflow's")
            locations = locations_of(store)
            with held(folder), databases(folder, options.user) as served:
                upgrade(served)
                with create_engine(served.uri(RUNS)).begin() as team:
                    store.execute(text("BEGIN"))  # one state of it, whoever logs meanwhile
                    counts = move(store, team, locations, artifacts_of(folder))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CineganError(f"{options.store}: {reason}; nothing was moved") from None
    print(
        f"{counts['runs']} runs of {counts['experiments']} experiments, {counts['metrics']} values "
        f"of metrics, and their artifacts are in {folder} now; {options.store} is as it was"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cinegan.store_move",
        description="Move the runs of a SQLite store, artifacts included, to a team's server "
        "that does not run and has no runs yet.",
    )
    parser.add_argument("store", type=Path, metavar="FILE", help="such as mlflow.db")
    folder_options(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
