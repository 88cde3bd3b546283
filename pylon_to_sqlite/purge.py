"""Words that were changed or deleted, removed from where SQLite keeps them out of sight."""

import sqlite3
from datetime import timedelta

from sqlite_utils import Database

from pylon_to_sqlite import meta
from pylon_to_sqlite.full_text import index_of
from pylon_to_sqlite.plan import moment
from pylon_to_sqlite.schema import FULL_TEXT
from pylon_to_sqlite.transactions import Transactions, stoppable

# What `_pylon_unpurged` names beside indexes: that records were erased, that nothing is left to do
# but to write the file anew, and that a program reads the file as it was before that was done.
ERASED, FILE, READ = "erased", "file", "read"
# A message does not change unless somebody takes words back.
URGENT = {ERASED, index_of("issue_messages")}
# Names and titles change every day, and a large file takes its time.
EVERY = timedelta(days=1)


def purge(db: Database, transactions: Transactions, now: str) -> str:
    """Leave nothing of them in any index, page or -wal; gives why that must be done later, where it
    must. Names and titles wait up to a day for it.

    `secure_delete` alone is not enough: a full-text index keeps its words until it is optimized,
    pages keep copies of rows that SQLite moved to others until all is written anew, and the -wal
    its pages until it is truncated.
    """
    names = {row[0] for row in db.execute("SELECT name FROM _pylon_unpurged")}
    is_urgent = bool(names & {*URGENT, READ})
    for index in sorted(names & set(map(index_of, FULL_TEXT))):
        with transactions.one():
            db.execute(f"INSERT INTO {index}({index}) VALUES ('optimize')")
    if names and (names & URGENT or _is_due(db, now)):
        try:
            _write_anew(db, transactions, now)
        except sqlite3.OperationalError as error:
            # Such as a collation that only another program knows.
            is_theirs = str(error).startswith("no such")
            return f"{error}{': remove the index of your own that needs it' * is_theirs}"
        names = set()
    is_busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    left = {READ} if is_busy and is_urgent else {FILE} if names - {READ} or is_busy else set()
    if left != {row[0] for row in db.execute("SELECT name FROM _pylon_unpurged")}:
        with transactions.one():
            db.execute("DELETE FROM _pylon_unpurged")
            db.conn.executemany("INSERT INTO _pylon_unpurged VALUES (?)", [(one,) for one in left])
    return "another program reads it" if is_busy else ""


def _is_due(db: Database, now: str) -> bool:
    before = meta.value(db, meta.WRITTEN_ANEW_AT)
    return before is None or abs(moment(now) - moment(before)) >= EVERY


def _write_anew(db: Database, transactions: Transactions, now: str) -> None:
    transactions.settle()
    before = _rowids(db)
    with stoppable(db.conn):
        db.execute("VACUUM")
    with transactions.one():
        for table, rowids in _rowids(db).items():
            # SQLite may number rows anew, and says so, though it does not where there is a key.
            if rowids != before[table]:
                index = index_of(table)
                db.execute(f"INSERT INTO {index}({index}) VALUES ('rebuild')")
        meta.keep(db, {meta.WRITTEN_ANEW_AT: now})


def _rowids(db: Database) -> dict[str, tuple[int, ...]]:
    sums = "SELECT count(*), total(rowid), max(rowid) FROM"
    return {table: db.execute(f"{sums} {table}").fetchone() for table in FULL_TEXT}
