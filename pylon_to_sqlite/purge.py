"""Words that were changed or deleted, removed from where SQLite keeps them out of sight."""

from sqlite_utils import Database

from pylon_to_sqlite.transactions import Transactions


def purge(db: Database, transactions: Transactions) -> bool:
    """Leave nothing of them in any index, free page or -wal; gives False where another program
    reads the file, so that it must be done later.

    `secure_delete` alone is not enough: a full-text index keeps its words until it is optimized,
    and the -wal its pages until it is truncated.
    """
    indexes = [row[0] for row in db.execute("SELECT name FROM _pylon_unpurged")]
    for index in indexes:
        with transactions.one():
            db.execute(f"INSERT INTO {index}({index}) VALUES ('optimize')")
    is_busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if indexes and not is_busy:
        with transactions.one():
            db.execute("DELETE FROM _pylon_unpurged")
    return not is_busy
