"""What a file holds and how its last runs ended. Reads only."""

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pylon_to_sqlite import file, meta
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.memory import recalled
from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stale import stale_params, stale_sql
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import STREAMS

# A run that was killed could not say so.
UNFINISHED = "interrupted"
AT_WORK = "at work"


@dataclass(frozen=True)
class StreamStatus:
    """One stream in the file. `stale` counts parents whose children are still to be read."""

    stream: str
    is_on: bool
    rows: int
    gone: int
    placeholders: int
    watermark: str | None
    since: str | None
    stale: int | None
    last_run: str | None
    outcome: str | None
    error: str | None


@dataclass(frozen=True)
class Status:
    """The file as a whole."""

    organization: str
    organization_id: str
    issue_type: str
    """The one type of issues that is mirrored, "" for both."""
    custom_objects: list[str]
    """The kinds of custom objects that are mirrored."""
    left_out: list[str]
    """What is left out of the records, in sentences."""
    streams: list[StreamStatus]
    forgotten: int = 0
    """How many contacts, accounts, issues and addresses were named to be kept out."""


def status_of(path: Path, now: str) -> Status:
    """What `path` holds at `now` (UTC). Raises Unusable where it is no mirror."""
    try:
        with file.reading(path) as connection:
            connection.row_factory = sqlite3.Row
            known = meta.all_of(connection)
            choice = recalled(Choice, known.get(meta.CHOICE, "{}"), meta.CHOICE)
            return Status(
                known.get(meta.ORGANIZATION_NAME) or "",
                known.get(meta.ORGANIZATION_ID) or "",
                choice.issue_type,
                [*choice.custom_objects],
                choice.left_out(),
                [_stream(connection, stream, choice.is_on(stream), now) for stream in STREAMS],
                _forgotten(connection),
            )
    except sqlite3.Error as error:
        raise Unusable(file.told("cannot read", path, error)) from None


def _forgotten(connection: sqlite3.Connection) -> int:
    there = "SELECT 1 FROM sqlite_master WHERE name = '_pylon_forgotten'"
    if connection.execute(there).fetchone() is None:
        # An earlier version made the file.
        return 0
    sql = "SELECT count(*) FROM _pylon_forgotten WHERE key = because"
    return int(connection.execute(sql).fetchone()[0])


_NUMBERS = {
    *("id", "run", "exit_status", "requests", "seconds_waited"),
    *("rows_new", "rows_changed", "rows_gone"),
}


@dataclass(frozen=True)
class RunStatus:
    """One run: when, what version of this tool, what it did and how it ended. Times are UTC."""

    id: int
    version: str
    started_at: str
    ended_at: str | None
    outcome: str
    exit_status: int | None
    streams: int
    failed: list[str]
    new: int
    changed: int
    gone: int
    requests: int | None
    seconds_waited: float | None
    error: str | None


def runs_of(path: Path, last: int) -> list[RunStatus]:
    """The `last` runs of `path`, the newest first. Raises Unusable where it is no mirror."""
    try:
        with file.reading(path) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(
                "SELECT * FROM _pylon_runs ORDER BY id DESC LIMIT ?", [last]
            ).fetchall()
            made = [_run(connection, _record(row)) for row in found]
    except sqlite3.Error as error:
        raise Unusable(file.told("cannot read", path, error)) from None
    if made and made[0].ended_at is None and file.is_held(path):
        made[0] = replace(made[0], outcome=AT_WORK)
    return made


def _run(connection: sqlite3.Connection, run: dict[str, Any]) -> RunStatus:
    found = connection.execute(
        "SELECT * FROM _pylon_run_streams WHERE run = ? ORDER BY stream", [run["id"]]
    )
    streams = [_record(row) for row in found]

    def count(of: str) -> int:
        return sum(one[of] or 0 for one in streams)

    return RunStatus(
        id=run["id"],
        version=run["version"],
        started_at=run["started_at"],
        ended_at=run["ended_at"],
        outcome=run["outcome"] or UNFINISHED,
        # An earlier version kept neither this nor the error.
        exit_status=run.get("exit_status"),
        streams=len(streams),
        failed=[one["stream"] for one in streams if one["outcome"] == "failed"],
        new=count("rows_new"),
        changed=count("rows_changed"),
        gone=count("rows_gone"),
        requests=run["requests"],
        seconds_waited=run["seconds_waited"],
        error=run.get("error"),
    )


def _record(row: sqlite3.Row) -> dict[str, Any]:
    """What was written down of a run. A value that is garbled keeps nobody from reading the rest:
    it is shown as far as it is text, and is no number."""
    found: dict[str, Any] = {}
    for name, value in zip(row.keys(), row, strict=True):
        is_number = isinstance(value, int | float)
        if name in _NUMBERS:
            found[name] = value if is_number else None
        elif isinstance(value, bytes):
            found[name] = value.decode(errors="replace")
        else:
            found[name] = str(value) if is_number else value
    return found


def _stream(connection: sqlite3.Connection, stream: Stream, is_on: bool, now: str) -> StreamStatus:
    checkpoint = _checkpoint(connection, stream)
    there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(there, [stream.name]).fetchone() is None:
        # An earlier version made the file, and no sync has been since.
        return StreamStatus(stream.name, is_on, 0, 0, 0, *[None] * 6)
    stale = None
    if stream.is_by_staleness and is_on:
        params = stale_params(stream, now, checkpoint.full)
        stale = connection.execute(f"SELECT count(*) {stale_sql(stream)}", params).fetchone()[0]
    placeholder = "placeholder" if TABLES[stream.name].has_placeholder else "0"
    rows, gone, placeholders = connection.execute(
        f"SELECT count(*) FILTER (WHERE deleted_at IS NULL AND {placeholder} = 0),"
        f" count(*) FILTER (WHERE deleted_at IS NOT NULL), total({placeholder})"
        f" FROM {stream.name}"
    ).fetchone()
    last: Any = connection.execute(
        "SELECT started_at, ended_at, outcome, error FROM _pylon_run_streams WHERE stream = ?"
        " ORDER BY run DESC LIMIT 1",
        [stream.name],
    ).fetchone()
    last = last and _record(last)
    return StreamStatus(
        stream=stream.name,
        is_on=is_on,
        rows=rows,
        gone=gone,
        placeholders=int(placeholders),
        watermark=checkpoint.watermark,
        since=checkpoint.since,
        stale=stale,
        last_run=last and (last["ended_at"] or last["started_at"]),
        outcome=last and (last["outcome"] or UNFINISHED),
        error=last and last["error"],
    )


def _checkpoint(connection: sqlite3.Connection, stream: Stream) -> Checkpoint:
    row = connection.execute(
        "SELECT state FROM _pylon_checkpoints WHERE stream = ?", [stream.name]
    ).fetchone()
    return recalled(Checkpoint, row["state"], stream.name) if row else Checkpoint()
