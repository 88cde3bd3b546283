"""What can be wrong with a mirror, told without writing to it: each check gives its findings."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pylon_to_sqlite import full_text
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.file import damage
from pylon_to_sqlite.memory import COMPARISON
from pylon_to_sqlite.plan import Checkpoint, Comparison, moment, restarted
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.purge import READ, URGENT
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, TABLES, VERSION
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.withdraw import left_in

TIMES = ("since", "watermark", "full", "as_of", "narrowed", "walked")
COMPARED_TIMES = ("reached", "until", "began", "finished")
# Lines of SQLite's own check that REINDEX mends.
OF_INDEXES = ("missing from index", "wrong # of entries in index", "non-unique entry in index")
SHOWN = 3

State = Literal["ok", "wrong", "skipped", "mended"]


@dataclass(frozen=True)
class Finding:
    """What one check found, as a sentence, and what to do about it."""

    check: str
    state: State
    message: str
    remedy: str = ""
    can_mend: bool = False


@dataclass
class Examined:
    """A mirror that is looked at. `deep` is a connection that may say it writes, without which
    full text cannot be checked; `latest` the latest time that anything can be of (UTC)."""

    connection: sqlite3.Connection
    deep: sqlite3.Connection | None
    latest: str
    tables: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tables = {
            row[0] for row in self.all("SELECT name FROM sqlite_master WHERE type = 'table'")
        }

    def all(self, sql: str, params: Any = ()) -> list[Any]:
        return self.connection.execute(sql, params).fetchall()

    def one(self, sql: str, params: Any = ()) -> Any:
        row = self.connection.execute(sql, params).fetchone()
        return row[0] if row else None


def examine(mirror: Examined) -> Iterator[Finding]:
    """All that the file itself can tell, the quickest first. Where a check finds that pages are
    torn, those after it are left out: they would tell of nothing else."""
    for name, check in CHECKS.items():
        try:
            findings = [*check(mirror)]
        except sqlite3.DatabaseError as error:
            if "interrupted" in str(error):
                raise KeyboardInterrupt from None
            # What is locked, or not there, is no torn page.
            todo = "see above" if isinstance(error, sqlite3.OperationalError) else TORN
            findings = [Finding(name, "wrong", f"cannot be checked: {error}", todo)]
        yield from findings or [Finding(name, "ok", FINE[name])]
        if any(one.state == "wrong" and one.remedy in (TORN, OLDER) for one in findings):
            return


TORN = (
    "restore a backup, or move the file and its -wal aside and run a sync for a new one: what is"
    " deleted in Pylon, and issue_changes, is in the old file alone"
)
OLDER = "the next sync brings it up to date, or --mend"


def _schema(mirror: Examined) -> Iterator[Finding]:
    written_by = int(mirror.one("SELECT value FROM _pylon_meta WHERE key = 'schema_version'") or 0)
    if written_by < VERSION:
        message = f"an earlier version wrote it (schema {written_by}, now {VERSION})"
        yield Finding("schema", "wrong", message, OLDER, can_mend=True)


def _integrity(mirror: Examined) -> Iterator[Finding]:
    for pragma in ("quick_check", "integrity_check"):
        lines = damage(mirror.connection, pragma)
        if not lines:
            continue
        of_indexes = all(any(words in line for words in OF_INDEXES) for line in lines)
        message = f"SQLite finds it damaged: {'; '.join(lines[:SHOWN])}"
        if of_indexes:
            yield Finding("integrity", "wrong", message, "--mend builds its indexes anew", True)
        else:
            yield Finding("integrity", "wrong", message, TORN)
        return


def _layout(mirror: Examined) -> Iterator[Finding]:
    """Against a file that was made just now."""
    with closing(Store(":memory:")) as new:
        new.prepare("")
        made = "SELECT name, type, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        expected = new.db.execute(made).fetchall()
        columns = {name: new.tables.types(name).keys() for name in (*TABLES, *BOOKKEEPING)}
    there = {row[0].lower() for row in mirror.all("SELECT name FROM sqlite_master")}
    ours = set().union(*map(_parts, FULL_TEXT))
    lost = [
        f"{kind} {name}"
        for name, kind, _ in expected
        if name.lower() not in there and name not in ours
    ]
    for table in sorted(columns.keys() & mirror.tables):
        has = {
            row[0].lower() for row in mirror.all("SELECT name FROM pragma_table_info(?)", [table])
        }
        lost += [f"column {table}.{name}" for name in columns[table] if name.lower() not in has]
    if lost:
        yield Finding("layout", "wrong", f"not there: {_some(lost)}", "--mend makes it", True)


def _foreign_keys(mirror: Examined) -> Iterator[Finding]:
    found: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in mirror.all("PRAGMA foreign_key_check"):
        found[table, parent] = found.get((table, parent), 0) + 1
    for (table, parent), count in found.items():
        is_ours = table in TABLES or table in BOOKKEEPING
        remedy = "--mend gives them a placeholder, or removes what belongs to nothing"
        yield Finding(
            "foreign_keys",
            "wrong",
            f"{count:,} rows of {table} name a row of {parent} that is not there",
            remedy if is_ours else "the table is not this tool's: mend it yourself",
            is_ours,
        )


def _full_text(mirror: Examined) -> Iterator[Finding]:
    made = dict(mirror.all("SELECT lower(name), sql FROM sqlite_master"))
    for table in FULL_TEXT:
        index = full_text.index_of(table)
        wanted = full_text.created(table)
        if full_text.view_of(table) not in str(made.get(index, full_text.view_of(table))):
            message = f"{index} is not this tool's: words of {table} are not found"
            yield Finding("full_text", "skipped", message)
        elif lost := [name for name, sql in wanted.items() if made.get(name.lower()) != sql]:
            message = f"not there, or not as it should be: {_some(lost)}"
            yield Finding("full_text", "wrong", message, "--mend builds it anew", True)
        elif mirror.deep is not None and not full_text.is_true(mirror.deep, table):
            message = f"{index} does not hold the words of {table}: searches give wrong rows"
            yield Finding("full_text", "wrong", message, "--mend builds it anew", True)
    if mirror.deep is None:
        message = "not looked into: for that the file must be writable, and no sync at work"
        yield Finding("full_text", "skipped", message)


def _checkpoints(mirror: Examined) -> Iterator[Finding]:
    for stream, why, _ in wrong_checkpoints(mirror):
        message = f"that of {stream} {why}"
        remedy = "--mend removes it, and the next sync reads that again"
        yield Finding("checkpoints", "wrong", message, remedy, can_mend=True)


def wrong_checkpoints(mirror: Examined) -> Iterator[tuple[str, str, Checkpoint | None]]:
    """The checkpoints that cannot be right: of which stream, why, and what to put in its place."""
    for name, text in mirror.all("SELECT stream, state FROM _pylon_checkpoints ORDER BY stream"):
        if name != COMPARISON and name not in BY_NAME:
            yield name, "is of a stream that this version does not have", None
            continue
        names = COMPARED_TIMES if name == COMPARISON else TIMES
        try:
            told = json.loads(text)
            where = (Comparison if name == COMPARISON else Checkpoint).from_json(text)
            times = [one for one in map(told.get, names) if one is not None]
            times += [one for one in told.get("window") or () if one is not None]
            ahead = [one for one in times if one == _time(one) and one > mirror.latest]
            span = told.get("span")
            if not (span is None or isinstance(span, int)):
                raise ValueError(span)
            for one in ("cursor", "kind"):
                told[one] = str.strip(told.get(one) or "")
        except (ValueError, TypeError, AttributeError):
            yield name, "cannot be read", None
            continue
        again = restarted(where) if isinstance(where, Checkpoint) else None
        if ahead:
            again = again and replace(again, since=_past(again.since, mirror), narrowed=None)
            yield name, f"is ahead of the clock ({max(ahead)})", again
        elif again and (again != where) and (n := _rows_lost(mirror, name)):
            why = f"says that all is here, but its table is empty: runs read {n:,} rows"
            yield name, why, again


def _marks(mirror: Examined) -> Iterator[Finding]:
    count = sum(mirror.one(f"SELECT count(*) {sql}", params) for sql, params in wrong_marks(mirror))
    if count:
        message = f"{count:,} are of records, or children, that are not here"
        remedy = "--mend removes them, and the next sync reads those again that are in Pylon"
        yield Finding("marks", "wrong", message, remedy, can_mend=True)


def wrong_marks(mirror: Examined) -> Iterator[tuple[str, dict[str, str]]]:
    """FROM and WHERE, with parameters, of marks that belong to nothing: when children were read,
    and when records were asked for by id."""
    known = json.dumps([*BY_NAME])
    strange = "stream NOT IN (SELECT value FROM json_each(:known))"
    for table in ("_pylon_children", "_pylon_unlisted"):
        yield f"FROM {table} WHERE {strange}", {"known": known}
    for stream in STREAMS:
        one = {"stream": stream.name}
        if stream.by_id:
            lost = f"key NOT IN (SELECT id FROM {stream.name})"
            yield f"FROM _pylon_unlisted WHERE stream = :stream AND {lost}", one
        if stream.is_by_staleness and stream.parent:
            lost = "1" if _rows_lost(mirror, stream.name) else _not_in(stream.parent)
            yield f"FROM _pylon_children WHERE stream = :stream AND {lost}", one


def _unpurged(mirror: Examined) -> Iterator[Finding]:
    names = {row[0] for row in mirror.all("SELECT name FROM _pylon_unpurged")}
    if names & {*URGENT, READ} and mirror.deep is not None:
        message = "words that were taken back, left out or erased may still be in the file"
        message += ": a program reads it as it was before" if READ in names else ""
        yield Finding("unpurged", "wrong", message, "the next sync removes them, or --mend", True)
    elif names:
        yield Finding("unpurged", "ok", "old names and titles wait for a sync to remove them")


def _left_out(mirror: Examined) -> Iterator[Finding]:
    choice = Choice.from_json(
        mirror.one("SELECT value FROM _pylon_meta WHERE key = 'choice'") or "{}"
    )
    # By which key does not matter for finding addresses.
    privacy = choice.privacy(Pseudonyms(b"") if choice.pseudonyms else None)
    if not privacy.is_open:
        for told in left_in(mirror.connection, privacy):
            message = f"{told} are in the file, though they are to be left out"
            yield Finding("left_out", "wrong", message, "--mend takes them out", can_mend=True)


CHECKS: Mapping[str, Callable[[Examined], Iterator[Finding]]] = {
    "integrity": _integrity,
    "schema": _schema,
    "layout": _layout,
    "foreign_keys": _foreign_keys,
    "full_text": _full_text,
    "checkpoints": _checkpoints,
    "marks": _marks,
    "left_out": _left_out,
    "unpurged": _unpurged,
}
FINE = {
    "integrity": "every page and every index is whole",
    "schema": "written by this version",
    "layout": "all tables, columns, indexes, triggers and views are there",
    "foreign_keys": "whatever a row names is there",
    "full_text": "the indexes hold the words of the live rows, no more and no less",
    "checkpoints": "all of them can be right",
    "marks": "all of them are of records that are here",
    "left_out": "it holds nothing that is to be left out of it",
    "unpurged": "nothing is left of words that were changed or deleted",
}


def _parts(table: str) -> set[str]:
    return {*full_text.created(table), *full_text.shadows(table)}


def _not_in(parent: Stream) -> str:
    return f"parent NOT IN (SELECT id FROM {parent.name})"


def _rows_lost(mirror: Examined, stream: str) -> int:
    """How many records of a stream runs have read, of which none is here. Where most of them went
    in the way that records go, they have been erased."""
    itself = " WHERE placeholder = 0" if TABLES[stream].has_placeholder else ""
    if mirror.one(f"SELECT 1 FROM {stream}{itself} LIMIT 1"):
        return 0
    totals = "SELECT total(rows_new), total(rows_gone) FROM _pylon_run_streams WHERE stream = ?"
    new, gone = mirror.all(totals, [stream])[0]
    return int(new) if new > 2 * gone else 0


def _time(value: Any) -> str:
    """`value`, where it is a time. Raises ValueError or TypeError."""
    moment(value)
    return str(value)


def _past(value: str | None, mirror: Examined) -> str | None:
    return value if value and value <= mirror.latest else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
