"""A file that holds more than its user wants by now, or wants more than it holds, after a choice of
what is left out: taken out for good, or read again."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from sqlite3 import Connection

from sqlite_utils import Database

from pylon_to_sqlite import attachments, issue_bodies, meta
from pylon_to_sqlite.addresses import may_hold
from pylon_to_sqlite.drift import added
from pylon_to_sqlite.history import WATCHED
from pylon_to_sqlite.layout import columns_of, quoted
from pylon_to_sqlite.memory import Memory
from pylon_to_sqlite.plan import restarted
from pylon_to_sqlite.privacy import Privacy, kinds_of
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.rows import free
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stream import Link, Stream
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUE_THREADS, ISSUES

# What the change log calls what is not called so among the columns of issues.
_NOTED_AS = {"issues.custom_fields": "priority", "issue_custom_fields.value": "priority"}
# SQLite's functions take no more than a hundred values.
AT_ONCE = 90
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
    if after == before:
        return Withdrawn()
    had = _paths(db)
    if after.public_only and not before.public_only:
        issue_bodies.recall(db)
    found = clear(db, before, after, now)
    if lost := had - _paths(db):
        remove(lost)
        found.files = len(lost)
    return found


def clear(db: Database, before: Privacy, after: Privacy, now: str) -> Withdrawn:
    """Take out of the tables what `after` leaves out and `before` did not."""
    found, news = Withdrawn(), added(db)
    for table in TABLES:
        found.values += _empty(db, table, news[table], before, after, now)
    found.values += _unnote(db, after.withheld - before.withheld)
    if after.public_only and not before.public_only:
        found.notes, found.bodies = issue_bodies.close(db, now)
    if after.pseudonyms and not before.pseudonyms:
        found.values += _replace(db, after.pseudonyms, now)
    if found != Withdrawn():
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
        attachments.derive_all(db, now)
    return found


def left_in(connection: Connection, privacy: Privacy) -> Iterator[str]:
    """What a file holds that is to be left out of it, in words and numbers. Writes nothing."""
    db = Database(connection)
    news = added(db)
    if privacy.public_only:
        notes, of_issues = issue_bodies.count_open(db)
        for number, kind in ((notes, "private notes"), (of_issues, "bodies that may be such")):
            if number:
                yield f"{number:,} {kind}"
    for table, known in TABLES.items():
        for name in filter(lambda one: privacy.hides(table, one), _ours(db, table, news[table])):
            if number := db.execute(f"SELECT count({quoted(name)}) FROM {table}").fetchone()[0]:
                yield f"{number:,} values of {table}.{name}"
        for link in known.source.links if isinstance(known.source, Stream) else ():
            is_hidden = f"{table}.{link.path}" in privacy.withheld
            rows = f"SELECT count(*) FROM {link.table}"
            if is_hidden and (number := db.execute(rows).fetchone()[0]):
                yield f"{number:,} values of {table}.{link.path}"
    if privacy.pseudonyms and (number := _count_addresses(db, privacy.pseudonyms)):
        yield f"{number:,} values with e-mail addresses"


def returning(db: Database) -> set[str]:
    """What not all issues have been read again for since it was taken in again: nobody knows what
    it was meanwhile."""
    names = meta.value(db, meta.RETURNING)
    return {*names.split(",")} if names else set()


def read_again(db: Database, memory: Memory, before: Privacy, after: Privacy) -> None:
    """Have all read again that the file is to hold from now on and has not been written."""
    names = before.withheld - after.withheld
    streams = {_stream_of(name.partition(".")[0]) for name in names}
    columns = {*_noted(names)}
    if before.public_only and not after.public_only:
        streams |= {ISSUES, ISSUE_MESSAGES, ISSUE_THREADS}
        db.execute("DELETE FROM _pylon_bodies")
    if before.pseudonyms and not after.pseudonyms:
        streams |= {*STREAMS}
        columns |= {"tags", "priority"}
    if columns:
        meta.keep(db, {meta.RETURNING: ",".join(sorted(columns | returning(db)))})
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


def _empty(
    db: Database, table: str, news: set[str], before: Privacy, after: Privacy, now: str
) -> int:
    """Leave nothing of the columns and lists of a table that are left out from now on; gives how
    many values it was. Columns that the user has added stay."""
    source, emptied = TABLES[table].source, 0
    stamp = ", synced_at = :now" if isinstance(source, Stream) else ""
    columns = [
        quoted(name)
        for name in _ours(db, table, news)
        if after.hides(table, name) and not before.hides(table, name)
    ]
    for start in range(0, len(columns), AT_ONCE):
        some = columns[start : start + AT_ONCE]
        counts = ", ".join(f"count({name})" for name in some)
        if filled := sum(db.execute(f"SELECT {counts} FROM {table}").fetchone()):
            sets = ", ".join(f"{name} = NULL" for name in some)
            holds = f"coalesce({', '.join(some)}, NULL) IS NOT NULL"
            db.execute(f"UPDATE {table} SET {sets}{stamp} WHERE {holds}", {"now": now})
            emptied += filled
    for link in source.links if isinstance(source, Stream) else ():
        if f"{table}.{link.path}" in after.withheld - before.withheld:
            emptied += db.execute(f"DELETE FROM {link.table}").rowcount
    return emptied


def _unnote(db: Database, names: Collection[str]) -> int:
    """Leave nothing of them in the change log; gives how many changes it was."""
    sql = 'DELETE FROM issue_changes WHERE "column" = ?'
    return sum(db.execute(sql, [column]).rowcount for column in _noted(names))


def _noted(names: Collection[str]) -> set[str]:
    """What the change log calls these columns and lists, as far as it has them."""
    of_issues = {name.removeprefix(f"{ISSUES.name}."): name for name in names}
    return {_NOTED_AS.get(name, column) for column, name in of_issues.items()} & {*WATCHED}


def _ours(db: Database, table: str, news: set[str]) -> list[str]:
    """The columns of a table that records fill, as far as it has them: not the user's own. `news`
    are those it got for fields nobody knew."""
    ours = {*kinds_of(table), *news}
    return [name for name in columns_of(db, table) if name in ours]


def _replace(db: Database, pseudonyms: Pseudonyms, now: str) -> int:
    """Put pseudonyms in place of all addresses; gives how many values that changed."""
    news = added(db)
    for table in TABLES:
        _rename(db, table, news[table], pseudonyms)
    return sum(_replace_in(db, *place, now) for place in _places(db, pseudonyms))


def _count_addresses(db: Database, pseudonyms: Pseudonyms) -> int:
    """How many values have addresses in them; which pseudonyms these would get does not matter."""
    return sum(
        db.execute(
            f"SELECT count(*) FROM {table} WHERE {_has_address(name)}", {"kind": kind}
        ).fetchone()[0]
        for table, name, kind in _places(db, pseudonyms)
    )


def _places(db: Database, pseudonyms: Pseudonyms) -> list[tuple[str, str, str]]:
    """Where there may be addresses: tables, their columns, and the kinds of these."""
    db.conn.create_function("_pseudonym", 2, pseudonyms.stored, deterministic=True)
    places, news = [(table, name, "text") for table, name in _NOTES], added(db)
    for table, known in TABLES.items():
        if known.source is not None:
            kinds = kinds_of(table)
            kept = ((name, kinds.get(name, "html")) for name in _ours(db, table, news[table]))
            places += [(table, name, kind) for name, kind in kept if kind]
    return places


def _has_address(name: str) -> str:
    column = quoted(name)
    return f"{may_hold(column)} AND _pseudonym(:kind, {column}) IS NOT {column}"


def _rename(db: Database, table: str, news: set[str], pseudonyms: Pseudonyms) -> None:
    """The names of new fields may hold addresses too."""
    for name in news:
        if (renamed := pseudonyms.text(name)) != name:
            # Two may have the same pseudonym, or it came while addresses were not left out.
            renamed = free(renamed, {one.lower() for one in columns_of(db, table)})
            db.execute(f"ALTER TABLE {table} RENAME COLUMN {quoted(name)} TO {quoted(renamed)}")
            note = 'UPDATE _pylon_fields SET "column" = ? WHERE "table" = ? AND "column" = ?'
            db.execute(note, [renamed, table, name])


def _replace_in(db: Database, table: str, name: str, kind: str, now: str) -> int:
    column = quoted(name)
    is_record = table in TABLES and isinstance(TABLES[table].source, Stream)
    # Two addresses of a list may have the same pseudonym.
    return db.execute(
        f"UPDATE {'' if is_record else 'OR REPLACE '}{table}"
        f" SET {column} = _pseudonym(:kind, {column}){', synced_at = :now' if is_record else ''}"
        f" WHERE {_has_address(name)}",
        {"kind": kind, "now": now},
    ).rowcount


def _paths(db: Database) -> set[str]:
    """Where downloaded contents are, as far as any row says so."""
    return {row[0] for row in db.execute("SELECT path FROM attachments WHERE path IS NOT NULL")}
