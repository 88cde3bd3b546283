"""What can be mended in a mirror: derived things are built anew, what cannot be right starts over.

Records stay: what names a record that is not here gets a placeholder, as in any run.
"""

from pylon_to_sqlite.examine import Examined, wrong_checkpoints, wrong_marks
from pylon_to_sqlite.full_text import filled, is_true
from pylon_to_sqlite.layout import quoted
from pylon_to_sqlite.privacy import OPEN, Privacy
from pylon_to_sqlite.purge import ERASED
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
    # Tables, columns, indexes, triggers and views, and with them full text that has lost a part.
    store.prepare(now)
    if wrong & {"integrity", "full_text"}:
        with store.transactions.one():
            for table in FULL_TEXT:
                if not is_true(store.db.conn, table):
                    store.db.execute(filled(table))
    if wrong & {"checkpoints", "marks"}:
        # Before there are placeholders in tables that are empty.
        _restart(store, latest)
    with store.transactions.one():
        _foreign_keys(store, now)
    if "left_out" in wrong:
        with store.transactions.one():
            clear(store.db, OPEN, privacy, now)
        store.tables.forget_types()
    if wrong & {"left_out", "unpurged"}:
        with store.transactions.one():
            store.db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
        store.purge(now)
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _foreign_keys(store: Store, now: str) -> None:
    db = store.db
    for table, rowid, parent, number in db.execute("PRAGMA foreign_key_check").fetchall():
        keys = db.execute(f"PRAGMA foreign_key_list({quoted(table)})").fetchall()
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
        elif is_owned or table in BOOKKEEPING or (known and source is None):
            # It is derived from what is not there.
            db.execute(f"DELETE FROM {table} WHERE rowid = ?", [rowid])


def _restart(store: Store, latest: str) -> None:
    mirror = Examined(store.db.conn, None, latest)
    with store.transactions.one():
        for name, _, again in [*wrong_checkpoints(mirror)]:
            store.db.execute("DELETE FROM _pylon_checkpoints WHERE stream = ?", [name])
            if again is not None:
                # In the scope that it had.
                store.memory.note(BY_NAME[name], again)
        for sql, params in [*wrong_marks(mirror)]:
            store.db.execute(f"DELETE {sql}", params)
