"""A file that holds more than its user wants by now, or wants more than it holds, after a choice of
what is left out: taken out for good, or read again."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlite_utils import Database

from pylon_to_sqlite import attachments, issue_bodies
from pylon_to_sqlite.history import WATCHED
from pylon_to_sqlite.layout import columns_of, quoted
from pylon_to_sqlite.memory import Memory
from pylon_to_sqlite.plan import restarted
from pylon_to_sqlite.privacy import Privacy, Pseudonyms, kinds_of
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stream import Link, Stream
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUE_THREADS, ISSUES

# What the change log calls a list.
_NOTED_AS = {"custom_fields": "priority"}
# Words that the mirror writes down itself, beside the tables of streams.
_NOTES = (
    *(("_pylon_runs", "error"), ("_pylon_run_streams", "error"), ("attachments", "error")),
    *(("issue_changes", "old"), ("issue_changes", "new")),
)


@dataclass
class Withdrawn:
    """What was taken out of a file."""

    notes: int = 0
    bodies: int = 0
    values: int = 0
    files: int = 0

    def told(self) -> str:
        """Such as: 12 private notes, 3 bodies; "" where it was nothing."""
        kinds = (
            *((self.notes, "private notes"), (self.bodies, "bodies that may be such")),
            *((self.values, "values"), (self.files, "downloaded files")),
        )
        return ", ".join(f"{number:,} {kind}" for number, kind in kinds if number)


def withdraw(
    db: Database,
    before: Privacy,
    after: Privacy,
    now: str,
    remove: Callable[[Collection[str]], None],
) -> Withdrawn:
    """Take out of the file what it is no longer to hold. `remove` removes downloaded contents that
    are nobody's any more by their names, and may raise, before anything is committed."""
    found = Withdrawn()
    had = _paths(db)
    for name in sorted(after.withheld - before.withheld):
        found.values += _empty(db, name, now)
    if after.public_only and not before.public_only:
        found.notes, found.bodies = issue_bodies.close(db, now)
    if after.pseudonyms and not before.pseudonyms:
        found.values += _replace(db, after.pseudonyms, now)
    if found != Withdrawn():
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
        attachments.derive_all(db, now)
    if lost := had - _paths(db):
        remove(lost)
        found.files = len(lost)
    return found


def returning(db: Database, memory: Memory) -> set[str]:
    """What issues have not been read again for since it was taken in again: nobody knows what it
    was meanwhile."""
    row = db.execute("SELECT value FROM _pylon_meta WHERE key = 'returning'").fetchone()
    is_over = row and memory.checkpoint(ISSUES).watermark
    return {*row[0].split(",")} if row and not is_over else set()


def read_again(db: Database, memory: Memory, before: Privacy, after: Privacy) -> None:
    """Have all read again that the file is to hold from now on and has not been written."""
    names = [name.partition(".")[::2] for name in before.withheld - after.withheld]
    streams = {_stream_of(table) for table, _ in names}
    fields = {field for table, field in names if table == ISSUES.name}
    if before.public_only and not after.public_only:
        streams |= {ISSUES, ISSUE_MESSAGES, ISSUE_THREADS}
        db.execute("DELETE FROM _pylon_bodies")
    if before.pseudonyms and not after.pseudonyms:
        streams |= {*STREAMS}
        fields |= {"tags", "custom_fields"}
    if watched := sorted({_NOTED_AS.get(name, name) for name in fields} & {*WATCHED}):
        sql = "INSERT OR REPLACE INTO _pylon_meta VALUES ('returning', ?)"
        db.execute(sql, [",".join(watched)])
    for stream in streams:
        if stream.is_by_staleness:
            db.execute("DELETE FROM _pylon_children WHERE stream = ?", [stream.name])
        else:
            memory.note(stream, restarted(memory.checkpoint(stream)))


def _stream_of(table: str) -> Stream:
    source = TABLES[table].source
    if isinstance(source, Link):
        (source,) = [one for one in STREAMS if source in one.links]
    assert isinstance(source, Stream)
    return source


def _empty(db: Database, name: str, now: str) -> int:
    """Leave nothing of a column, or of a list; gives how many values it was."""
    table, _, field = name.partition(".")
    emptied = 0
    source = TABLES[table].source
    stamp = ", synced_at = :now" if isinstance(source, Stream) else ""
    for column in map(quoted, columns_of(db, table)):
        if column.lower() == quoted(field):
            sql = f"UPDATE {table} SET {column} = NULL{stamp} WHERE {column} IS NOT NULL"
            emptied += db.execute(sql, {"now": now}).rowcount
    for link in source.links if isinstance(source, Stream) else ():
        if link.path == field:
            emptied += db.execute(f"DELETE FROM {link.table}").rowcount
    if table == ISSUES.name:
        sql = 'DELETE FROM issue_changes WHERE "column" = ?'
        emptied += db.execute(sql, [_NOTED_AS.get(field, field)]).rowcount
    return emptied


def _replace(db: Database, pseudonyms: Pseudonyms, now: str) -> int:
    """Put pseudonyms in place of all addresses; gives how many values that changed."""
    db.conn.create_function("_pseudonym", 2, pseudonyms.stored, deterministic=True)
    places = [(table, name, "text") for table, name in _NOTES]
    for table, known in TABLES.items():
        if known.source is not None:
            kinds = kinds_of(table)
            kept = ((name, kinds.get(name, "text")) for name in columns_of(db, table))
            places += [(table, name, kind) for name, kind in kept if kind]
    return sum(_replace_in(db, *place, now) for place in places)


def _replace_in(db: Database, table: str, name: str, kind: str, now: str) -> int:
    column = quoted(name)
    is_record = table in TABLES and isinstance(TABLES[table].source, Stream)
    # Two addresses of a list may have the same pseudonym.
    return db.execute(
        f"UPDATE {'' if is_record else 'OR REPLACE '}{table}"
        f" SET {column} = _pseudonym(:kind, {column}){', synced_at = :now' if is_record else ''}"
        f" WHERE (instr({column}, '@') OR instr({column}, '%40') OR instr({column}, '&'))"
        f" AND _pseudonym(:kind, {column}) IS NOT {column}",
        {"kind": kind, "now": now},
    ).rowcount


def _paths(db: Database) -> set[str]:
    """Where downloaded contents are, as far as any row says so."""
    return {row[0] for row in db.execute("SELECT path FROM attachments WHERE path IS NOT NULL")}
