"""What can be wrong with a mirror, told without writing to it: each check gives its findings."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pylon_to_sqlite import full_text, meta
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.file import damage
from pylon_to_sqlite.layout import quoted
from pylon_to_sqlite.memory import COMPARISON
from pylon_to_sqlite.plan import Checkpoint, Comparison, moment, restarted
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.purge import READ, URGENT
from pylon_to_sqlite.readable import unreadable
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, TABLES, VERSION
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.transactions import was_stopped
from pylon_to_sqlite.withdraw import left_in

TIMES = ("since", "wanted", "watermark", "full", "as_of", "narrowed", "walked")
COMPARED_TIMES = ("reached", "until", "began", "finished", "failing", "tried")
# Lines of SQLite's own check that REINDEX mends.
OF_INDEXES = ("missing from index", "wrong # of entries in index", "non-unique entry in index")
SHOWN = 3
# No time of Pylon's is before, no span of seconds as long.
EARLIEST = "2000-01-01T00:00:00Z"
LONGEST_SPAN = 10**10

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
    """A mirror that is looked at. `latest` is the latest time that anything can be of (UTC);
    `deeply` gives a connection that may say it writes, without which full text cannot be checked,
    for as long as no sync need wait for it."""

    connection: sqlite3.Connection
    latest: str
    is_alone: bool = True
    """Whether no sync is at work."""
    deeply: Callable[[], AbstractContextManager[sqlite3.Connection | None]] = nullcontext
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
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if was_stopped(error):
                raise
            # What is locked, or not there, is no torn page.
            todo = "see above" if isinstance(error, sqlite3.OperationalError) else TORN
            if str(error).startswith(("no such collation", "no such function")):
                todo = "remove the index of your own that needs it"
            findings = [Finding(name, "wrong", f"cannot be checked: {error}", todo)]
        yield from findings or [Finding(name, "ok", FINE[name])]
        if any(one.state == "wrong" and one.remedy in (TORN, OLDER) for one in findings):
            return


TORN = (
    "restore a backup, or move the file and its -wal aside and run a sync for a new one: what is"
    " deleted in Pylon, and issue_changes, is in the old file alone"
)
YOURS = "the table is not this tool's: mend it yourself"
ANEW = "--mend builds it anew"
UNWISHED = (
    "restore a copy, or remove the row choice of _pylon_meta with sqlite3, and say in the next sync"
    " what is to be left out"
)
FREE = "make a copy with pylon-to-sqlite backup, and put that in its place: the copy is whole"
OLDER = "the next sync brings it up to date, or --mend"


def _schema(mirror: Examined) -> Iterator[Finding]:
    written_by = int(mirror.one(meta.asked(meta.SCHEMA_VERSION)) or 0)
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
    # SQLite looks at free pages with the whole file only where its first table is no virtual one.
    if lines := damage(mirror.connection, "quick_check", "sqlite_master"):
        message = f"SQLite finds its free pages damaged: {'; '.join(lines[:SHOWN])}"
        yield Finding("integrity", "wrong", message, FREE)


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
    for table in sorted(mirror.tables):
        is_ours = table in TABLES or table in BOOKKEEPING
        found: dict[str, int] = {}
        try:
            for _, _, parent, _ in mirror.all(f"PRAGMA foreign_key_check({quoted(table)})"):
                found[parent] = found.get(parent, 0) + 1
        except sqlite3.OperationalError as error:
            if is_ours or "mismatch" not in str(error):
                raise
            yield Finding("foreign_keys", "wrong", f"of {table}: {error}", YOURS)
        for parent, count in found.items():
            yield Finding(
                "foreign_keys",
                "wrong",
                f"{count:,} rows of {table} name a row of {parent} that is not there",
                "--mend gives them a placeholder, or removes what belongs to nothing"
                if is_ours
                else YOURS,
                is_ours,
            )


def _text(mirror: Examined) -> Iterator[Finding]:
    for table, rowids in unreadable(mirror.connection).items():
        message = f"{len(rowids):,} rows of {table} hold text that is none"
        remedy = "--mend puts a mark in its place, and syncs read them again"
        yield Finding("text", "wrong", message, remedy, can_mend=True)


def _full_text(mirror: Examined) -> Iterator[Finding]:
    made = dict(mirror.all("SELECT lower(name), sql FROM sqlite_master"))
    with mirror.deeply() as deep:
        for table in FULL_TEXT:
            index = full_text.index_of(table)
            wanted = full_text.created(table)
            if full_text.view_of(table) not in str(made.get(index, full_text.view_of(table))):
                message = f"{index} is not this tool's: words of {table} are not found"
                yield Finding("full_text", "skipped", message)
            elif lost := [name for name, sql in wanted.items() if made.get(name.lower()) != sql]:
                message = f"not there, or not as it should be: {_some(lost)}"
                yield Finding("full_text", "wrong", message, ANEW, True)
            elif deep is not None and not full_text.is_true(deep, table):
                message = f"{index} does not hold the words of {table}: searches give wrong rows"
                yield Finding("full_text", "wrong", message, ANEW, True)
    if deep is None:
        message = "not looked into: for that the file must be writable, and no sync at work"
        yield Finding("full_text", "skipped", message)


def _choice(mirror: Examined) -> Iterator[Finding]:
    """What was wished for is never mended: it may have been to leave something out."""
    for (text,) in mirror.all(meta.asked(meta.CHOICE)):
        try:
            Choice.from_json(text)
        except (ValueError, TypeError, RecursionError):
            message = "what is mirrored and what is not cannot be read, so no sync can begin"
            yield Finding("choice", "wrong", message, UNWISHED)


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
            after, before = told.get("window") or (None, EARLIEST)
            times = [one for one in (*map(told.get, names), after) if one is not None]
            ahead = [one for one in map(_time, (*times, before)) if one > mirror.latest]
            if not (type(span := told.get("span", 1)) is int and 0 < span < LONGEST_SPAN):
                raise ValueError(span)
            for one in ("cursor", "kind"):
                told[one] = str.strip(told.get(one) or "")
        except (ValueError, TypeError, AttributeError, RecursionError):
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
    if names & {*URGENT, READ} and mirror.is_alone:
        message = "words that were taken back, left out or erased may still be in the file"
        message += ": a program reads it as it was before" if READ in names else ""
        yield Finding("unpurged", "wrong", message, "the next sync removes them, or --mend", True)
    elif names:
        yield Finding("unpurged", "ok", "old names and titles wait for a sync to remove them")


def _left_out(mirror: Examined) -> Iterator[Finding]:
    found = mirror.one(meta.asked(meta.CHOICE))
    try:
        choice = Choice.from_json(found or "{}")
    except (ValueError, TypeError, RecursionError):
        # That is another finding.
        return
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
    "text": _text,
    "foreign_keys": _foreign_keys,
    "full_text": _full_text,
    "choice": _choice,
    "checkpoints": _checkpoints,
    "marks": _marks,
    "left_out": _left_out,
    "unpurged": _unpurged,
}
FINE = {
    "integrity": "every page and every index is whole",
    "schema": "written by this version",
    "layout": "all tables, columns, indexes, triggers and views are there",
    "text": "all of it can be read",
    "foreign_keys": "whatever a row names is there",
    "full_text": "the indexes hold the words of the live rows, no more and no less",
    "choice": "what is mirrored can be read",
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
    in the way that records go, or were forgotten, they have been erased."""
    itself = " WHERE placeholder = 0" if TABLES[stream].has_placeholder else ""
    if mirror.one(f"SELECT 1 FROM {stream}{itself} LIMIT 1"):
        return 0
    totals = "SELECT total(rows_new), total(rows_gone) FROM _pylon_run_streams WHERE stream = ?"
    new, gone = mirror.all(totals, [stream])[0]
    if "_pylon_forgotten" in mirror.tables:
        forgotten = "SELECT count(DISTINCT key) FROM _pylon_forgotten WHERE stream = ?"
        gone += mirror.one(forgotten, [stream])
    return int(new) if new > 2 * gone else 0


def _time(value: Any) -> str:
    """`value`, where it is a time. Raises ValueError or TypeError."""
    moment(value)
    if value < EARLIEST:
        raise ValueError(value)
    return str(value)


def _past(value: str | None, mirror: Examined) -> str | None:
    return value if value and value <= mirror.latest else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
