"""What can be mended in a mirror: derived things are built anew, what cannot be right starts over.

Records stay: what names a record that is not here gets a placeholder, as in any run.
"""

from collections.abc import Callable
from sqlite3 import Connection

from pylon_to_sqlite.attachments import derive_all
from pylon_to_sqlite.examine import Examined, wrong_checkpoints, wrong_marks
from pylon_to_sqlite.full_text import is_here, is_open, is_refilled, is_true, torn_down
from pylon_to_sqlite.layout import quoted
from pylon_to_sqlite.privacy import OPEN, Privacy
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.readable import mend_text, unreadable
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, TABLES
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Link
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.withdraw import clear


def mend_in(store: Store, wrong: set[str], now: str, latest: str, privacy: Privacy) -> None:
    """Mend what the checks of these names found, in the order in which one needs the other.
    `privacy` is what is to be left out of the file."""
    if "integrity" in wrong:
        store.db.execute("REINDEX")
    if wrong & {"integrity", "full_text"}:
        # What SQLite cannot open it can neither drop nor let be written beside.
        _tear_down(store, is_open)
    # Tables, columns, indexes, triggers and views, and with them full text that has lost a part.
    store.prepare(now)
    if "text" in wrong:
        with store.transactions.one():
            for table, rowids in unreadable(store.db.conn).items():
                for rowid in rowids:
                    mend_text(store.db.conn, table, rowid)
    if wrong & {"integrity", "full_text", "text"}:
        _tear_down(store, lambda conn, table: is_true(conn, table) or is_refilled(conn, table))
        store.prepare(now)
    if wrong & {"checkpoints", "marks", "layout"}:
        # Before there are placeholders in tables that are empty.
        _restart(store, latest)
    with store.transactions.one():
        _foreign_keys(store, now)
        derive_all(store.db, now)
    if "left_out" in wrong:
        with store.transactions.one():
            clear(store.db, OPEN, privacy, now)
        store.tables.forget_types()
    if wrong & {"left_out", "unpurged"}:
        with store.transactions.one():
            store.db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
        store.purge(now)
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _tear_down(store: Store, is_well: Callable[[Connection, str], bool]) -> None:
    """Remove the indexes of ours that are not well and cannot be made so; they are made anew."""
    conn = store.db.conn
    with store.transactions.one():
        for table in FULL_TEXT:
            if is_here(conn, table) and not is_well(conn, table):
                for sql in torn_down(table):
                    conn.execute(sql)


def _foreign_keys(store: Store, now: str) -> None:
    db = store.db
    # All of them are found first: where a placeholder stands in, what was in the record is lost.
    found = [
        row
        for table in (*TABLES, *BOOKKEEPING)
        for row in db.execute(f"PRAGMA foreign_key_check({table})").fetchall()
    ]
    for table, rowid, parent, number in found:
        keys = db.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        (column,) = (key[3] for key in keys if key[0] == number)
        known = TABLES.get(table)
        source = known.source if known else None
        is_owned = isinstance(source, Link) and source.owner.name == column
        if known and not is_owned and parent in TABLES and TABLES[parent].has_placeholder:
            db.execute(
                f"INSERT OR IGNORE INTO {parent} (id, placeholder, synced_at)"
                f" SELECT {quoted(column)}, 1, ? FROM {table} WHERE rowid = ?",
                [now, rowid],
            )
        elif is_owned or source is None:
            # It is derived from what is not there.
            _remove(store, table, rowid)


def _remove(store: Store, table: str, rowid: int) -> None:
    if table == "attachments":
        # The message that it is of is lost, and is read again with its issue's.
        store.db.execute(
            "DELETE FROM _pylon_children WHERE stream = 'issue_messages'"
            " AND parent = (SELECT issue_id FROM attachments WHERE rowid = ?)",
            [rowid],
        )
    store.db.execute(f"DELETE FROM {table} WHERE rowid = ?", [rowid])


def _restart(store: Store, latest: str) -> None:
    mirror = Examined(store.db.conn, latest)
    with store.transactions.one():
        for name, _, again in [*wrong_checkpoints(mirror)]:
            store.db.execute("DELETE FROM _pylon_checkpoints WHERE stream = ?", [name])
            if again is not None:
                # In the scope that it had.
                store.memory.note(BY_NAME[name], again)
        for sql, params in [*wrong_marks(mirror)]:
            store.db.execute(f"DELETE {sql}", params)
